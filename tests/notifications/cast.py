"""The people and tickets of these tests, made through the operations that the pages use."""

import datetime as dt
from typing import Any

from accounts.models import Organisation, Role, Team, User
from accounts.operations import create_team, create_user
from notifications.models import Notification
from notifications.operations import Message, enqueue
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


def person(name: str, role: str = Role.REQUESTER, **more: Any) -> User:
    """Create somebody by first name."""
    user = create_user(email=f"{name.lower()}@example.org", name=name, role=role)
    if more:
        User.objects.filter(pk=user.pk).update(**more)
        user.refresh_from_db()
    return user


def team(name: str, *members: User, tier: int = 1) -> Team:
    return create_team(name=name, tier=tier, members=members)


def northwind() -> Organisation:
    return Organisation.objects.get_or_create(name="Northwind")[0]


def ticket(requester: User, *, actor: User | None = None, now: dt.datetime = NOW, **more: Any) -> Ticket:
    """Open a ticket by its requester unless somebody else is named."""
    fields = {"subject": "VPN drops every few minutes", "body": "Since this morning.", **more}
    return open_ticket(draft=Draft(requester=requester, **fields), actor=actor or requester, now=now)


def outbox(ticket: Ticket | None = None) -> list[tuple[str, str]]:
    """Return (kind, address) of the mails about conversations, the oldest first."""
    rows = Notification.objects.filter(kind__startswith="ticket.")
    if ticket is not None:
        rows = rows.filter(ticket=ticket)
    return list(rows.order_by("pk").values_list("kind", "address"))


def emptied() -> None:
    """Forget the mails so far, so that a test sees only what its own step causes."""
    Notification.objects.all().delete()


def queued(address: str = "ann@example.org", *, kind: str = "test.plain", **more: Any) -> Notification:
    """Put one message into the outbox, due now, and return its row."""
    known = set(Notification.objects.values_list("pk", flat=True))
    now = more.pop("now", None) or dt.datetime.now(dt.UTC)
    enqueue(messages=[Message(kind=kind, address=address, **more)], now=now)
    return Notification.objects.exclude(pk__in=known).get()
