"""A house, a second organisation that must see nothing of it, and a way to call the API as somebody."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from knox.models import AuthToken

from accounts.models import Organisation, Role, User
from accounts.operations import create_user
from escalation import paths
from tests.house import House, build_house
from tickets.models import Category, Service

Call = Callable[..., HttpResponse]


@dataclass
class World:
    """What `build_world` made."""

    house: House
    stranger: User  # a requester of another organisation
    colleague: User  # a requester who follows the whole organisation's tickets
    narrowed: User  # an agent who sees the tickets of the network team only
    service: Service
    category: Category

    def as_role(self, name: str) -> User | None:
        """Return who plays a role in the tables of the tests."""
        known = {
            "stranger": self.stranger,
            "colleague": self.colleague,
            "narrowed": self.narrowed,
            "nobody": None,
        }
        return known[name] if name in known else getattr(self.house, name)


def build_world(house: House | None = None) -> World:
    # Ids begin anew where a test that committed made the database anew.
    paths._rules.clear()
    house = house or build_house()
    inside = Organisation.objects.create(name="Acme")
    outside = Organisation.objects.create(name="Umbrella")
    house.requester.organisation = inside
    house.requester.save()
    stranger = create_user(email="stranger@umbrella.test", name="Stan Ranger", organisation=outside)
    colleague = create_user(email="colleague@acme.test", name="Cole Eague", organisation=inside)
    colleague.sees_organisation = True
    colleague.save()
    narrowed = create_user(email="narrow@example.org", name="Nora Narrow", role=Role.AGENT)
    narrowed.only_own_teams = True
    narrowed.save()
    house.network.members.add(narrowed)
    service = Service.objects.create(name="VPN", team=house.desk)
    category = Category.objects.create(name="Network")
    return World(house, stranger, colleague, narrowed, service, category)


@pytest.fixture
def world(standing_house: House) -> World:
    return build_world(standing_house)


@pytest.fixture
def agent(db: None) -> User:
    """An agent with nothing around them, for what needs no house."""
    return create_user(email="agent@example.org", name="Alone Agent", role=Role.AGENT)


@pytest.fixture
def house(world: World) -> House:
    return world.house


@pytest.fixture(autouse=True)
def no_throttle_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def call_as(user: User | None, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
    """Call the API as a program would: with a token, and JSON where there is a body."""
    if user is not None:
        _, token = AuthToken.objects.create(user)
        headers = {"Authorization": f"Token {token}", **headers}
    more: dict[str, Any] = {}
    if body is not None:
        more = {
            "data": body if isinstance(body, str | bytes) else json.dumps(body),
            "content_type": "application/json",
        }
    return Client(raise_request_exception=True).generic(
        method.upper(),
        f"/api/v1/{path}",
        headers={key.replace("_", "-"): value for key, value in headers.items()},
        **more,
    )


@pytest.fixture
def call() -> Call:
    return call_as
