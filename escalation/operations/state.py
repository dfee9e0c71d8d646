"""What is known of the tickets an operation holds: standing, path, live clocks, current escalation."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import F, prefetch_related_objects

from escalation.models import Clock, Escalation, Standing
from escalation.models.clocks import LIVE
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
        return next(step for step in self.path.steps if step.id == self.standing.step_id)

    @property
    def group(self) -> str:
        """What this seq's tellings are withdrawn by."""
        return telling_group(self.ticket.pk, self.standing.seq)

    @property
    def acknowledged(self) -> bool:
        return self.current.acknowledged_at is not None

    def at(self, now: dt.datetime) -> dt.datetime:
        return clamp(self.ticket, now)


def telling_group(ticket_id: int, seq: int) -> str:
    """Return the outbox group of one ticket's tellings at one seq."""
    return f"telling:{ticket_id}:{seq}"


def load_states(work: Work, ids: Iterable[int]) -> dict[int, State]:
    """Return the states of held tickets that stand on a path; three queries however many there are.

    Historic tickets have no standing and are left out. What a ticket refers to (service, assignee) is not loaded.
    """
    tickets = {ticket.pk: ticket for ticket in work.lock(ids)}
    standings = {row.ticket_id: row for row in Standing.objects.filter(ticket_id__in=tickets)}
    if not standings:
        return {}
    rules = path_rules({row.version_id for row in standings.values()})
    current = {
        row.ticket_id: row
        for row in Escalation.objects.filter(ticket_id__in=standings, seq=F("ticket__standing__seq"))
    }
    states = {
        pk: State(ticket=tickets[pk], standing=row, path=rules[row.version_id], current=current[pk])
        for pk, row in standings.items()
    }
    for clock in Clock.objects.filter(ticket_id__in=standings, state__in=LIVE):
        states[clock.ticket_id].clocks[clock.kind] = clock
    return states


def with_assignees(states: Iterable[State]) -> None:
    """Load the assignees of many tickets, in one query."""
    prefetch_related_objects([state.ticket for state in states], "assignee")
