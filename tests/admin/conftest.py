"""A small house to administer: people, teams, contacts, a calendar and a path."""

import datetime as dt
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organisation, Role, Team, Tier, User
from accounts.operations import create_team, create_user
from calendars.models import Calendar
from calendars.operations import publish_calendar
from calendars.rules import parse
from core.db import database_now
from escalation.models import EscalationPath, PathVersion
from escalation.operations.publishing import PathSpec, PromiseSpec, StepSpec, publish_path
from notifications.models import Contact, ContactList, ContactMethod
from notifications.operations import create_contact, create_contact_list
from tickets.models import Category, Service

_numbers = count(1)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


@dataclass
class House:
    """Everything a path can name; `mark` makes names unique, since the live database is never emptied."""

    mark: str
    admin: User
    agent: User
    requester: User
    desk: Team
    network: Team
    calendar: Calendar
    contacts: list[Contact]
    first_list: ContactList
    second_list: ContactList
    service: Service
    category: Category
    organisation: Organisation
    path: EscalationPath

    def spec(self, **changes: Any) -> PathSpec:
        """Return a path without a fault; `changes` replace parts of it."""
        steps = (
            StepSpec(
                name="Service desk",
                tier=1,
                team_id=self.desk.pk,
                targets={s: (minutes(10 * s), minutes(30 * s)) for s in (1, 2, 3, 4)},
            ),
            StepSpec(
                name="Network",
                tier=2,
                team_id=self.network.pk,
                contact_list_ids=(self.first_list.pk,),
                wait=minutes(2),
                rounds=3,
                targets={s: (minutes(10 * s), minutes(60 * s)) for s in (1, 2, 3, 4)},
            ),
        )
        values: dict[str, Any] = {
            "name": f"Network {self.mark}",
            "position": 10,
            "calendar_id": self.calendar.pk,
            "fallback_contact_id": self.contacts[0].pk,
            "conditions": {"services": [self.service.pk]},
            "steps": steps,
            "promises": {
                s: PromiseSpec(first_response=minutes(30), resolution=minutes(240 * s)) for s in (1, 2, 3, 4)
            },
        }
        return PathSpec(**{**values, **changes})

    def publish(self, path_id: int | None = None, **changes: Any) -> PathVersion:
        """Publish `spec` with changes."""
        return publish_path(path_id=path_id, spec=self.spec(**changes), actor=self.admin, now=database_now())


def build_house() -> House:
    """Create a house; called by fixtures of either database."""
    mark = f"{next(_numbers)}{dt.datetime.now(tz=dt.UTC):%H%M%S%f}"
    admin = create_user(
        email=f"admin{mark}@example.org", name="Ada Admin", role=Role.ADMIN, time_zone="Europe/Berlin"
    )
    agent = create_user(email=f"agent{mark}@example.org", name="Gus Agent", role=Role.AGENT)
    requester = create_user(email=f"rita{mark}@example.com", name="Rita Requester")
    desk = create_team(name=f"Desk {mark}", tier=Tier.L1, lead=agent, members=[agent])
    network = create_team(name=f"Network team {mark}", tier=Tier.L2, members=[agent, admin])
    hours = parse(
        {
            "tz": "Europe/Berlin",
            "week": {d: [["09:00", "17:00"]] for d in ("mon", "tue", "wed", "thu", "fri")},
        }
    )
    calendar = publish_calendar(
        calendar_id=None, name=f"Office {mark}", hours=hours, actor_name="Ada Admin", now=database_now()
    ).calendar
    contacts = [
        create_contact(name=f"{name} {mark}", email=f"{name.lower()}{mark}@example.org")
        for name in ("Ilse", "Tomas", "Li")
    ]
    ContactMethod.objects.create(contact=contacts[0], address=f"second{mark}@example.org", position=2)
    ContactMethod.objects.filter(contact__in=contacts).update(proven_at=database_now())
    first_list = create_contact_list(
        name=f"Network on call {mark}",
        entries=[(contacts[0], "Core links down"), (contacts[1], "If Ilse can't")],
    )
    second_list = create_contact_list(
        name=f"Managers {mark}", entries=[(contacts[2], "More than 50 people without work")]
    )
    service = Service.objects.create(name=f"VPN {mark}", team=desk, criticality=1)
    category = Category.objects.create(name=f"Network {mark}")
    organisation = Organisation.objects.create(name=f"Northwind {mark}", vip=True)
    house = House(
        mark=mark,
        admin=admin,
        agent=agent,
        requester=requester,
        desk=desk,
        network=network,
        calendar=calendar,
        contacts=contacts,
        first_list=first_list,
        second_list=second_list,
        service=service,
        category=category,
        organisation=organisation,
        path=EscalationPath(),
    )
    if not EscalationPath.objects.filter(is_default=True).exists():
        house.publish(name=f"Everything else {mark}", is_default=True, conditions={}, position=900)
    house.path = house.publish().path
    return house


@pytest.fixture
def house(standing_admin_house: House) -> House:
    return standing_admin_house


def signed_in(user: User) -> Client:
    """Return a client whose session is this person's."""
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def admin(house: House) -> Client:
    return signed_in(house.admin)
