"""Put held tickets on a newer version of their path, or their clocks on one of a calendar (DESIGN 3, clocks).

What is gathered here is written by a Plan when it is applied, and thrown away when it is only looked at: the preview
and the change are one computation.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Max, prefetch_related_objects

from calendars.queries import hours_of
from calendars.rules import due_business_days, elapsed
from escalation import kinds
from escalation.models import Clock
from escalation.models.clocks import LIVE
from escalation.operations.by_hand import ANSWER_WITHIN
from escalation.operations.plan import Plan
from escalation.operations.promises import KINDS, budget_of, count_anew, start_promise
from escalation.operations.state import State
from escalation.operations.steps import PAUSED_BY_WAITING, remap, stands_still, start_tier_time
from escalation.paths import facts_of
from escalation.rules.clocks import used_until
from escalation.rules.paths import PathRule, StepRule
from escalation.rules.recounting import (
    UNCHANGED,
    Shift,
    Snap,
    counterpart,
    landing,
    no_sooner_than,
    shifts,
)
from escalation.rules.tally import StepChange

# The latest start of each promise that fired or was met, by (ticket, kind): such a one is not made again.
Spent = Mapping[tuple[int, str], dt.datetime]


@dataclass(frozen=True, slots=True)
class Recounted:
    """What a newer version did to one ticket."""

    ticket_id: int
    shifts: tuple[Shift, ...]
    step: StepChange | None = None


def follow_path(plan: Plan, states: Sequence[State], target: PathRule, *, job_id: int) -> list[Recounted]:
    """Put tickets on the version `target` of their path.

    Promises, and the step's clocks where the step stays the same rung, are counted anew from their own start less
    pauses, by the budgets and calendars of `target`; what it no longer has is cancelled, what it adds starts now. A
    clock that fired or was met stays so, an acknowledgement stands. A step without a counterpart is a change of path:
    next seq, told. Three queries at most, however many tickets; the plan writes the rest.
    """
    plan.calendars.learn([target])
    spent = _spent(states)
    rungs = {
        (path.version_id, step.id): counterpart(path, step, target)
        for path, step in {state.standing.step_id: (state.path, state.step) for state in states}.values()
    }
    lost = [state.ticket for state in states if rungs[state.path.version_id, state.step.id] is None]
    # Conditions of steps look at these.
    prefetch_related_objects(lost, "service", "organisation")
    done = []
    for state in states:
        at = state.at(plan.now)
        before, old_path, old_step = _snaps(state, at), state.path, state.step
        same = rungs[old_path.version_id, old_step.id]
        if same is not None:
            state.path = target
            state.standing.version_id = target.version_id
            state.standing.step_id = same.id
            _recount_step(plan, state, old_step)
        else:
            step = landing(old_path, old_step, target, facts_of(state.ticket), state.ticket.tier)
            reason = f"Version {target.number} of “{target.name}” has no step like “{old_step.name}”."
            remap(plan, state, step, target, reason=reason)
        _recount_promises(plan, state, spent)
        _recount_follow_up(plan, state)
        if old_path.hold_pauses != target.hold_pauses and state.ticket.status == "hold":
            _pause_as_said(plan, state)
        plan.touch(state)
        changes = shifts(state.ticket.pk, before, _snaps(state, at), at)
        change = StepChange(state.ticket.pk, old_step.name, state.step.name) if same is None else None
        done.append(Recounted(state.ticket.pk, changes, change))
        facts = {"what": "path", "name": target.name, "from": old_path.number, "to": target.number}
        _tell(plan, state, facts, changes, job_id)
    return done


def follow_calendar(
    plan: Plan,
    states: Sequence[State],
    *,
    older: Mapping[int, int],
    target_id: int,
    number: int,
    name: str,
    job_id: int,
) -> list[Recounted]:
    """Count the clocks that run by `older` versions of a calendar (id: number) by its version `target_id`.

    Budgets and steps stay; a follow-up keeps its business days. No query.
    """
    done = []
    for state in states:
        at = state.at(plan.now)
        before = _snaps(state, at)
        counted = [clock for clock in state.clocks.values() if clock.calendar_version_id in older]
        if not counted:
            continue
        first = min(older[clock.calendar_version_id] for clock in counted)
        for clock in counted:
            budget = clock.budget
            if clock.kind == Clock.Kind.FOLLOW_UP:
                budget = _follow_up_budget(state, clock, target_id)
            _recount(plan, state, clock, budget, target_id)
        plan.touch(state)
        changes = shifts(state.ticket.pk, before, _snaps(state, at), at)
        done.append(Recounted(state.ticket.pk, changes))
        _tell(plan, state, {"what": "calendar", "name": name, "from": first, "to": number}, changes, job_id)
    return done


def set_clock_steps(ticket_ids: Sequence[int]) -> None:
    """Let the live step clocks of these held tickets name the step they stand at; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE escalation_clock c SET step_id = s.step_id
            FROM escalation_standing s
            WHERE s.ticket_id = c.ticket_id AND c.ticket_id = ANY(%s) AND c.state = ANY(%s)
              AND c.seq = s.seq AND c.step_id IS DISTINCT FROM s.step_id
            """,
            [list(ticket_ids), list(LIVE)],
        )


def _recount_step(plan: Plan, state: State, was: StepRule) -> None:
    """Count the step's clocks by the version the state is on now; `was` is the same rung of the one before."""
    step, severity, at = state.step, state.ticket.severity, state.at(plan.now)
    version_id = plan.calendars.for_step(state.path, step, severity)
    work, acknowledge = step.work_within(severity), step.acknowledge_within(severity)
    _recount_or_cancel(plan, state, Clock.Kind.TIER_TIME, work, version_id)
    _recount_or_cancel(plan, state, Clock.Kind.ACKNOWLEDGE, acknowledge, version_id)
    _recount_or_cancel(
        plan, state, Clock.Kind.NEXT_TELLING, None if step.queue_only else step.wait, version_id
    )
    if Clock.Kind.REQUEST in state.clocks:
        _recount_or_cancel(plan, state, Clock.Kind.REQUEST, acknowledge or ANSWER_WITHIN, version_id)
    if Clock.Kind.TIER_TIME not in state.clocks:
        start_tier_time(plan, state, at)
    if state.acknowledged:
        return
    wanted_anew = acknowledge is not None and Clock.Kind.ACKNOWLEDGE not in state.clocks
    if wanted_anew and acknowledge is not None:
        _start(plan, state, Clock.Kind.ACKNOWLEDGE, acknowledge, version_id)
    if step.queue_only or Clock.Kind.NEXT_TELLING in state.clocks:
        return
    # Rounds that are over stay over, unless an answer is wanted that was not before.
    if wanted_anew or (was.queue_only and (acknowledge is not None or step.rounds > 1 or step.in_turn)):
        _start(plan, state, Clock.Kind.NEXT_TELLING, step.wait, version_id)


def _start(plan: Plan, state: State, kind: str, budget: dt.timedelta, version_id: int) -> None:
    at = state.at(plan.now)
    plan.start(state, kind, budget, since=at, calendar_version_id=version_id, step_bound=True)
    if stands_still(state, kind):
        plan.pause(state, kind, missed=state.standing.suspended_at is not None)


def _recount_promises(plan: Plan, state: State, spent: Spent) -> None:
    version_id = plan.calendars.for_promise(state.path, state.ticket.severity)
    for kind in KINDS:
        budget = budget_of(state, kind)
        if kind in state.clocks:
            _recount_or_cancel(plan, state, kind, budget, version_id)
        elif budget is not None and _is_new_promise(state, kind, spent):
            # From now on: a promise can't have been broken before it was made.
            start_promise(plan, state, kind, since=state.at(plan.now))


def _is_new_promise(state: State, kind: str, spent: Spent) -> bool:
    """Tell whether a promise that has no live clock is to have one because the new version makes it."""
    ticket = state.ticket
    last = spent.get((ticket.pk, kind))
    match kind:
        case Clock.Kind.FIRST_RESPONSE:
            return ticket.last_answer_at is None and last is None
        case Clock.Kind.NEXT_RESPONSE:
            answered, asked = ticket.last_answer_at, ticket.last_requester_at
            waits = answered is not None and asked is not None and asked > answered
            return waits and (last is None or (answered is not None and last < answered))
        case Clock.Kind.RESOLUTION:
            return last is None
        case _:
            return True


def _recount_follow_up(plan: Plan, state: State) -> None:
    clock = state.clocks.get(Clock.Kind.FOLLOW_UP)
    if clock is not None:
        version_id = plan.calendars.for_follow_up(state.path)
        _recount(plan, state, clock, _follow_up_budget(state, clock, version_id), version_id)


def _follow_up_budget(state: State, clock: Clock, version_id: int) -> dt.timedelta:
    hours = hours_of(version_id)
    due = due_business_days(hours, clock.started_at, state.path.follow_up_days)
    return elapsed(hours, clock.started_at, due)


def _pause_as_said(plan: Plan, state: State) -> None:
    for kind in PAUSED_BY_WAITING:
        if stands_still(state, kind):
            plan.pause(state, kind)
        else:
            plan.resume(state, kind)


def _recount_or_cancel(
    plan: Plan, state: State, kind: str, budget: dt.timedelta | None, version_id: int
) -> None:
    clock = state.clocks.get(kind)
    if clock is None:
        return
    if budget is None:
        plan.stop(state, kind, Clock.State.CANCELLED)
    else:
        _recount(plan, state, clock, budget, version_id)


def _recount(plan: Plan, state: State, clock: Clock, budget: dt.timedelta, version_id: int) -> None:
    """Count a live clock anew from its start, less its pauses; a deadline never moves to before now."""
    at, was = state.at(plan.now), clock.due_at
    started_at = clock.started_at
    if clock.kind == Clock.Kind.REQUEST and clock.running_since is not None:
        # Every interval of an unanswered wish counts for itself.
        started_at = clock.running_since
    count_anew(plan, state, clock, budget, version_id, started_at=started_at)
    if clock.running_since is not None:
        floor = no_sooner_than(was, at)
        if clock.due_at is not None and clock.fires_at is not None:
            clock.due_at, clock.fires_at = max(clock.due_at, floor), max(clock.fires_at, floor)


def _snaps(state: State, at: dt.datetime) -> dict[str, Snap]:
    found = {}
    for kind, clock in state.clocks.items():
        hours = hours_of(clock.calendar_version_id)
        used = used_until(hours, since=clock.running_since, used=clock.used, at=at)
        # With the warning over, `fires_at` is the deadline itself.
        warns_at = clock.warn_at if clock.warned_at is None else None
        found[kind] = Snap(clock.due_at, max(clock.budget - used, dt.timedelta(0)), warns_at)
    return found


def _spent(states: Iterable[State]) -> Spent:
    rows = (
        Clock.objects.filter(
            ticket_id__in=[state.ticket.pk for state in states],
            kind__in=KINDS,
            state__in=(Clock.State.FIRED, Clock.State.MET),
        )
        .values("ticket_id", "kind")
        .annotate(last=Max("started_at"))
        .order_by()
    )
    return {(row["ticket_id"], row["kind"]): row["last"] for row in rows}


def _tell(plan: Plan, state: State, facts: Mapping[str, Any], changes: Iterable[Shift], job_id: int) -> None:
    """Put on the timeline what was applied and which deadlines it moved."""
    moved = [
        {
            "clock": shift.kind,
            "outcome": shift.outcome,
            "from": shift.was.isoformat() if shift.was is not None else None,
            "to": shift.due.isoformat() if shift.due is not None else None,
        }
        for shift in changes
        if shift.outcome != UNCHANGED and shift.kind != Clock.Kind.NEXT_TELLING
    ]
    plan.event(state, kinds.APPLIED, {**facts, "moved": moved, "job": job_id})
