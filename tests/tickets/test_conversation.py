"""What is said on a ticket, who counts as whom, and the status that follows."""

import io
from typing import Any

import pytest
from django.core.files.storage import default_storage

from accounts.models import User
from accounts.operations import create_user
from core.errors import NotAllowed, Refused
from tests.house import MIN, House
from tickets import kinds
from tickets.models import Entry, Event, Status, Ticket
from tickets.operations import (
    Upload,
    add_entry,
    add_note,
    add_reply,
    assign_ticket,
    post_update,
    write_handoff,
)
from tickets.verification import verify


@pytest.fixture
def house(house: House) -> House:
    return house


def at(house: House, status: str) -> Ticket:
    """Return a ticket that stands at `status`, answered once."""
    ticket = house.open()
    Ticket.objects.filter(pk=ticket.pk).update(status=status)
    return ticket


def status_of(ticket: Ticket) -> str:
    return str(Ticket.objects.values_list("status", flat=True).get(pk=ticket.pk))


@pytest.mark.parametrize(
    ("writer", "before", "after"),
    [
        ("agent", Status.NEW, Status.OPEN),
        ("agent", Status.OPEN, Status.OPEN),
        ("agent", Status.WAITING, Status.WAITING),
        ("agent", Status.HOLD, Status.HOLD),
        ("agent", Status.RESOLVED, Status.RESOLVED),
        ("agent", Status.CLOSED, Status.CLOSED),
        ("requester", Status.NEW, Status.NEW),
        ("requester", Status.OPEN, Status.OPEN),
        ("requester", Status.WAITING, Status.OPEN),
        ("requester", Status.HOLD, Status.HOLD),
        ("requester", Status.RESOLVED, Status.OPEN),
        ("requester", Status.CLOSED, Status.OPEN),
    ],
)
def test_a_reply_is_followed_by_its_status(writer: str, before: str, after: str, house: House) -> None:
    ticket = at(house, before)

    add_reply(ticket_id=ticket.pk, body="Hello.", actor=getattr(house, writer), now=house.now + MIN)

    assert status_of(ticket) == after


@pytest.mark.parametrize("before", Status.values)
def test_an_automatic_reply_moves_nothing_and_answers_nobody(before: str, house: House) -> None:
    ticket = at(house, before)
    spoke = ticket.last_requester_at

    entry = add_reply(
        ticket_id=ticket.pk, body="I am away.", actor=house.requester, now=house.now + MIN, automatic=True
    )

    ticket.refresh_from_db()
    assert (ticket.status, ticket.last_requester_at, ticket.last_answer_at) == (before, spoke, None)
    assert entry.event.data == {"from_requester": True, "automatic": True}


@pytest.mark.parametrize("say", [add_note, post_update])
@pytest.mark.parametrize("before", [Status.NEW, Status.WAITING, Status.RESOLVED])
def test_a_passer_by_s_note_moves_nothing_an_update_takes_a_new_ticket_up(
    say: Any, before: str, house: House
) -> None:
    ticket = at(house, before)

    say(ticket_id=ticket.pk, body="Still looking.", actor=house.outsider, now=house.now + MIN)

    taken_up = say is post_update and before == Status.NEW
    assert status_of(ticket) == (Status.OPEN if taken_up else before)


@pytest.mark.parametrize(
    ("writer", "for_the_customer"),
    [
        ("requester", True),
        ("colleague", True),
        ("agent", False),
        ("outsider", False),
        ("manager", False),
        ("nobody", False),
    ],
)
def test_the_customer_speaks_through_the_requester_and_whoever_is_no_agent(
    writer: str, for_the_customer: bool, house: House
) -> None:
    colleague = create_user(email="colleague@example.org", name="Cole")
    author: User | None = {"colleague": colleague, "nobody": None}.get(writer) or getattr(house, writer, None)
    ticket = at(house, Status.WAITING)

    # By mail: Belay itself writes it down for its author.
    entry = add_reply(ticket_id=ticket.pk, body="Hi.", actor=None, author=author, now=house.now + MIN)

    ticket.refresh_from_db()
    assert entry.from_requester == for_the_customer
    assert (ticket.last_requester_at == house.now + MIN) == for_the_customer
    assert (ticket.last_answer_at == house.now + MIN) == (not for_the_customer)
    assert ticket.status == (Status.OPEN if for_the_customer else Status.WAITING)


def test_an_agent_who_is_the_requester_speaks_as_the_requester(house: House) -> None:
    ticket = at(house, Status.RESOLVED)
    Ticket.objects.filter(pk=ticket.pk).update(requester=house.agent)

    entry = add_reply(ticket_id=ticket.pk, body="Not yet.", actor=house.agent, now=house.now + MIN)

    assert entry.from_requester
    assert status_of(ticket) == Status.OPEN


def test_a_note_is_no_answer(house: House) -> None:
    ticket = house.open()

    add_note(ticket_id=ticket.pk, body="Look at the core.", actor=house.agent, now=house.now + MIN)

    ticket.refresh_from_db()
    assert ticket.last_answer_at is None


def test_a_reply_and_the_status_picked_beside_it_are_one_change(house: House) -> None:
    ticket = house.open()

    entry = add_reply(
        ticket_id=ticket.pk,
        body="The vendor has it.",
        actor=house.agent,
        now=house.now + MIN,
        then_status=Status.HOLD,
        reason="Vendor ticket 42",
    )

    event = Event.objects.get(ticket=ticket, kind=kinds.STATUS_CHANGED)
    assert status_of(ticket) == Status.HOLD
    assert (event.data["from"], event.data["to"], event.cause_id) == ("new", "hold", entry.event_id)
    assert event.payload.text == {"reason": "Vendor ticket 42"}
    assert event.actor == house.agent


@pytest.mark.parametrize(
    ("actor", "status", "field"),
    [
        ("agent", Status.HOLD, "reason"),
        ("agent", "parked", "status"),
        ("requester", Status.CLOSED, "status"),
        ("requester", Status.HOLD, "status"),
    ],
)
def test_a_status_that_can_t_follow_takes_the_reply_and_its_files_back(
    actor: str, status: str, field: str, house: House, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    ticket = house.open()
    events = Event.objects.count()

    with pytest.raises(Refused) as refusal:
        add_reply(
            ticket_id=ticket.pk,
            body="Hello.",
            actor=getattr(house, actor),
            now=house.now,
            then_status=status,
            uploads=[Upload("a.txt", io.BytesIO(b"a"))],
        )

    assert refusal.value.field == field
    assert (Entry.objects.count(), Event.objects.count()) == (1, events)
    assert not default_storage.exists("attachments")


@pytest.mark.parametrize("body", ["", "  \n\t", "\0"])
def test_nothing_said_is_refused(body: str, house: House) -> None:
    ticket = house.open()

    with pytest.raises(Refused, match="nothing to send") as refusal:
        add_reply(ticket_id=ticket.pk, body=body, actor=house.agent, now=house.now)

    assert refusal.value.field == "body"


def test_a_file_says_something_without_words(house: House) -> None:
    ticket = house.open()

    entry = add_reply(
        ticket_id=ticket.pk,
        body="",
        actor=house.requester,
        now=house.now,
        uploads=[Upload("screen.png", io.BytesIO(b"png"))],
    )

    assert entry.attachments.get().name == "screen.png"


def test_a_text_has_a_limit(house: House) -> None:
    ticket = house.open()

    entry = add_note(ticket_id=ticket.pk, body=f" {'ü' * 200_000} ", actor=house.agent, now=house.now)
    with pytest.raises(Refused) as refusal:
        add_note(ticket_id=ticket.pk, body="ü" * 200_001, actor=house.agent, now=house.now)

    assert len(entry.body) == 200_000
    assert refusal.value.field == "body"
    assert len(str(refusal.value.value)) < 100


def test_a_handoff_keeps_its_parts_apart(house: House) -> None:
    ticket = house.open()

    entry = write_handoff(
        ticket_id=ticket.pk,
        fields={"impact": " 300 people ", "tried": "Restart", "suspected": "  "},
        actor=house.agent,
        now=house.now,
    )

    entry.refresh_from_db()
    assert entry.fields == {"impact": "300 people", "tried": "Restart"}
    assert not entry.is_public
    assert entry.event.kind == kinds.HANDED_OFF
    assert list(verify()) == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"blame": "Bob"}, "handoff"),
        ({"impact": " "}, "body"),
        ({}, "body"),
        ({"tried": "x" * 200_001}, "body"),
    ],
)
def test_a_handoff_of_something_else_or_nothing_is_refused(
    fields: dict[str, str], field: str, house: House
) -> None:
    ticket = house.open()

    with pytest.raises(Refused) as refusal:
        write_handoff(ticket_id=ticket.pk, fields=fields, actor=house.agent, now=house.now)

    assert refusal.value.field == field
    assert Entry.objects.filter(ticket=ticket).count() == 1


@pytest.mark.parametrize("kind", ["note", "update", "handoff"])
def test_a_requester_only_replies(kind: str, house: House) -> None:
    ticket = house.open()

    with pytest.raises(NotAllowed, match="may not work"):
        add_entry(ticket_id=ticket.pk, kind=kind, body="Hi.", actor=house.requester, now=house.now)


def test_who_is_switched_off_says_nothing(house: House) -> None:
    ticket = house.open()
    for user in (house.requester, house.agent):
        User.objects.filter(pk=user.pk).update(is_active=False)
        user.refresh_from_db()
        with pytest.raises(NotAllowed):
            add_reply(ticket_id=ticket.pk, body="Hi.", actor=user, now=house.now)


def test_files_stay_with_what_they_came_with(house: House) -> None:
    ticket = house.open()
    note = add_note(
        ticket_id=ticket.pk,
        body="The trace.",
        actor=house.agent,
        now=house.now,
        uploads=[Upload("trace.txt", io.BytesIO(b"same")), Upload("copy.txt", io.BytesIO(b"same"))],
    )

    first, second = note.attachments.order_by("pk")
    assert first.sha256 == second.sha256
    assert first.file.name != second.file.name
    assert first.file.read() == second.file.read() == b"same"


def test_what_was_said_long_ago_keeps_its_time(house: House) -> None:
    ticket = house.open()
    long_ago = house.now - 60 * MIN

    entry = add_reply(
        ticket_id=ticket.pk, body="Hi.", actor=None, author=house.agent, now=house.now, happened_at=long_ago
    )

    ticket.refresh_from_db()
    assert (entry.at, ticket.last_answer_at) == (long_ago, long_ago)
    assert entry.event.at == house.now


def test_an_answer_takes_nobody_s_place(house: House) -> None:
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.second, actor=house.lead, now=house.now)

    add_reply(ticket_id=ticket.pk, body="I can say this much.", actor=house.agent, now=house.now + MIN)

    ticket.refresh_from_db()
    assert ticket.assignee == house.second
