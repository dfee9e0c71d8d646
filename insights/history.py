"""Read imported incidents back as the rows they came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from insights.rules import LogLine
from tickets import kinds
from tickets.models import Event, Source, Status, Ticket

CHUNK = 50


@dataclass(frozen=True, slots=True)
class LoggedIncident:
    """An imported ticket with the rows of its log, in order of time."""

    ticket: Ticket
    lines: tuple[LogLine, ...]


def count_incidents(limit: int | None = None) -> int:
    """Return how many imported incidents there are, at most `limit`."""
    count: int = _imported().count()
    return count if limit is None else min(count, limit)


def logged_incidents(limit: int | None = None) -> Iterator[list[LoggedIncident]]:
    """Yield imported incidents by the time they were opened, CHUNK at a time; two queries each, constant memory."""
    left = limit
    after: tuple[Any, int] | None = None
    while left is None or left > 0:
        tickets = (
            _imported().order_by("opened_at", "pk").select_related("organisation", "service", "requester")
        )
        if after is not None:
            later = tickets.filter(opened_at__gt=after[0])
            tickets = later | tickets.filter(opened_at=after[0], pk__gt=after[1])
        chunk = list(tickets[: CHUNK if left is None else min(CHUNK, left)])
        if not chunk:
            return
        last = chunk[-1]
        after = (last.opened_at, last.pk)
        left = None if left is None else left - len(chunk)
        events = Event.objects.filter(ticket__in=chunk).order_by("ticket_id", "seq")
        told = {pk: _lines(list(group)) for pk, group in groupby(events, key=lambda event: event.ticket_id)}
        yield [LoggedIncident(ticket, told[ticket.pk]) for ticket in chunk]


def _imported() -> Any:
    return Ticket.objects.filter(source=Source.IMPORT, historic=True)


def _lines(events: Sequence[Event]) -> tuple[LogLine, ...]:
    """Fold a timeline into its rows: each begins with the event that carries the log's words."""
    lines: list[LogLine] = []
    tier, status, assignee = 1, str(Status.NEW), None
    for event in events:
        facts = event.data
        match event.kind:
            case kinds.OPENED:
                tier = facts["tier"]
            case kinds.TIER_CHANGED:
                tier = facts["to"]
            case kinds.STATUS_CHANGED:
                status = facts["to"]
            case kinds.ASSIGNED:
                assignee = facts["to"]
        line = LogLine(event.when, tier, status, assignee is not None or status in ("resolved", "closed"))
        if "log" in facts:
            lines.append(line)
        elif lines:
            lines[-1] = line
    return tuple(lines)
