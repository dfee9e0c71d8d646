from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from escalation.models import Standing
from tests.house import House
from tickets.models import Ticket

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
As = Callable[[User], Client]


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


@pytest.fixture
def signed_in_as() -> As:
    """Return a function that gives a client with somebody signed in."""

    def client_of(user: User) -> Client:
        client = Client()
        client.force_login(user, backend=BACKEND)
        return client

    return client_of


def seq_of(ticket: Ticket) -> int:
    return Standing.objects.get(ticket=ticket).seq


def text_of(answer: Any) -> str:
    """Return an answer's text without the line breaks and indents of its markup."""
    return " ".join(answer.content.decode().split())
