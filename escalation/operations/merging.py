"""What a survivor takes over from tickets that are merged into it (DESIGN 3, changes under way)."""

import copy
import datetime as dt
from collections.abc import Iterable, Sequence

from calendars.queries import hours_of
from escalation.models import Clock, Escalation
from escalation.operations.groups import groups_of_step, personal_group
from escalation.operations.plan import Plan
from escalation.operations.promises import KINDS
from escalation.operations.state import State
from escalation.operations.steps import SUSPENDED_BY_INCIDENT, move, overtake, stands_still
from escalation.paths import facts_of
from escalation.rules.clocks import timing
from escalation.rules.paths import entry_step

# Kept once in a ticket's life; the others start again with every word.
ONCE = (Clock.Kind.FIRST_RESPONSE, Clock.Kind.RESOLUTION)


def promises_of(states: Iterable[State]) -> list[Clock]:
    """Return the live promises of these tickets as they stand, before anything stops them."""
    return [copy.copy(clock) for state in states for kind, clock in state.clocks.items() if kind in KINDS]


def let_go(plan: Plan, state: State) -> None:
    """End all that a merged ticket had under way: clocks, tellings, messages, the wish and the question."""
    overtake(plan, state)
    for kind in list(state.clocks):
        plan.stop(state, kind, Clock.State.CANCELLED)
    plan.withdrawn |= {
        state.group,
        personal_group(state.ticket.pk),
        *groups_of_step(state.ticket.pk, state.standing.seq),
    }
    plan.touch(state)


def raise_tier(plan: Plan, state: State, tier: int) -> None:
    """Climb to the first step at `tier` or above, if the survivor stands lower."""
    step = entry_step(state.path, facts_of(state.ticket), at_least=tier)
    if tier <= state.ticket.tier or step.position <= state.step.position:
        return
    move(
        plan,
        state,
        step,
        kind=Escalation.Kind.CLIMB,
        trigger=Escalation.Trigger.MERGED,
        begin=state.at(plan.now),
    )


def take_over_promises(plan: Plan, offers: Sequence[tuple[State, Sequence[Clock]]]) -> None:
    """Let the earliest of each promise win; what the survivor has kept or missed already stays so. One query."""
    ended: set[tuple[int, str]] = set(
        Clock.objects.filter(
            ticket_id__in=[state.ticket.pk for state, _ in offers],
            kind__in=ONCE,
            state__in=(Clock.State.MET, Clock.State.FIRED),
        ).values_list("ticket_id", "kind")
    )
    for state, clocks in offers:
        answered = state.ticket.last_answer_at is not None
        for kind in KINDS:
            own = state.clocks.get(kind)
            over = (state.ticket.pk, kind) in ended or (kind == Clock.Kind.FIRST_RESPONSE and answered)
            if own is None and over:
                continue
            at = state.at(plan.now)
            rivals = [clock for clock in clocks if clock.kind == kind]
            best = min(rivals, key=lambda clock: would_be_due(clock, at), default=None)
            if best is not None and (own is None or would_be_due(best, at) < would_be_due(own, at)):
                _inherit(plan, state, best)


def would_be_due(clock: Clock, at: dt.datetime) -> dt.datetime:
    """Return when a live clock is due; one that stands still as if it ran on from `at`."""
    if clock.due_at is not None:
        return clock.due_at
    hours = hours_of(clock.calendar_version_id)
    return timing(clock.kind, hours, since=at, budget=clock.budget, used=clock.used).due_at


def _inherit(plan: Plan, state: State, promise: Clock) -> None:
    """Go on with another ticket's promise: its start, budget, calendar and pauses, so that it explains itself."""
    at = state.at(plan.now)
    clock = plan.start(
        state,
        promise.kind,
        promise.budget,
        since=promise.started_at,
        calendar_version_id=promise.calendar_version_id,
        round_number=promise.round,
        used=promise.used,
    )
    clock.running_since = promise.running_since or at
    clock.pauses = [[start, end or at.isoformat()] for start, end in promise.pauses]
    clock.warned_at = promise.warned_at
    clock.path_version_id = promise.path_version_id
    plan.set_timing(state, clock)
    if stands_still(state, promise.kind):
        # What an incident has taken over stands still though it is due.
        plan.pause(state, promise.kind, missed=promise.kind in SUSPENDED_BY_INCIDENT)
