"""The bench's copied tickets are what the real operations leave."""

import datetime as dt

import pytest
from django.db.models import F

from bench.data import build
from bench.due import make_due
from core.db import database_now
from escalation.engine import tick
from escalation.models import Clock, Escalation
from escalation.operations.plan import ladder_row
from escalation.operations.state import load_states
from notifications.models import Delivery, Notification
from tickets.models import Entry, Event, Ticket
from tickets.operations import LadderRow
from tickets.timeline import working
from tickets.verification import verify

SIZE = 200
pytestmark = pytest.mark.django_db(transaction=True)


def wrong_ladders() -> list[LadderRow]:
    with working() as work:
        states = load_states(work, Ticket.objects.values_list("pk", flat=True))
        assert len(states) == Ticket.objects.count()
        return [
            row
            for row in map(ladder_row, states.values())
            if (row.next_due_at, row.tier_due_at, row.unacknowledged_since)
            != Ticket.objects.values_list("next_due_at", "tier_due_at", "unacknowledged_since").get(
                pk=row.ticket_id
            )
        ]


def test_copied_tickets_are_whole() -> None:
    build(SIZE)

    assert Ticket.objects.open().count() == SIZE
    assert list(verify()) == []
    assert wrong_ladders() == []
    # Nothing falls due while it is kept, and nothing waits to be sent.
    soon = database_now() + dt.timedelta(days=6)
    assert not Clock.objects.filter(fires_at__lt=soon).exists()
    assert set(Notification.objects.values_list("state", flat=True)) == {"sent"}
    assert Delivery.objects.count() == Notification.objects.count()
    rows_point_at_their_own_ticket()
    documents_tell_the_same_times_as_rows()


def rows_point_at_their_own_ticket() -> None:
    assert len(set(Escalation.objects.values_list("ticket", "seq"))) == Escalation.objects.count()
    assert not Entry.objects.exclude(event__ticket=F("ticket")).exists()
    assert not Event.objects.exclude(cause=None).exclude(cause__ticket=F("ticket")).exists()
    events = dict(Event.objects.values_list("pk", "ticket"))
    told = Notification.objects.filter(context__has_key="event")
    assert told.count() >= SIZE
    for ticket, group, context in told.values_list("ticket", "group", "context"):
        assert events[context["event"]] == ticket
        assert group == f"ticket:{ticket}"
    # A requester's mail goes to the requester of this very ticket.
    opened = Notification.objects.filter(kind="ticket.opened")
    assert not opened.exclude(user=F("ticket__requester"), address=F("ticket__requester__email")).exists()


def documents_tell_the_same_times_as_rows() -> None:
    climbs = Escalation.objects.filter(seq__gt=0, due_at__isnull=False)
    assert climbs.exists()
    for climb in climbs:
        event = Event.objects.get(ticket=climb.ticket_id, kind="escalation.escalated", data__seq=climb.seq)
        assert dt.datetime.fromisoformat(event.data["due_at"]) == climb.due_at
    for clock in Clock.objects.filter(state="paused"):
        assert (
            dt.datetime.fromisoformat(clock.pauses[-1][0])
            == clock.ticket.events.get(kind="status_changed", data__to="waiting").at
        )


def test_the_engine_climbs_what_was_made_due() -> None:
    build(SIZE)
    now = database_now()
    make_due(slices=[((now - dt.timedelta(minutes=ago)).isoformat(), 10) for ago in (3, 2, 1)])
    assert wrong_ladders() == []

    report = tick()

    assert (report.tickets, report.set_aside) == (30, 0)
    assert Escalation.objects.filter(at__gte=now).count() == 30
    assert Notification.objects.filter(state="pending", kind="escalation.told").count() == 90
    assert wrong_ladders() == []
    assert list(verify()) == []
