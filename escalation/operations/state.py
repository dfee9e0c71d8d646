"""What is known of the tickets an operation holds: standing, path, live clocks, current escalation."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import prefetch_related_objects

from core.bulk import plain, read_rows, rows_of
from escalation.models import Clock, Escalation, Standing
from escalation.paths import path_rules
from escalation.rules.paths import PathRule, StepRule
from tickets.models import Ticket
from tickets.timeline import Work, clamp


@dataclass(slots=True)
class State:
    """One held ticket with all that escalation knows of it; changed in memory, written by a Plan."""

    ticket: Ticket
    standing: Standing
    path: PathRule
    current: Escalation
    clocks: dict[str, Clock] = field(default_factory=dict)

    @property
    def step(self) -> StepRule:
        return self.path.by_id[self.standing.step_id]

    @property
    def group(self) -> str:
        """What this seq's tellings are withdrawn by."""
        return telling_group(self.ticket.id, self.standing.seq)

    @property
    def acknowledged(self) -> bool:
        return self.current.acknowledged_at is not None

    def at(self, now: dt.datetime) -> dt.datetime:
        return clamp(self.ticket, now)


def telling_group(ticket_id: int, seq: int) -> str:
    """Return the outbox group of one ticket's tellings at one seq."""
    return f"telling:{ticket_id}:{seq}"


# Where the tickets stand, and the escalation that brought each there.
_STANDINGS = """
SELECT {columns}
FROM escalation_standing s
JOIN escalation_escalation e ON e.ticket_id = s.ticket_id AND e.seq = s.seq
WHERE s.ticket_id = ANY(%s::bigint[])
"""


def load_states(work: Work, ids: Iterable[int]) -> dict[int, State]:
    """Return the states of held tickets that stand on a path; two queries however many there are.

    Historic tickets have no standing and are left out. What a ticket refers to (service, assignee) is not loaded.
    """
    tickets = {ticket.id: ticket for ticket in work.lock(ids)}
    standings, current = _read_standings(tickets)
    if not standings:
        return {}
    rules = path_rules({row.version_id for row in standings})
    states = {
        row.ticket_id: State(tickets[row.ticket_id], row, rules[row.version_id], escalation)
        for row, escalation in zip(standings, current, strict=True)
    }
    for clock in read_rows(Clock, "ticket_id", states, where="state IN ('running', 'paused')"):
        states[clock.ticket_id].clocks[clock.kind] = clock
    return states


def _read_standings(ids: Iterable[int]) -> tuple[list[Standing], list[Escalation]]:
    names = [f's."{field.column}"' for field in Standing._meta.concrete_fields]  # noqa: SLF001
    split = len(names)
    names += [f'e."{field.column}"' for field in Escalation._meta.concrete_fields]  # noqa: SLF001
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS.format(columns=", ".join(names)), [plain(ids)])
        found = cursor.fetchall()
    return (
        rows_of(Standing, [row[:split] for row in found]),
        rows_of(Escalation, [row[split:] for row in found]),
    )


def with_assignees(states: Iterable[State]) -> None:
    """Load the assignees of many tickets, in one query."""
    prefetch_related_objects([state.ticket for state in states], "assignee")
