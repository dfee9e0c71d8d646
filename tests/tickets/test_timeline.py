"""The timeline is append-only, chained in the database, sealed, and sends one signal per operation."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from escalation.receivers import on_ticket_events
from notifications.receivers import tell_people
from tests.house import MIN, House
from tickets import kinds
from tickets.models import Entry, Event, Payload, Seal, Ticket
from tickets.operations import add_note, add_reply, add_tags, assign_ticket, set_severity
from tickets.operations.sealing import seal
from tickets.signals import ticket_events
from tickets.timeline import MAX_ROUNDS, LockOrder, NewEvent, TooManyRounds, working
from tickets.verification import verify


def test_every_change_is_recorded_with_who_when_from_to_and_reason(house: House) -> None:
    ticket = house.open()

    set_severity(
        ticket_id=ticket.pk, severity=1, actor=house.agent, now=house.now + MIN, reason="Whole office."
    )

    event = Event.objects.get(ticket=ticket, kind=kinds.SEVERITY_CHANGED)
    assert (event.actor, event.at) == (house.agent, house.now + MIN)
    assert (event.data["from"], event.data["to"]) == (3, 1)
    assert event.payload.text == {"reason": "Whole office."}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tickets_event SET kind = 'forged'",
        "DELETE FROM tickets_event",
        "UPDATE tickets_event SET data = '{}'",
    ],
)
def test_the_database_refuses_to_change_the_timeline(house: House, statement: str) -> None:
    house.open()

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)


def test_events_are_numbered_without_gaps_and_chained(house: House) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="On it.", actor=house.agent, now=house.now + MIN)
    add_tags(ticket_ids=[ticket.pk], tags=["vpn"], actor=house.agent, now=house.now + MIN)

    seqs = list(Event.objects.filter(ticket=ticket).order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 4
    assert list(verify()) == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE tickets_event SET data = '{\"to\": 4}' WHERE kind = 'severity_changed'", "changed after"),
        ("UPDATE tickets_event SET at = at - interval '1 hour' WHERE kind = 'noted'", "changed after"),
        ("DELETE FROM tickets_entry; DELETE FROM tickets_event WHERE kind = 'noted'", "missing before"),
        ("UPDATE tickets_entry SET body = 'never said'", "its text"),
        ("UPDATE tickets_ticket SET event_seq = event_seq - 1", "the chain ends"),
    ],
)
def test_whoever_gets_past_the_triggers_is_found_out(house: House, statement: str, what: str) -> None:
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="Look at the core.", actor=house.outsider, now=house.now + MIN)
    set_severity(ticket_id=ticket.pk, severity=1, actor=house.agent, now=house.now + MIN, reason="Office.")
    cursor = connection.cursor()
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("ALTER TABLE tickets_event DISABLE TRIGGER USER")

    cursor.execute(statement)

    assert any(what in finding.what for finding in verify())
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("ALTER TABLE tickets_event ENABLE TRIGGER USER")


def test_erasing_a_text_leaves_the_chain_whole(house: House) -> None:
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="Her phone number is 555.", actor=house.agent, now=house.now)

    Entry.objects.filter(kind="note").update(body="", erased_at=house.now)
    Payload.objects.update(text={}, erased_at=house.now)

    assert list(verify()) == []


@pytest.mark.django_db(transaction=True)
def test_a_lost_tail_shows_against_the_seal() -> None:
    from tests.house import build_house

    house = build_house()
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="Important.", actor=house.outsider, now=house.now)
    assert seal() == 1
    assert seal() == 0
    assert Seal.objects.get().heads == 1
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tickets_event DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM tickets_entry WHERE kind = 'note'")
        cursor.execute("SELECT max(seq) FROM tickets_event")
        (last,) = cursor.fetchone()
        cursor.execute("DELETE FROM tickets_event WHERE seq = %s", [last])
        # The forger mends the ticket's own counters, too.
        cursor.execute(
            "UPDATE tickets_ticket t SET event_seq = e.seq, event_hash = e.hash FROM tickets_event e"
            " WHERE e.ticket_id = t.id AND e.seq = %s",
            [last - 1],
        )
        cursor.execute("ALTER TABLE tickets_event ENABLE TRIGGER USER")

    assert [finding.what for finding in verify()] == ["sealed, but no longer there as sealed"]


@pytest.mark.django_db(transaction=True)
def test_only_what_changed_is_sealed_again() -> None:
    from tests.house import build_house

    house = build_house()
    first, second = house.open(), house.open()
    assert seal() == 2

    add_note(ticket_id=second.pk, body="More.", actor=house.agent, now=house.now)

    assert seal() == 1
    assert Seal.objects.count() == 2
    assert list(verify()) == []
    assert first.pk != second.pk


def test_no_event_is_earlier_than_the_one_before_it(house: House) -> None:
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="Later.", actor=house.agent, now=house.now + 5 * MIN)

    add_note(ticket_id=ticket.pk, body="A clock that is behind.", actor=house.agent, now=house.now)

    at = list(Event.objects.filter(ticket=ticket).order_by("seq").values_list("at", flat=True))
    assert at == sorted(at)


def test_only_notifications_and_escalation_receive_the_signal() -> None:
    receivers = [receiver() for _, receiver, *_ in ticket_events.receivers]

    assert set(receivers) == {tell_people, on_ticket_events}


def test_one_operation_sends_one_batch(house: House) -> None:
    batches: list[list[str]] = []

    def listen(sender: Any, *, events: list[Event], **_: Any) -> None:
        batches.append([event.kind for event in events])

    ticket = house.open()
    ticket_events.connect(listen, weak=False, dispatch_uid="test")
    try:
        assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=house.now)
    finally:
        ticket_events.disconnect(dispatch_uid="test")

    assert batches[0] == [kinds.ASSIGNED, kinds.STATUS_CHANGED]


def test_a_failing_receiver_rolls_everything_back(house: House) -> None:
    ticket = house.open()
    before = Event.objects.count()

    def fail(sender: Any, **_: Any) -> None:
        raise RuntimeError("receiver")

    ticket_events.connect(fail, weak=False, dispatch_uid="test")
    try:
        with pytest.raises(RuntimeError, match="receiver"):
            add_note(ticket_id=ticket.pk, body="Lost.", actor=house.agent, now=house.now)
    finally:
        ticket_events.disconnect(dispatch_uid="test")

    assert Event.objects.count() == before


def test_reactions_to_reactions_end(house: House) -> None:
    ticket = house.open()
    rounds = 0

    def echo(sender: Any, *, work: Any, **_: Any) -> None:
        nonlocal rounds
        rounds += 1
        work.record([NewEvent(work.tickets[ticket.pk], "test.echo")], actor=None, now=house.now)

    ticket_events.connect(echo, weak=False, dispatch_uid="test")
    try:
        with pytest.raises(TooManyRounds, match=r"test\.echo"):
            add_note(ticket_id=ticket.pk, body="Echo.", actor=house.agent, now=house.now)
    finally:
        ticket_events.disconnect(dispatch_uid="test")

    assert rounds == MAX_ROUNDS


def test_a_receiver_never_locks_a_further_ticket(house: House) -> None:
    first, second = house.open(), house.open()

    with working() as work:
        work.lock([second.pk])
        with pytest.raises(LockOrder):
            work.lock([first.pk])


def test_recording_costs_the_same_for_many_tickets(house: House, django_assert_num_queries: Any) -> None:
    tickets = [house.open() for _ in range(12)]
    with working() as work:
        held = work.lock([ticket.pk for ticket in tickets])
        with django_assert_num_queries(1):
            work.record([NewEvent(t, "test.many", {"n": t.pk}) for t in held], actor=None, now=house.now)
    assert Ticket.objects.filter(events__kind="test.many").count() == 12
    assert list(verify()) == []
