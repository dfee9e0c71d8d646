"""The clocks of what the requester was promised, and the follow-up while somebody is waited for."""

import datetime as dt
from collections.abc import Iterable

from calendars.queries import hours_of
from calendars.rules import due_business_days, elapsed
from escalation.models import Clock
from escalation.operations.plan import Plan
from escalation.operations.state import State
from escalation.operations.steps import PAUSED_BY_WAITING, stands_still
from escalation.rules.recounting import used_anew
from tickets.models import Ticket

KINDS = (
    Clock.Kind.FIRST_RESPONSE,
    Clock.Kind.NEXT_RESPONSE,
    Clock.Kind.RESOLUTION,
    Clock.Kind.STAKEHOLDER_UPDATE,
)


def budget_of(state: State, kind: str) -> dt.timedelta | None:
    """Return what was promised for `kind` at the ticket's severity, None for nothing."""
    promised = state.path.promised(state.ticket.severity)
    return {
        Clock.Kind.FIRST_RESPONSE: promised.first_response,
        Clock.Kind.NEXT_RESPONSE: promised.next_response,
        Clock.Kind.RESOLUTION: promised.resolution,
        Clock.Kind.STAKEHOLDER_UPDATE: promised.update_every,
    }[Clock.Kind(kind)]


def start_promise(plan: Plan, state: State, kind: str, *, since: dt.datetime, missed: int = 0) -> None:
    """Start a promise's clock, if anything was promised; resolution stands still while waiting."""
    budget = budget_of(state, kind)
    if budget is None:
        return
    version_id = plan.calendars.for_promise(state.path, state.ticket.severity)
    plan.start(state, kind, budget, since=since, calendar_version_id=version_id, round_number=missed)
    if stands_still(state, kind):
        plan.pause(state, kind)


def start_promises(plan: Plan, state: State, *, since: dt.datetime) -> None:
    """Start what is promised from the opening on."""
    for kind in (Clock.Kind.FIRST_RESPONSE, Clock.Kind.RESOLUTION, Clock.Kind.STAKEHOLDER_UPDATE):
        start_promise(plan, state, kind, since=since)


def start_follow_up(plan: Plan, state: State) -> None:
    """Start the clock that brings a waiting ticket back (DESIGN 3, waiting: it too has a next person)."""
    at = state.at(plan.now)
    version_id = plan.calendars.for_follow_up(state.path)
    hours = hours_of(version_id)
    due = due_business_days(hours, at, state.path.follow_up_days)
    plan.start(
        state,
        Clock.Kind.FOLLOW_UP,
        elapsed(hours, at, due),
        since=at,
        calendar_version_id=version_id,
    )


def apply_waiting(plan: Plan, state: State) -> None:
    """Pause or resume what waiting pauses, and start or end the follow-up, as the status now says."""
    for kind in PAUSED_BY_WAITING:
        if stands_still(state, kind):
            plan.pause(state, kind)
        else:
            plan.resume(state, kind)
    if state.ticket.is_waiting:
        start_follow_up(plan, state)
    else:
        plan.stop(state, Clock.Kind.FOLLOW_UP, Clock.State.MET)


def answer(plan: Plan, state: State, *, update: bool) -> None:
    """Keep the promises that a public answer keeps; a stakeholder update or a reply restarts the cadence."""
    at = state.at(plan.now)
    plan.stop(state, Clock.Kind.FIRST_RESPONSE, Clock.State.MET)
    plan.stop(state, Clock.Kind.NEXT_RESPONSE, Clock.State.MET)
    if state.ticket.is_open and (Clock.Kind.STAKEHOLDER_UPDATE in state.clocks or update):
        plan.stop(state, Clock.Kind.STAKEHOLDER_UPDATE, Clock.State.MET)
        start_promise(plan, state, Clock.Kind.STAKEHOLDER_UPDATE, since=at)


def finish(plan: Plan, state: State) -> None:
    """Stop every clock of a ticket that is resolved or closed."""
    for kind in list(state.clocks):
        kept = kind in (Clock.Kind.RESOLUTION, Clock.Kind.FOLLOW_UP)
        plan.stop(state, kind, Clock.State.MET if kept else Clock.State.CANCELLED)


def resume_resolution(plan: Plan, states: Iterable[State]) -> None:
    """Let the resolution of reopened tickets run on with what was left; a breach never fires twice (DESIGN 3)."""
    by_ticket = {state.ticket.pk: state for state in states}
    rows = Clock.objects.filter(ticket_id__in=by_ticket, kind=Clock.Kind.RESOLUTION).order_by(
        "ticket_id", "-pk"
    )
    last: dict[int, Clock] = {}
    for clock in rows:
        last.setdefault(clock.ticket_id, clock)
    for ticket_id, clock in last.items():
        state = by_ticket[ticket_id]
        if clock.state != Clock.State.MET or clock.fired_at is not None:
            continue
        # A ticket finished while it waited has its pause under way already.
        paused = bool(clock.pauses) and clock.pauses[-1][1] is None
        if clock.stopped_at is not None and not paused:
            clock.pauses = [*clock.pauses, [clock.stopped_at.isoformat(), None]]
        clock.ticket = state.ticket
        plan.run_on(state, clock)
        if stands_still(state, Clock.Kind.RESOLUTION):
            plan.pause(state, Clock.Kind.RESOLUTION)


def recompute(plan: Plan, states: Iterable[State]) -> None:
    """Recompute promises from their original start less pauses, after severity or path changed (DESIGN 3).

    A promise that fired or was met stays so; one that was not made before is made from the opening on.
    """
    wanted = list(states)
    ever = set(
        Clock.objects.filter(ticket_id__in=[s.ticket.pk for s in wanted], kind__in=KINDS).values_list(
            "ticket_id", "kind"
        )
    )
    for state in wanted:
        plan.calendars.learn([state.path])
        version_id = plan.calendars.for_promise(state.path, state.ticket.severity)
        for kind in KINDS:
            clock = state.clocks.get(kind)
            budget = budget_of(state, kind)
            if clock is not None and budget is None:
                plan.stop(state, kind, Clock.State.CANCELLED)
            elif clock is not None and budget is not None:
                count_anew(plan, state, clock, budget, version_id, started_at=clock.started_at)
            elif budget is not None and (state.ticket.pk, kind) not in ever:
                _make_good(plan, state, kind)


def count_anew(
    plan: Plan,
    state: State,
    clock: Clock,
    budget: dt.timedelta,
    version_id: int,
    *,
    started_at: dt.datetime,
) -> None:
    """Count a live clock anew: from `started_at`, in the calendar version that now holds, less its pauses."""
    at = state.at(plan.now)
    clock.used = used_anew(
        hours_of(version_id),
        started_at=started_at,
        running_since=clock.running_since,
        pauses=_pauses_of(clock),
        at=at,
    )
    clock.budget = budget
    clock.calendar_version_id = version_id
    clock.path_version_id = state.path.version_id
    clock.recorded_at = at
    if clock.running_since is not None:
        plan.set_timing(state, clock)
    plan.write(state, clock)


def _pauses_of(clock: Clock) -> list[tuple[dt.datetime, dt.datetime | None]]:
    """Return when a clock stood still; the last pause may still last (None)."""
    return [
        (dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end) if end else None)
        for start, end in clock.pauses
    ]


def _make_good(plan: Plan, state: State, kind: str) -> None:
    ticket: Ticket = state.ticket
    if kind == Clock.Kind.FIRST_RESPONSE and ticket.last_answer_at is not None:
        return
    if kind == Clock.Kind.NEXT_RESPONSE:
        return
    since = state.at(plan.now) if kind == Clock.Kind.STAKEHOLDER_UPDATE else ticket.opened_at
    start_promise(plan, state, kind, since=since)
