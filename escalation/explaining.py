"""Why each deadline of a ticket is when it is (DESIGN 3, clocks: every clock explains itself)."""

import datetime as dt
from dataclasses import dataclass

from calendars.queries import hours_of_many
from calendars.rules import CountedWindow, explain
from escalation.models import Clock
from escalation.models.clocks import LIVE
from escalation.rules.clocks import used_until
from tickets.models import Ticket


@dataclass(frozen=True, slots=True)
class Explanation:
    """One live clock with everything that makes its deadline; instants UTC."""

    kind: str
    label: str
    state: str
    started_at: dt.datetime
    due_at: dt.datetime | None
    budget: dt.timedelta
    used: dt.timedelta
    calendar: str
    calendar_version: int
    path: str
    pauses: tuple[tuple[dt.datetime, dt.datetime | None], ...]
    windows: tuple[CountedWindow, ...]


def explain_ticket(ticket: Ticket, now: dt.datetime) -> tuple[Explanation, ...]:
    """Return an explanation per live clock, the most urgent first; two queries at most."""
    clocks = list(
        Clock.objects.filter(ticket=ticket, state__in=LIVE).select_related(
            "calendar_version__calendar", "path_version__path"
        )
    )
    hours = hours_of_many({clock.calendar_version_id for clock in clocks})
    explained = []
    for clock in clocks:
        pauses = tuple(
            (dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end) if end else None)
            for start, end in clock.pauses
        )
        until = clock.due_at or (pauses[-1][0] if pauses else now)
        spans = [(start, end or now) for start, end in pauses]
        counted = hours[clock.calendar_version_id]
        explained.append(
            Explanation(
                kind=clock.kind,
                label=clock.get_kind_display(),
                state=clock.state,
                started_at=clock.started_at,
                due_at=clock.due_at,
                budget=clock.budget,
                used=used_until(counted, since=clock.running_since, used=clock.used, at=now),
                calendar=str(clock.calendar_version.calendar),
                calendar_version=clock.calendar_version.number,
                path=str(clock.path_version),
                pauses=pauses,
                windows=explain(counted, clock.started_at, max(until, clock.started_at), spans),
            )
        )
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    return tuple(sorted(explained, key=lambda line: (line.due_at or far, line.kind)))
