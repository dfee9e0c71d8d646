"""The cursor over the timeline loses nothing, whatever order transactions commit in (DESIGN 2)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from accounts.operations import create_user
from core.db import database_now
from tests.helpers import race
from tickets import kinds
from tickets.cursor import CHUNK, events_between, read_after, repeatable_read, take_cursor
from tickets.models import Event, Ticket
from tickets.operations import Draft, add_tags, open_ticket

pytestmark = pytest.mark.django_db(transaction=True)


def here() -> str:
    with repeatable_read():
        return take_cursor()


def new_ticket(subject: str = "VPN drops") -> Ticket:
    requester = create_user(email=f"{subject.split(maxsplit=1)[0].lower()}@example.org", name="Carla")
    return open_ticket(draft=Draft(requester=requester, subject=subject), actor=None, now=database_now())


@contextmanager
def held_open(ticket: Ticket, tag: str) -> Iterator[threading.Event]:
    """Write an event in another connection whose transaction commits when the block lets it."""
    written, may_commit = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with transaction.atomic():
                add_tags(ticket_ids=[ticket.pk], tags=[tag], actor=None, now=database_now())
                written.set()
                may_commit.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(10)
    try:
        yield may_commit
    finally:
        may_commit.set()
        thread.join(10)


def test_each_event_passes_once_and_in_order() -> None:
    cursor = here()
    ticket = new_ticket()
    add_tags(ticket_ids=[ticket.pk], tags=["vpn"], actor=None, now=database_now())

    reading = read_after(cursor)

    assert [(event.ticket_id, event.kind) for event in reading.events] == [
        (ticket.pk, kinds.OPENED),
        (ticket.pk, kinds.TAGGED),
    ]
    assert reading.events[0].requester_id == ticket.requester_id
    assert reading.events[1].data == {"added": ["vpn"], "removed": []}
    assert read_after(reading.cursor).events == []


def test_an_event_that_commits_late_is_not_lost() -> None:
    slow, quick = new_ticket("Slow one"), new_ticket("Quick one")
    cursor = here()
    with held_open(slow, "late") as may_commit:
        add_tags(ticket_ids=[quick.pk], tags=["early"], actor=None, now=database_now())
        first = read_after(cursor)
        # The id of the event under way is lower than that of the one read: an id cursor would be past it.
        assert [event.ticket_id for event in first.events] == [quick.pk]
        may_commit.set()
    (late,) = read_after(first.cursor).events
    assert late.ticket_id == slow.pk
    assert late.id < first.events[0].id


def test_an_event_under_way_while_the_cursor_is_taken_passes_after_it() -> None:
    ticket = new_ticket()
    with held_open(ticket, "late") as may_commit:
        cursor = here()
        assert read_after(cursor).events == []
        may_commit.set()
    assert [event.kind for event in read_after(cursor).events] == [kinds.TAGGED]


def test_what_is_rolled_back_never_passes() -> None:
    ticket = new_ticket()
    cursor = here()
    with transaction.atomic():
        add_tags(ticket_ids=[ticket.pk], tags=["never"], actor=None, now=database_now())
        transaction.set_rollback(True)
    assert read_after(cursor).events == []


def test_writers_in_a_crowd_lose_nothing_to_a_reader_in_between() -> None:
    tickets = [new_ticket(f"Crowd{number} one") for number in range(4)]
    cursor = here()
    done = threading.Event()
    passed: list[int] = []

    def read() -> None:
        nonlocal cursor
        while True:
            last = done.is_set()
            reading = read_after(cursor)
            cursor = reading.cursor
            passed.extend(event.id for event in reading.events)
            if last:
                return

    def write(ticket: Ticket) -> None:
        for number in range(25):
            with transaction.atomic():
                add_tags(ticket_ids=[ticket.pk], tags=[f"t{number}"], actor=None, now=database_now())

    def write_all() -> None:
        outcomes = race(*[lambda ticket=ticket: write(ticket) for ticket in tickets])
        done.set()
        assert outcomes == [None] * 4

    assert race(read, write_all) == [None, None]
    assert sorted(passed) == sorted(Event.objects.filter(kind=kinds.TAGGED).values_list("pk", flat=True))
    assert len(passed) == 100


def test_a_reader_of_the_latest_stops_and_knows_it() -> None:
    ticket = new_ticket()
    cursor = here()
    for number in range(5):
        add_tags(ticket_ids=[ticket.pk], tags=[f"t{number}"], actor=None, now=database_now())
    reading = read_after(cursor, at_most=3)
    assert reading.overflowed
    assert len(reading.events) == 3
    assert read_after(reading.cursor).events == []


def test_more_than_a_chunk_passes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHUNK > 100
    monkeypatch.setattr("tickets.cursor.CHUNK", 2)
    ticket = new_ticket()
    cursor = here()
    for number in range(5):
        add_tags(ticket_ids=[ticket.pk], tags=[f"t{number}"], actor=None, now=database_now())
    with repeatable_read():
        assert [event.seq for event in events_between(cursor, take_cursor())] == [2, 3, 4, 5, 6]
