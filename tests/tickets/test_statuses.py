"""Which status may follow which, for whom, and what is kept of it."""

import datetime as dt
import itertools
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from core.errors import Refused
from tests.house import HOUR, MIN, House
from tickets import kinds
from tickets.models import Event, Status, Ticket
from tickets.operations import (
    add_reply,
    add_tags,
    assign_ticket,
    change_status,
    change_statuses,
    remove_tags,
    set_details,
    set_severity,
)
from tickets.rules import may_follow

NEW, OPEN, WAITING, HOLD, RESOLVED, CLOSED = Status.values

# What an agent may make of each status; whatever is not here is refused.
AGENT = {
    NEW: {OPEN, WAITING, HOLD, RESOLVED, CLOSED},
    OPEN: {WAITING, HOLD, RESOLVED, CLOSED},
    WAITING: {OPEN, HOLD, RESOLVED, CLOSED},
    HOLD: {OPEN, WAITING, RESOLVED, CLOSED},
    RESOLVED: {OPEN, CLOSED},
    CLOSED: {OPEN},
}
# A requester comes back, or is content.
REQUESTER = {
    NEW: {RESOLVED},
    OPEN: {RESOLVED},
    WAITING: {OPEN, RESOLVED},
    HOLD: {RESOLVED},
    RESOLVED: {OPEN},
    CLOSED: {OPEN},
}
MOVES = [(a, b) for a, b in itertools.product(Status.values, Status.values) if a != b]


@pytest.fixture
def house(house: House) -> House:
    return house


def at(house: House, status: str, **more: Any) -> Ticket:
    """Return a ticket that stands at `status`, the customer answered."""
    ticket = house.open()
    values: dict[str, Any] = {"status": status, "last_answer_at": house.now + MIN, **more}
    if status in (RESOLVED, CLOSED):
        values["resolved_at"] = house.now + MIN
    if status == CLOSED:
        values["closed_at"] = house.now + MIN
    Ticket.objects.filter(pk=ticket.pk).update(**values)
    ticket.refresh_from_db()
    return ticket


def changed(house: House, ticket: Ticket, status: str, actor: User | None = None, **more: Any) -> Ticket:
    actor = more.pop("by", actor)
    change_status(
        ticket_id=ticket.pk, status=status, actor=actor, now=more.pop("now", house.now + HOUR), **more
    )
    ticket.refresh_from_db()
    return ticket


def events_of(ticket: Ticket, kind: str) -> list[Event]:
    return list(Event.objects.filter(ticket=ticket, kind=kind).order_by("seq"))


@pytest.mark.parametrize(("before", "after"), MOVES)
@pytest.mark.parametrize("who", ["agent", "requester"])
def test_the_status_goes_where_the_table_allows(who: str, before: str, after: str, house: House) -> None:
    ticket = at(house, before)
    allowed = after in {"agent": AGENT, "requester": REQUESTER}[who][before]

    with nullcontext() if allowed else pytest.raises(Refused, match="can") as refusal:
        changed(house, ticket, after, getattr(house, who), reason="Vendor.")

    ticket.refresh_from_db()
    events = events_of(ticket, kinds.STATUS_CHANGED)
    if not allowed:
        assert (refusal.value.field, ticket.status, events) == ("status", before, [])
        return
    (event,) = events
    assert ticket.status == after
    assert (event.data["from"], event.data["to"]) == (before, after)
    assert event.data["reopened"] == (before in (RESOLVED, CLOSED) and after == OPEN)
    assert event.payload.text == {"reason": "Vendor."}


@given(st.sampled_from(Status.values))
def test_no_status_follows_itself_and_done_comes_back_as_open_only(status: str) -> None:
    following = {after for after in Status.values if may_follow(status, after)}

    assert status not in following
    assert NEW not in following
    assert status not in (RESOLVED, CLOSED) or following & {NEW, OPEN, WAITING, HOLD} == {OPEN}
    assert following


@pytest.mark.parametrize("who", ["agent", "requester"])
def test_an_unknown_status_is_refused(who: str, house: House) -> None:
    with pytest.raises(Refused) as refusal:
        changed(house, at(house, OPEN), "parked", getattr(house, who))

    assert (refusal.value.field, refusal.value.value) == ("status", "parked")


@pytest.mark.parametrize("reason", ["", "  "])
def test_on_hold_needs_a_reason(reason: str, house: House) -> None:
    with pytest.raises(Refused) as refusal:
        changed(house, at(house, OPEN), HOLD, house.agent, reason=reason)

    assert refusal.value.field == "reason"


@pytest.mark.parametrize(
    ("answered", "spoke", "may_wait"),
    [(None, None, False), (None, 0, False), (0, None, True), (5, 0, True), (0, 0, True), (0, 5, False)],
)
def test_waiting_needs_an_answer_since_the_customer_last_spoke(
    answered: int | None, spoke: int | None, may_wait: bool, house: House
) -> None:
    def minute(n: int | None) -> dt.datetime | None:
        return None if n is None else house.now + n * MIN

    ticket = at(house, OPEN, last_answer_at=minute(answered), last_requester_at=minute(spoke))

    if may_wait:
        assert changed(house, ticket, WAITING, house.agent).status == WAITING
    else:
        with pytest.raises(Refused, match="public reply first"):
            changed(house, ticket, WAITING, house.agent)


def test_belay_itself_is_asked_for_no_reason(house: House) -> None:
    assert changed(house, at(house, OPEN, last_answer_at=None), WAITING).status == WAITING
    assert changed(house, at(house, OPEN), HOLD).status == HOLD


def test_resolving_closing_and_reopening_keep_their_instants(house: House) -> None:
    ticket = house.open()

    changed(house, ticket, RESOLVED, house.agent, now=house.now + 1 * HOUR)
    assert (ticket.resolved_at, ticket.closed_at) == (house.now + HOUR, None)

    changed(house, ticket, CLOSED, house.agent, now=house.now + 2 * HOUR)
    assert (ticket.resolved_at, ticket.closed_at) == (house.now + HOUR, house.now + 2 * HOUR)

    changed(house, ticket, OPEN, house.agent, now=house.now + 3 * HOUR)
    assert (ticket.resolved_at, ticket.closed_at, ticket.reopened_count) == (None, None, 1)

    changed(house, ticket, CLOSED, house.agent, now=house.now + 4 * HOUR)
    assert (ticket.resolved_at, ticket.closed_at) == (house.now + 4 * HOUR,) * 2

    changed(house, ticket, OPEN, house.requester, now=house.now + 5 * HOUR)
    assert ticket.reopened_count == 2


def test_what_is_so_already_changes_nothing(house: House) -> None:
    ticket = at(house, RESOLVED)
    count = Event.objects.count()

    assert change_status(ticket_id=ticket.pk, status=RESOLVED, actor=house.agent, now=house.now) == []
    assert (
        set_severity(ticket_id=ticket.pk, severity=3, actor=house.agent, now=house.now, reason="So it is.")
        == []
    )
    assert assign_ticket(ticket_id=ticket.pk, assignee=None, actor=house.agent, now=house.now) == []
    assert set_details(ticket_id=ticket.pk, changes={"impact": 2}, actor=house.agent, now=house.now) == []
    assert add_tags(ticket_ids=[ticket.pk], tags=[], actor=house.agent, now=house.now) == []
    assert remove_tags(ticket_ids=[ticket.pk], tags=["vpn"], actor=house.agent, now=house.now) == []
    assert Event.objects.count() == count


def test_one_ticket_that_can_t_follow_refuses_the_batch(house: House) -> None:
    fine, unanswered = at(house, OPEN), at(house, OPEN, last_answer_at=None)

    with pytest.raises(Refused):
        change_statuses(ticket_ids=[fine.pk, unanswered.pk], status=WAITING, actor=house.agent, now=house.now)

    fine.refresh_from_db()
    assert fine.status == OPEN


def test_an_unknown_ticket_is_said_to_be_so(house: House) -> None:
    known = house.open()

    with pytest.raises(Ticket.DoesNotExist):
        change_statuses(ticket_ids=[known.pk, 0], status=RESOLVED, actor=house.agent, now=house.now)

    known.refresh_from_db()
    assert known.status == NEW


def test_a_reply_by_mail_to_a_finished_imported_ticket_brings_nothing_back(house: House) -> None:
    ticket = at(house, CLOSED, historic=True)

    add_reply(ticket_id=ticket.pk, body="Hello?", actor=house.requester, now=house.now + HOUR)

    ticket.refresh_from_db()
    assert ticket.status == CLOSED


def test_a_requester_does_not_do_more_with_an_imported_ticket(house: House) -> None:
    ticket = at(house, OPEN, historic=True)

    with pytest.raises(Refused):
        changed(house, ticket, CLOSED, house.requester)


def test_a_clock_behind_the_last_event_does_not_turn_time_back(house: House) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="Later.", actor=house.agent, now=house.now + HOUR)

    changed(house, ticket, RESOLVED, house.agent, now=house.now)

    assert ticket.resolved_at == house.now + HOUR
