"""An empty house: the very first ticket has a clock and a next person."""

import pytest
from django.core.management import call_command

from accounts.models import User
from core.db import database_now
from escalation.engine import tick
from escalation.models import EscalationPath, Standing
from escalation.operations import publish_path
from notifications.models import Notification
from tests.house import build_house, default_spec
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket

pytestmark = pytest.mark.django_db


def test_the_first_ticket_of_an_empty_house_climbs_to_the_admin(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_admin", "ada@example.org", name="Ada")
    admin = User.objects.get()
    now = database_now()

    draft = Draft(requester=admin, subject="Nothing works", impact=1, urgency=1)
    ticket = open_ticket(draft=draft, actor=admin, now=now)
    ticket.refresh_from_db()
    assert ticket.tier_due_at is not None
    tick(now=ticket.tier_due_at)

    assert Ticket.objects.get().tier == 4
    told = Notification.objects.get(round__isnull=False)
    assert told.address == "ada@example.org"
    assert "password" in capsys.readouterr().out


def test_a_second_admin_brings_no_second_path() -> None:
    call_command("create_admin", "ada@example.org")

    call_command("create_admin", "bob@example.org")

    assert EscalationPath.objects.count() == 1


def test_a_default_without_conditions_makes_way_for_the_next_one() -> None:
    house = build_house()
    old = EscalationPath.objects.get(is_default=True)

    spec = default_spec(house, name="New standard")
    version = publish_path(path_id=None, spec=spec, actor=house.admin, now=house.now)

    old.refresh_from_db()
    assert (old.is_default, old.is_active) == (False, False)
    assert Standing.objects.get(ticket=house.open()).version == version
