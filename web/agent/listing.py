"""The rows of a list: tickets with the names beside them and their most urgent clock, at three queries a page."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connection

from escalation.models import Clock
from tickets.models import Ticket

# What happens at a clock's deadline, as short as a column asks for.
SHORT = {
    Clock.Kind.FIRST_RESPONSE: "first answer",
    Clock.Kind.NEXT_RESPONSE: "next answer",
    Clock.Kind.RESOLUTION: "resolution",
    Clock.Kind.STAKEHOLDER_UPDATE: "update",
    Clock.Kind.TIER_TIME: "climbs",
    Clock.Kind.ACKNOWLEDGE: "climbs unless taken",
    Clock.Kind.NEXT_TELLING: "next one is told",
    Clock.Kind.FOLLOW_UP: "follow up",
    Clock.Kind.REQUEST: "answer the wish",
    Clock.Kind.QUESTION: "answer the question",
}
# All that a row shows of the ticket itself. Names come apart: to plan seven joins takes longer than to read the rows.
COLUMNS = (
    "subject",
    "severity",
    "tier",
    "status",
    "opened_at",
    "next_due_at",
    "unacknowledged_since",
    "requester_id",
    "organisation_id",
    "service_id",
    "team_id",
    "assignee_id",
)
_NAMES = """
SELECT 'person', id, coalesce(nullif(name, ''), email) FROM accounts_user WHERE id = ANY(%s)
UNION ALL SELECT 'organisation', id, name FROM accounts_organisation WHERE id = ANY(%s)
UNION ALL SELECT 'service', id, name FROM tickets_service WHERE id = ANY(%s)
UNION ALL SELECT 'team', id, name FROM accounts_team WHERE id = ANY(%s)
"""
_URGENT = """
SELECT DISTINCT ON (ticket_id) ticket_id, kind, started_at, due_at FROM escalation_clock
WHERE ticket_id = ANY(%s) AND state = 'running' ORDER BY ticket_id, due_at
"""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of people, organisations, services and teams by id."""

    found: dict[tuple[str, int], str] = field(default_factory=dict)

    def of(self, what: str, pk: int | None) -> str:
        """Return a name, "" for nobody."""
        return "" if pk is None else self.found.get((what, pk), "")


@dataclass(frozen=True, slots=True)
class Row:
    """A ticket in a list."""

    ticket: Ticket
    requester: str
    organisation: str
    service: str
    team: str
    assignee: str
    due_at: dt.datetime | None
    what: str
    share: float | None


def list_rows(tickets: Sequence[Ticket], now: dt.datetime) -> list[Row]:
    """Add names and each ticket's most urgent running clock, in two queries."""
    if not tickets:
        return []
    names = _names_in(tickets)
    with connection.cursor() as cursor:
        cursor.execute(_URGENT, [[ticket.pk for ticket in tickets]])
        urgent = {pk: (kind, started_at, due_at) for pk, kind, started_at, due_at in cursor.fetchall()}
    rows = []
    for ticket in tickets:
        kind, started_at, due_at = urgent.get(ticket.pk, ("", None, ticket.next_due_at))
        rows.append(
            Row(
                ticket=ticket,
                requester=names.of("person", ticket.requester_id),
                organisation=names.of("organisation", ticket.organisation_id),
                service=names.of("service", ticket.service_id),
                team=names.of("team", ticket.team_id),
                assignee=names.of("person", ticket.assignee_id),
                due_at=due_at if ticket.is_open else None,
                what=SHORT[Clock.Kind(kind)] if kind else "",
                share=_share(started_at, due_at, now),
            )
        )
    return rows


def _share(started_at: dt.datetime | None, due_at: dt.datetime | None, now: dt.datetime) -> float | None:
    if started_at is None or due_at is None or due_at <= started_at:
        return None
    return (now - started_at) / (due_at - started_at)


def _names_in(tickets: Sequence[Ticket]) -> Names:
    people = {ticket.requester_id for ticket in tickets} | _ids(ticket.assignee_id for ticket in tickets)
    with connection.cursor() as cursor:
        cursor.execute(
            _NAMES,
            [
                list(people),
                list(_ids(ticket.organisation_id for ticket in tickets)),
                list(_ids(ticket.service_id for ticket in tickets)),
                list(_ids(ticket.team_id for ticket in tickets)),
            ],
        )
        return Names({(what, pk): name for what, pk, name in cursor.fetchall()})


def _ids(values: Iterable[int | None]) -> set[int]:
    return {value for value in values if value is not None}
