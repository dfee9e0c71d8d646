"""The built-in queues and the filters on top of them, as they stand in the address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Q, Value
from django.db.models.functions import StrIndex, Upper
from django.db.models.lookups import GreaterThan

from accounts.models import Role, Team, Tier, User
from accounts.queries import scope_of, team_ids_of
from accounts.rules import Reach, Scope, Verb
from tickets.models import Severity, Status, Ticket
from tickets.querysets import TicketQuerySet
from web.agent.paging import Order
from web.shell import count_sql

COUNT_CAP = 99
Choice = tuple[int, str]
BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks, resolved once per request: how far they see and which teams are theirs."""

    user: User
    scope: Scope
    team_ids: frozenset[int]

    @classmethod
    def of(cls, user: User) -> "Reader":
        """Resolve a person in one query."""
        scope = scope_of(user, Verb.VIEW)
        return cls(user, scope, scope.team_ids if scope.reach == Reach.TEAMS else team_ids_of(user))

    def tickets(self) -> TicketQuerySet:
        return Ticket.objects.within(self.scope)


@dataclass(frozen=True, slots=True)
class Queue:
    """One built-in queue and what it says when nothing is in it."""

    slug: str
    label: str
    icon: str
    narrow: Callable[[TicketQuerySet, Reader], TicketQuerySet]
    empty: str
    hint: str
    order: Order = field(default_factory=lambda: Order("next_due_at"))
    # Where the hint leads: (slug, label) of another queue.
    way_out: tuple[str, str] | None = None


QUEUES: tuple[Queue, ...] = (
    Queue(
        "mine",
        "My tickets",
        "user",
        lambda tickets, who: tickets.open().filter(assignee=who.user),
        "Nothing on your desk",
        "Take the next one that nobody has: the most urgent is on top.",
        way_out=("unassigned", "See what nobody has taken"),
    ),
    Queue(
        "teams",
        "My teams'",
        "users",
        lambda tickets, who: tickets.open().filter(team_id__in=who.team_ids),
        "Your teams hold nothing",
        "New tickets come here by themselves. If you belong to no team yet, ask an admin to add you.",
        way_out=("open", "See all open tickets"),
    ),
    Queue(
        "unassigned",
        "Unassigned",
        "user-question",
        lambda tickets, who: tickets.open().filter(assignee__isnull=True),
        "Every ticket has an owner",
        "Whatever comes in next stands here until somebody takes it.",
        way_out=("open", "See all open tickets"),
    ),
    Queue(
        "open",
        "All open",
        "inbox",
        lambda tickets, who: tickets.open(),
        "Nothing is open",
        "Tickets come from the portal, by mail and from monitoring. For somebody on the phone, open one yourself.",
    ),
    Queue(
        "unacknowledged",
        "Unacknowledged",
        "bell-ringing",
        lambda tickets, who: tickets.open().unacknowledged(),
        "Everything is acknowledged",
        "A ticket that climbs stands here, the longest waiting first, until somebody says: I take it.",
        order=Order("unacknowledged_since"),
        way_out=("open", "See all open tickets"),
    ),
    Queue(
        "waiting",
        "Waiting",
        "clock-pause",
        lambda tickets, who: tickets.open().filter(status__in=(Status.WAITING, Status.HOLD)),
        "Nobody is waited for",
        "Tickets that wait for a customer, a vendor or a change stand here with their follow-up clock.",
        way_out=("open", "See all open tickets"),
    ),
    Queue(
        "done",
        "Resolved, closed",
        "circle-check",
        lambda tickets, who: tickets.filter(status__in=(Status.RESOLVED, Status.CLOSED)),
        "Nothing is resolved yet",
        "Resolved tickets stand here, the newest first. Any of them can be reopened.",
        order=Order(),
        way_out=("open", "See all open tickets"),
    ),
)
# Found by the search field on top: open and done alike.
EVERYTHING = Queue(
    "all",
    "All tickets",
    "list",
    lambda tickets, who: tickets,
    "No ticket matches",
    "Search for a number, or for words of the subject.",
    order=Order(),
    way_out=("open", "See all open tickets"),
)
BY_SLUG = {queue.slug: queue for queue in (*QUEUES, EVERYTHING)}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for; anything it can't mean is left out."""

    tier: int | None = None
    severity: int | None = None
    status: str = ""
    team: int | None = None
    assignee: str = ""
    q: str = ""

    @classmethod
    def read(cls, params: Mapping[str, str]) -> "Filters":
        """Read filters out of an address."""
        assignee = params.get("assignee", "")
        return cls(
            tier=_one_of(params.get("tier", ""), Tier.values),
            severity=_one_of(params.get("severity", ""), Severity.values),
            status=params.get("status", "") if params.get("status", "") in Status.values else "",
            team=_number(params.get("team", "")),
            assignee=assignee if assignee in ("me", "nobody") or _number(assignee) else "",
            q=" ".join(params.get("q", "").replace("\x00", "").split())[:100],
        )

    def narrow(self, tickets: TicketQuerySet, reader: Reader) -> TicketQuerySet:
        """Keep the tickets that match every filter."""
        equal: dict[str, Any] = {
            "tier": self.tier,
            "severity": self.severity,
            "status": self.status,
            "team_id": self.team,
        }
        tickets = tickets.filter(**{name: value for name, value in equal.items() if value})
        match self.assignee:
            case "":
                pass
            case "me":
                tickets = tickets.filter(assignee=reader.user)
            case "nobody":
                tickets = tickets.filter(assignee__isnull=True)
            case person:
                tickets = tickets.filter(assignee_id=int(person))
        number = _number(self.q.removeprefix("#"))
        if number is not None and self.q.startswith("#"):
            # Nothing else is meant, and to look for it in a million subjects takes a second.
            return tickets.filter(pk=number)
        if number is not None:
            return tickets.filter(Q(pk=number) | _says(self.q))
        for word in self.q.split():
            tickets = tickets.filter(_says(word))
        return tickets

    def as_params(self, **changes: Any) -> str:
        """Return the filters as a query string, with changes."""
        values = {
            "q": self.q,
            "tier": self.tier,
            "severity": self.severity,
            "status": self.status,
            "team": self.team,
            "assignee": self.assignee,
        } | changes
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def active(self) -> bool:
        return any((self.tier, self.severity, self.status, self.team, self.assignee, self.q))


def queue_counts(reader: Reader) -> dict[str, str]:
    """Return each built-in queue's count as text, capped so that a million tickets cost no more; one query."""
    slugs, sql, params = _counts_sql(reader)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        numbers = cursor.fetchone()
    return {
        slug: (f"{COUNT_CAP}+" if number > COUNT_CAP else str(number))
        for slug, number in zip(slugs, numbers, strict=True)
    }


@lru_cache(maxsize=256)
def _counts_sql(reader: Reader) -> tuple[tuple[str, ...], str, tuple[Any, ...]]:
    """Write that query; the same for a person until their reach or teams change, and slower to write than to run."""
    # A pile is no queue: its height says nothing.
    counted = [queue for queue in QUEUES if queue.slug != "done"]
    parts = [count_sql(queue.narrow(reader.tickets(), reader), COUNT_CAP) for queue in counted]
    params = tuple(value for _, values in parts for value in values)
    return tuple(queue.slug for queue in counted), f"SELECT {', '.join(sql for sql, _ in parts)}", params


def queue_choices() -> tuple[list[Choice], list[Choice]]:
    """Return the teams and the people a queue may be narrowed to, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_CHOICES, [Role.REQUESTER])
        rows = cursor.fetchall()
    return [row[1:3] for row in rows if row[0] == "team"], [row[1:3] for row in rows if row[0] == "person"]


_CHOICES = """
(SELECT 'team', id, name FROM accounts_team WHERE is_active ORDER BY tier, name)
UNION ALL
(SELECT 'person', id, name FROM accounts_user WHERE is_active AND role <> %s ORDER BY name, id)
"""


def team_choices() -> list[Team]:
    """Return the teams a person may filter by or hand over to."""
    return list(Team.objects.filter(is_active=True).order_by("tier", "name"))


def agent_choices() -> list[User]:
    """Return everybody who works tickets, by name."""
    people = User.objects.filter(is_active=True).exclude(role=Role.REQUESTER)
    return list(people.only("name", "email", "role", "is_active").order_by("name", "pk"))


def _says(word: str) -> Q:
    """Return the condition that a ticket's subject has a word somewhere, in whatever case.

    Not by LIKE: PostgreSQL takes two words of a LIKE for next to nothing and reads all tickets to sort the few, where
    a walk along the list's own order soon has a page of them.
    """
    place = StrIndex(Upper("subject"), Upper(Value(word)))
    return Q(GreaterThan(place, 0))


def _number(text: str) -> int | None:
    return (
        int(text)
        if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= BIGGEST_ID
        else None
    )


def _one_of(text: str, allowed: list[int]) -> int | None:
    number = _number(text)
    return number if number in allowed else None
