"""Every operation may run at the same time as itself and as any other, and twice (DESIGN 2)."""

import itertools
from typing import Any

import pytest
from django.db import IntegrityError

from tests.helpers import race
from tests.house import MIN, House, build_house
from tickets import kinds
from tickets.models import Event, Status, Ticket
from tickets.operations import (
    Draft,
    add_note,
    add_reply,
    add_tags,
    assign_ticket,
    change_status,
    change_statuses,
    open_ticket,
    remove_tags,
    set_details,
    set_severity,
)
from tickets.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)


def failed(outcomes: list[Any]) -> list[Exception]:
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def count(ticket: Ticket, kind: str) -> int:
    return Event.objects.filter(ticket=ticket, kind=kind).count()


def test_the_same_change_from_four_sides_happens_once() -> None:
    house = build_house()
    tickets = {verb: house.open() for verb in ("status", "assign", "severity", "tags", "details")}
    now = house.now + MIN

    outcomes = race(
        *[
            lambda: change_status(
                ticket_id=tickets["status"].pk, status=Status.RESOLVED, actor=house.agent, now=now
            ),
            lambda: assign_ticket(
                ticket_id=tickets["assign"].pk, assignee=house.agent, actor=house.lead, now=now
            ),
            lambda: set_severity(
                ticket_id=tickets["severity"].pk, severity=1, actor=house.agent, now=now, reason="x"
            ),
            lambda: add_tags(ticket_ids=[tickets["tags"].pk], tags=["vpn"], actor=house.agent, now=now),
            lambda: set_details(
                ticket_id=tickets["details"].pk, changes={"complexity": 3}, actor=house.agent, now=now
            ),
        ]
        * 2
    )

    assert failed(outcomes) == []
    assert count(tickets["status"], kinds.STATUS_CHANGED) == 1
    assert count(tickets["assign"], kinds.ASSIGNED) == count(tickets["assign"], kinds.STATUS_CHANGED) == 1
    assert count(tickets["severity"], kinds.SEVERITY_CHANGED) == 1
    assert count(tickets["tags"], kinds.TAGGED) == 1
    assert count(tickets["details"], kinds.FIELD_CHANGED) == 1
    assert list(verify()) == []


def test_what_many_do_to_one_ticket_at_once_all_stays() -> None:
    house = build_house()
    ticket = house.open()
    now = house.now + MIN

    outcomes = race(
        lambda: add_tags(ticket_ids=[ticket.pk], tags=["one"], actor=house.agent, now=now),
        lambda: add_tags(ticket_ids=[ticket.pk], tags=["two"], actor=house.second, now=now),
        lambda: remove_tags(ticket_ids=[ticket.pk], tags=["never"], actor=house.third, now=now),
        lambda: add_note(ticket_id=ticket.pk, body="Note.", actor=house.outsider, now=now),
        lambda: add_reply(ticket_id=ticket.pk, body="Reply.", actor=house.requester, now=now),
        lambda: set_details(ticket_id=ticket.pk, changes={"subject": "New"}, actor=house.agent, now=now),
        lambda: set_severity(ticket_id=ticket.pk, severity=2, actor=house.lead, now=now, reason="x"),
    )

    ticket.refresh_from_db()
    assert failed(outcomes) == []
    assert (ticket.tags, ticket.subject, ticket.severity) == (["one", "two"], "New", 2)
    assert ticket.entries.count() == 3
    seqs = list(ticket.events.order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, ticket.event_seq + 1))
    assert list(verify()) == []


def test_two_who_take_a_ticket_at_once_leave_one_owner_and_the_whole_story() -> None:
    house = build_house()
    ticket = house.open()

    outcomes = race(
        *(
            lambda who=who: assign_ticket(ticket_id=ticket.pk, assignee=who, actor=who, now=house.now)
            for who in (house.agent, house.second)
        )
    )

    ticket.refresh_from_db()
    first, second = Event.objects.filter(ticket=ticket, kind=kinds.ASSIGNED).order_by("seq")
    assert failed(outcomes) == []
    assert first.data["from"] is None
    assert second.data == {"from": first.data["to"], "to": ticket.assignee_id}
    assert count(ticket, kinds.STATUS_CHANGED) == 1


def test_batches_in_opposite_orders_do_not_lock_each_other_out() -> None:
    house = build_house()
    ids = [house.open().pk for _ in range(6)]

    def tag(order: list[int], name: str) -> Any:
        return lambda: add_tags(ticket_ids=order, tags=[name], actor=house.agent, now=house.now)

    outcomes = race(tag(ids, "a"), tag(ids[::-1], "b"), tag(ids[3:] + ids[:3], "c"))

    assert failed(outcomes) == []
    assert set(map(tuple, Ticket.objects.values_list("tags", flat=True))) == {("a", "b", "c")}


def test_a_reply_and_a_solution_at_once_end_as_if_one_came_after_the_other() -> None:
    house = build_house()
    ticket = house.open()

    outcomes = race(
        lambda: add_reply(ticket_id=ticket.pk, body="Wait!", actor=house.requester, now=house.now + MIN),
        lambda: change_status(
            ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + MIN
        ),
    )

    ticket.refresh_from_db()
    told = list(
        Event.objects.filter(ticket=ticket, kind__in=[kinds.REPLIED, kinds.STATUS_CHANGED])
        .order_by("seq")
        .values_list("kind", flat=True)
    )
    assert failed(outcomes) == []
    if told[0] == kinds.REPLIED:
        assert (ticket.status, ticket.reopened_count) == (Status.RESOLVED, 0)
    else:
        assert (ticket.status, ticket.reopened_count, ticket.resolved_at) == (Status.OPEN, 1, None)


def test_the_same_record_received_twice_at_once_opens_one_ticket() -> None:
    house = build_house()

    def receive(source: str) -> Ticket:
        draft = Draft(requester=house.requester, subject="Disk", source=source, source_key="disk-7")
        return open_ticket(draft=draft, actor=None, now=house.now)

    outcomes = race(*[lambda: receive("monitoring")] * 2)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["IntegrityError", "Ticket"]
    assert Ticket.objects.count() == Event.objects.filter(kind=kinds.OPENED).count() == 1
    with pytest.raises(IntegrityError, match="one_ticket_per_source_key"):
        receive("monitoring")
    assert receive("email").pk


def test_half_a_batch_is_never_seen() -> None:
    house: House = build_house()
    ids = [house.open().pk for _ in range(5)]

    def look() -> list[int]:
        return [Ticket.objects.filter(pk__in=ids, status=Status.RESOLVED).count() for _ in range(40)]

    outcomes = race(
        lambda: change_statuses(
            ticket_ids=ids, status=Status.RESOLVED, actor=house.agent, now=house.now + MIN
        ),
        look,
    )

    assert failed(outcomes) == []
    assert set(outcomes[1]) <= {0, 5}
    assert all(a <= b for a, b in itertools.pairwise(outcomes[1]))
