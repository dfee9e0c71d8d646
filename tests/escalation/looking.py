"""How the tests of escalation look at a ticket, and let time pass."""

import datetime as dt

from escalation.engine import tick
from escalation.models import Clock
from notifications.models import Notification
from tests.house import HOUR, MIN, House
from tickets.models import Ticket

SECOND = dt.timedelta(seconds=1)
DAY = 24 * HOUR


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.get(pk=ticket.pk)


def clock(ticket: Ticket, kind: str) -> Clock | None:
    return Clock.objects.filter(ticket=ticket, kind=kind, state__in=("running", "paused")).first()


def due(ticket: Ticket, kind: str) -> dt.datetime | None:
    found = clock(ticket, kind)
    return found.due_at if found is not None else None


def tellings(ticket: Ticket) -> list[tuple[int, int, str, str]]:
    rows = Notification.objects.filter(ticket=ticket, round__isnull=False)
    return sorted(rows.values_list("seq", "round", "address", "state"))


def run(house: House, start: int, stop: int) -> None:
    """Tick every minute from `start` to `stop` (minutes after the house was built)."""
    for minute in range(start, stop + 1):
        tick(now=house.now + minute * MIN)


def at_l2(house: House, **more: object) -> Ticket:
    ticket = house.open(**more)
    tick(now=house.now + 30 * MIN)
    return fresh(ticket)
