"""The fixtures other tests stand on."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import send_mail
from django.db import connection

from accounts.models import Role, User
from accounts.operations import create_user
from notifications.models import ContactMethod
from tests import databases
from tests.browser_fixtures import Live
from tests.helpers import race
from tests.house import House
from tests.mail import Mailbox
from tickets.models import Event, Ticket


@pytest.mark.django_db(transaction=True)
def test_race_gives_each_call_a_connection_of_its_own() -> None:
    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
            return int(pid)

    first, second, third = race(backend, backend, lambda: 1 // 0)

    assert first != second
    assert isinstance(third, ZeroDivisionError)


@pytest.mark.django_db(transaction=True)
def test_what_a_test_commits_is_undone_row_by_row(standing_house: House) -> None:
    # Given: rows added (an append-only table among them), changed and removed.
    def stands() -> list[Any]:
        return [
            list(model._default_manager.order_by("pk").values())
            for model in (User, ContactMethod, Ticket, Event)
        ]

    before = stands()
    first = standing_house.open().pk
    User.objects.filter(pk=standing_house.agent.pk).update(name="Somebody else")
    ContactMethod.objects.all().delete()
    assert all(now != then for now, then in zip(stands(), before, strict=True))

    databases.renew()

    assert stands() == before
    assert standing_house.open().pk == first


def test_smtp_collects_what_django_sends(smtp: Mailbox) -> None:
    send_mail("Subject", "Body", "belay@example.com", ["a@example.com"])

    (mail,) = smtp.mails
    assert mail["Subject"] == "Subject"
    assert smtp.envelopes[0].rcpt_tos == ["a@example.com"]


def test_a_browser_signs_in_to_the_live_server(
    page: Any, live: Live, sign_in: Callable[..., None], axe: Callable[..., None]
) -> None:
    email = "browser-infra@example.com"
    user = User.objects.filter(email=email).first() or create_user(email=email, name="Ann", role=Role.ADMIN)
    sign_in(page, user)

    answer = page.goto("/admin/")

    assert answer.status == 200
    assert page.locator("#header").is_visible()
    # Styled: the hashed names of production are served.
    assert page.evaluate("getComputedStyle(document.querySelector('#header')).display") == "flex"
    axe(page)


@pytest.mark.django_db
def test_what_the_live_server_holds_is_not_in_other_tests_database() -> None:
    assert not User.objects.filter(email="browser-infra@example.com").exists()
