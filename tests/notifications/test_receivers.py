"""Who gets a mail about what was said or decided on a ticket."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Role, User
from notifications.models import Notification
from tests.notifications.cast import NOW, emptied, outbox, person, ticket
from tickets.models import Source, Status, Ticket
from tickets.operations import (
    Draft,
    add_entry,
    add_note,
    add_reply,
    assign_ticket,
    change_status,
    change_statuses,
    open_tickets,
    post_update,
    write_handoff,
)
from tickets.signals import ticket_events
from tickets.timeline import Work

pytestmark = pytest.mark.django_db

LATER = NOW + dt.timedelta(minutes=5)


class Scene:
    """A ticket of Carla's, held by Aisha; Piet is another agent, Lena a colleague of Carla's."""

    def __init__(self) -> None:
        self.carla = person("Carla")
        self.lena = person("Lena")
        self.aisha = person("Aisha", Role.AGENT)
        self.piet = person("Piet", Role.AGENT)
        self.ticket = ticket(self.carla)
        assign_ticket(ticket_id=self.ticket.pk, assignee=self.aisha, actor=self.aisha, now=NOW)
        emptied()

    def reply(self, actor: User | None, **more: object) -> None:
        add_reply(ticket_id=self.ticket.pk, body="Hello", actor=actor, now=LATER, **more)

    def status(self, status: str, actor: User | None, reason: str = "") -> None:
        change_status(ticket_id=self.ticket.pk, status=status, actor=actor, now=LATER, reason=reason)


def _answer_and(scene: Scene, status: str) -> None:
    scene.reply(scene.aisha, then_status=status)


STEPS: dict[str, tuple[Callable[[Scene], object], list[tuple[str, str]]]] = {
    "an agent's answer reaches the requester": (
        lambda s: s.reply(s.aisha),
        [("ticket.answered", "carla@example.org")],
    ),
    "another agent's answer reaches the requester, not the owner": (
        lambda s: s.reply(s.piet),
        [("ticket.answered", "carla@example.org")],
    ),
    "a stakeholder update reaches the requester": (
        lambda s: post_update(ticket_id=s.ticket.pk, body="Still at it", actor=s.aisha, now=LATER),
        [("ticket.updated", "carla@example.org")],
    ),
    "a note reaches nobody": (
        lambda s: add_note(ticket_id=s.ticket.pk, body="Internal", actor=s.piet, now=LATER),
        [],
    ),
    "a handoff reaches nobody by this way": (
        lambda s: write_handoff(ticket_id=s.ticket.pk, fields={"tried": "all"}, actor=s.piet, now=LATER),
        [],
    ),
    "the requester's reply reaches the owner": (
        lambda s: s.reply(s.carla),
        [("ticket.replied", "aisha@example.org")],
    ),
    "a colleague's reply reaches both owner and requester": (
        # By mail, in copy: who may not see the ticket here may still answer what they were sent.
        lambda s: s.reply(None, author=s.lena),
        [("ticket.replied", "aisha@example.org"), ("ticket.answered", "carla@example.org")],
    ),
    "an automatic reply is never answered": (
        lambda s: add_entry(
            ticket_id=s.ticket.pk,
            kind="reply",
            body="Away",
            actor=None,
            author=s.carla,
            now=LATER,
            automatic=True,
        ),
        [],
    ),
    "being given a ticket reaches the new owner": (
        lambda s: assign_ticket(ticket_id=s.ticket.pk, assignee=s.piet, actor=s.aisha, now=LATER),
        [("ticket.assigned", "piet@example.org")],
    ),
    "Belay itself giving a ticket reaches the new owner": (
        lambda s: assign_ticket(ticket_id=s.ticket.pk, assignee=s.piet, actor=None, now=LATER),
        [("ticket.assigned", "piet@example.org")],
    ),
    "taking a ticket oneself needs no mail": (
        lambda s: assign_ticket(ticket_id=s.ticket.pk, assignee=s.piet, actor=s.piet, now=LATER),
        [],
    ),
    "giving a ticket back to the queue reaches nobody": (
        lambda s: assign_ticket(ticket_id=s.ticket.pk, assignee=None, actor=s.piet, now=LATER),
        [],
    ),
    "a solution reaches the requester": (
        lambda s: s.status(Status.RESOLVED, s.aisha),
        [("ticket.resolved", "carla@example.org")],
    ),
    "closing an open ticket reaches the requester": (
        lambda s: s.status(Status.CLOSED, s.aisha),
        [("ticket.resolved", "carla@example.org")],
    ),
    "Belay's own closing of a resolved ticket is silent": (
        lambda s: (s.status(Status.RESOLVED, s.carla), s.status(Status.CLOSED, None)),
        [],
    ),
    "the requester's own solution needs no mail": (lambda s: s.status(Status.RESOLVED, s.carla), []),
    "on hold reaches nobody": (lambda s: s.status(Status.HOLD, s.aisha, "vendor"), []),
    "an answer that solves is one mail": (
        lambda s: _answer_and(s, Status.RESOLVED),
        [("ticket.answered", "carla@example.org")],
    ),
    "an answer that waits is one mail": (
        lambda s: _answer_and(s, Status.WAITING),
        [("ticket.answered", "carla@example.org")],
    ),
    "reopening by a reply reaches the owner once": (
        lambda s: (s.status(Status.RESOLVED, s.carla), s.reply(s.carla)),
        [("ticket.replied", "aisha@example.org")],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_who_is_told(name: str) -> None:
    scene = Scene()
    step, expected = STEPS[name]

    step(scene)

    assert outbox() == expected


def test_a_requesters_reply_on_an_unowned_ticket_reaches_nobody() -> None:
    scene = Scene()
    assign_ticket(ticket_id=scene.ticket.pk, assignee=None, actor=scene.aisha, now=NOW)

    scene.reply(scene.carla)

    assert outbox() == []


def test_an_owner_who_asked_for_help_themself_is_told_as_requester_only() -> None:
    aisha, piet = person("Aisha", Role.AGENT), person("Piet", Role.AGENT)
    own = ticket(aisha)
    assign_ticket(ticket_id=own.pk, assignee=aisha, actor=aisha, now=NOW)
    emptied()

    add_reply(ticket_id=own.pk, body="Hello", actor=piet, now=LATER)

    assert outbox() == [("ticket.answered", "aisha@example.org")]


@pytest.mark.parametrize(
    ("actor", "more", "told"),
    [
        ("requester", {"source": Source.PORTAL}, True),
        ("agent", {"source": Source.AGENT}, True),
        (None, {"source": Source.EMAIL}, True),
        (None, {"source": Source.EMAIL, "facts": {"automatic": True}}, False),
        (None, {"source": Source.MONITORING}, False),
        (None, {"source": Source.IMPORT, "historic": True, "happened_at": NOW}, False),
        (None, {"source": Source.EMAIL, "historic": True, "happened_at": NOW}, False),
    ],
)
def test_opening_is_confirmed_unless_nobody_would_read_it(
    actor: str | None, more: dict[str, object], told: bool
) -> None:
    carla, aisha = person("Carla"), person("Aisha", Role.AGENT)
    by = {"requester": carla, "agent": aisha, None: None}[actor]

    (opened,) = open_tickets(
        drafts=[Draft(requester=carla, subject="Help", body="x", **more)], actor=by, now=NOW
    )

    assert outbox(opened) == ([("ticket.opened", "carla@example.org")] if told else [])


def test_nobody_hears_of_a_historic_ticket_whatever_happens_to_it() -> None:
    carla, aisha = person("Carla"), person("Aisha", Role.AGENT)
    old = ticket(carla, historic=True, happened_at=NOW)

    add_reply(ticket_id=old.pk, body="Hello", actor=aisha, now=LATER)
    assign_ticket(ticket_id=old.pk, assignee=aisha, actor=None, now=LATER)
    change_status(ticket_id=old.pk, status=Status.RESOLVED, actor=aisha, now=LATER)

    assert outbox() == []


@pytest.mark.parametrize("gone", [{"is_active": False}, {"anonymised_at": NOW}])
def test_people_who_left_are_not_written_to(gone: dict[str, object]) -> None:
    scene = Scene()
    User.objects.filter(pk=scene.carla.pk).update(**gone)

    scene.reply(scene.aisha)

    assert outbox() == []


def test_a_mail_knows_its_ticket_reader_and_words_but_holds_none() -> None:
    scene = Scene()

    add_reply(ticket_id=scene.ticket.pk, body="A secret thing", actor=scene.aisha, now=LATER)

    row = Notification.objects.get(kind="ticket.answered")
    assert (row.ticket_id, row.user_id, row.group) == (
        scene.ticket.pk,
        scene.carla.pk,
        f"ticket:{scene.ticket.pk}",
    )
    entry = scene.ticket.entries.order_by("-pk").first()
    assert entry is not None
    assert row.context == {"event": entry.event_id, "entry": entry.pk}
    assert "secret" not in str(row.context)


def test_only_notifications_and_escalation_receive_the_one_signal() -> None:
    """Everything else reads the timeline by a cursor, so that its bug can never roll back an escalation (DESIGN 2)."""
    assert {receiver.__module__ for receiver in ticket_events._live_receivers(sender=Work)[0]} == {
        "notifications.receivers",
        "escalation.receivers",
    }


def test_what_is_rolled_back_is_not_mailed() -> None:
    scene = Scene()

    with pytest.raises(Exception, match="hold needs a reason"):
        scene.reply(scene.aisha, then_status=Status.HOLD)

    assert outbox() == []


def _solve(tickets: list[Ticket], actor: User) -> int:
    with CaptureQueriesContext(connection) as queries:
        change_statuses(ticket_ids=[t.pk for t in tickets], status=Status.RESOLVED, actor=actor, now=LATER)
    about_mail = [
        q for q in queries if "notifications_notification" in q["sql"] or "accounts_user" in q["sql"]
    ]
    return len(about_mail)


def test_a_batch_costs_as_many_queries_as_one_ticket() -> None:
    aisha = person("Aisha", Role.AGENT)
    requesters = [person(f"Requester{number}") for number in range(12)]
    tickets = open_tickets(
        drafts=[Draft(requester=who, subject="Help", body="x") for who in requesters], actor=None, now=NOW
    )
    emptied()

    one, many = _solve(tickets[:1], aisha), _solve(tickets[1:], aisha)

    assert one == many
    assert len(outbox()) == 12
