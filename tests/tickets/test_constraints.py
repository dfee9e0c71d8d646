"""The database refuses bad rows itself, whoever writes them."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from tests.house import House
from tickets.models import Entry, Event, Service, SeverityCell, Ticket
from tickets.operations import add_note


@pytest.fixture
def house(house: House) -> House:
    return house


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"severity": 0}, "ticket_severity_known"),
        ({"severity": 5}, "ticket_severity_known"),
        ({"tier": 0}, "ticket_tier_known"),
        ({"tier": 5}, "ticket_tier_known"),
        ({"status": "parked"}, "ticket_status_known"),
        ({"source": "fax"}, "ticket_source_known"),
        ({"impact": 4}, "ticket_impact_known"),
        ({"urgency": 0}, "ticket_urgency_known"),
        ({"complexity": 9}, "ticket_complexity_known"),
        ({"subject": ""}, "ticket_has_subject"),
        ({"requester": None}, "requester_id"),
        ({"reopened_count": -1}, "reopened_count"),
    ],
)
def test_a_ticket_is_never_what_no_ticket_is(values: dict[str, Any], constraint: str, house: House) -> None:
    ticket = house.open()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(**values)


@pytest.mark.parametrize(
    ("build", "constraint"),
    [
        (lambda t: SeverityCell(impact=1, urgency=1, severity=2), "one_severity_per_cell"),
        (lambda t: SeverityCell(impact=4, urgency=1, severity=1), "severity_cell_known"),
        (lambda t: Service(name="VPN", criticality=4), "service_criticality_known"),
        (lambda t: Event(ticket=t, seq=1, kind="forged", at=t.opened_at, hash=b""), "one_event_per_seq"),
        (
            lambda t: Entry(
                ticket=t,
                event=Event.objects.filter(ticket=t, entry=None).first(),
                kind="whisper",
                at=dt.datetime.now(dt.UTC),
            ),
            "entry_kind_known",
        ),
        (
            lambda t: Entry(ticket=t, event=t.entries.get().event, kind="note", at=dt.datetime.now(dt.UTC)),
            "event_id",
        ),
    ],
)
def test_a_row_beside_the_rules_is_refused(
    build: Callable[[Ticket], Any], constraint: str, house: House
) -> None:
    ticket = house.open()
    row = build(ticket)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        row.save(force_insert=True)


def test_nothing_that_has_a_past_is_deleted(house: House) -> None:
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="Note.", actor=house.agent, now=house.now)

    for row in (ticket, house.requester, house.desk):
        with pytest.raises(ProtectedError), transaction.atomic():
            row.delete()
