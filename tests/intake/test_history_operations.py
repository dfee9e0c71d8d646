"""The operations that record a past: in order, on historic tickets only, telling nobody."""

import datetime as dt
from typing import Any

import pytest

from core.errors import Refused
from escalation.models import Clock, Escalation, Standing
from escalation.operations import LoggedMove, LoggedTaking, record_moves
from notifications.models import Notification
from tests.house import MIN, House
from tickets.models import Entry, Event, Status, Ticket
from tickets.operations import Draft, LoggedCase, LoggedRow, record_cases

THEN = dt.datetime(2024, 3, 4, 8, tzinfo=dt.UTC)


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


def row(minute: int, **more: Any) -> LoggedRow:
    return LoggedRow(
        happened_at=THEN + minute * MIN, log={"n": minute}, changes=more.pop("changes", {}), **more
    )


def draft(house: House) -> Draft:
    return Draft(requester=house.requester, subject="Long ago", body="It was dark.", source_key="A")


def test_what_was_said_is_on_record_and_nobody_hears_of_it(house: House) -> None:
    said = Entry(kind="reply", author=house.agent, body="Have a torch.")
    thanks = Entry(kind="reply", author=house.requester, body="Bright!")
    rows = [
        row(0),
        row(5, entry=said, by=house.agent, changes={"status": "open", "assignee_id": house.agent.pk}),
        row(9, entry=thanks, by=house.requester),
        row(9, changes={"status": "resolved"}),
    ]

    result = record_cases(cases=[LoggedCase(draft=draft(house), rows=rows)], now=house.now)

    (ticket,) = result.tickets
    ticket.refresh_from_db()
    assert (result.opened, result.changed, result.unchanged) == (1, 3, 0)
    assert [e.body for e in ticket.entries.order_by("pk")] == ["It was dark.", "Have a torch.", "Bright!"]
    assert [e.from_requester for e in ticket.entries.order_by("pk")] == [True, False, True]
    assert (ticket.last_answer_at, ticket.last_requester_at) == (THEN + 5 * MIN, THEN + 9 * MIN)
    assert (ticket.status, ticket.resolved_at, ticket.assignee) == (
        Status.RESOLVED,
        THEN + 9 * MIN,
        house.agent,
    )
    logged = Event.objects.filter(ticket=ticket, data__has_key="log").order_by("seq")
    assert [event.data["log"]["n"] for event in logged] == [0, 5, 9, 9]
    assert not Notification.objects.exists()
    assert not Clock.objects.exists()
    assert not Standing.objects.exists()


def test_rows_out_of_order_are_refused_and_nothing_is_written(house: House) -> None:
    with pytest.raises(Refused, match="earlier than the one before it"):
        record_cases(cases=[LoggedCase(draft=draft(house), rows=[row(5), row(4)])], now=house.now)
    assert not Ticket.objects.exists()


def test_a_live_ticket_takes_no_history(house: House) -> None:
    ticket = house.open()
    with pytest.raises(Refused, match="no historic ticket"):
        record_cases(cases=[LoggedCase(ticket_id=ticket.pk, rows=[row(0)])], now=house.now)


def test_moves_are_numbered_on_and_taken_once(house: House) -> None:
    (ticket,) = record_cases(cases=[LoggedCase(draft=draft(house), rows=[row(0)])], now=house.now).tickets

    def move(minute: int, before: int, after: int) -> LoggedMove:
        return LoggedMove(
            ticket_id=ticket.pk, from_tier=before, to_tier=after, at=THEN + minute * MIN, by=house.agent
        )

    def taking(minute: int) -> LoggedTaking:
        return LoggedTaking(ticket_id=ticket.pk, at=THEN + minute * MIN, by=house.second)

    record_moves(moves=[taking(1), move(2, 1, 3)])
    record_moves(moves=[taking(4), taking(5), move(6, 3, 2)])

    climb, fall = Escalation.objects.order_by("seq")
    assert (climb.seq, climb.kind, climb.from_tier, climb.to_tier, climb.historic) == (1, "climb", 1, 3, True)
    assert (climb.acknowledged_at, climb.acknowledged_by) == (THEN + 4 * MIN, house.second)
    assert (fall.seq, fall.kind, fall.acknowledged_at, fall.trigger) == (2, "fall", None, "history")
