"""Enter a path, change step, tell a step again: what a Plan gets for it."""

import datetime as dt
from collections.abc import Sequence

from accounts.models import User
from core.bulk import make
from escalation import kinds
from escalation.models import Clock, Escalation, EscalationRequest, Standing
from escalation.operations.groups import consult_group, question_group
from escalation.operations.plan import Plan
from escalation.operations.state import State
from escalation.operations.telling import Telling
from escalation.rules.deciding import Cause
from escalation.rules.paths import PathRule, StepRule
from tickets.models import Entry, Ticket
from tickets.operations import Placement

STEP_CLOCKS = (Clock.Kind.TIER_TIME, Clock.Kind.ACKNOWLEDGE, Clock.Kind.NEXT_TELLING)
PAUSED_BY_WAITING = (Clock.Kind.RESOLUTION, Clock.Kind.TIER_TIME)
SUSPENDED_BY_INCIDENT = (*STEP_CLOCKS, Clock.Kind.STAKEHOLDER_UPDATE)


def enter(plan: Plan, ticket: Ticket, path: PathRule, step: StepRule, *, at: dt.datetime) -> State:
    """Put a ticket on its path: at the first step, and from there in one climb past what it skips (DESIGN 3)."""
    first = path.steps[0]
    standing = Standing(ticket=ticket, version_id=path.version_id, step_id=first.id, seq=0, since=at)
    entered = Escalation(
        ticket=ticket,
        seq=0,
        kind=Escalation.Kind.ENTERED,
        trigger=Escalation.Trigger.OPENED,
        path_version_id=path.version_id,
        to_step_id=first.id,
        to_tier=first.tier,
        at=at,
    )
    state = State(ticket=ticket, standing=standing, path=path, current=entered)
    plan.calendars.learn([path])
    plan.new_standings.append(standing)
    plan.escalations.append(entered)
    plan.event(
        state,
        kinds.ENTERED,
        {
            "seq": 0,
            "to": first.position,
            "tier": first.tier,
            "path": path.path_id,
            "version": path.version_id,
        },
    )
    plan.touch(state)
    if step.id != first.id:
        move(
            plan,
            state,
            step,
            kind=Escalation.Kind.CLIMB,
            trigger=Escalation.Trigger.PATH,
            begin=at,
            keep_assignee=True,
        )
        return state
    if first.transfers or ticket.tier != first.tier:
        plan.placements[ticket.id] = Placement(
            ticket_id=ticket.id,
            tier=first.tier,
            team_id=first.team_id,
            transfer=first.transfers,
            keep_assignee=True,
        )
    begin_step(plan, state, at)
    return state


def move(
    plan: Plan,
    state: State,
    step: StepRule,
    *,
    kind: str,
    trigger: str,
    begin: dt.datetime,
    path: PathRule | None = None,
    due_at: dt.datetime | None = None,
    late_by: dt.timedelta | None = None,
    co_triggers: Sequence[Cause] = (),
    actor: User | None = None,
    reason: str = "",
    handoff: Entry | None = None,
    keep_assignee: bool = False,
    request_becomes: str = EscalationRequest.State.OVERTAKEN,
    automatic: bool = False,
) -> Escalation:
    """Change the step of a ticket: next seq, old clocks and tellings end, the new step's begin at `begin`.

    Nobody inherits a spent clock (DESIGN 3, deciding). `path` is given when the path changes with it.
    """
    at = state.at(plan.now)
    before = state.step
    old_path = state.path
    for name in STEP_CLOCKS:
        plan.stop(state, name, Clock.State.FIRED if name == trigger else Clock.State.CANCELLED)
    overtake(plan, state, request_becomes)
    plan.stop(state, Clock.Kind.REQUEST, Clock.State.MET)
    plan.stop(state, Clock.Kind.QUESTION, Clock.State.CANCELLED)
    if state.current.actor_id is not None:
        # Sent here by hand, so that it may have been asked about; also where the question's time has run out.
        plan.withdrawn.add(question_group(state.ticket.id, state.standing.seq))
    standing = state.standing
    # Asked for only where anybody was told: the outbox is looked through for each group.
    if standing.round:
        plan.withdrawn.add(state.group)
    if standing.consulted:
        plan.withdrawn.add(consult_group(state.ticket.id, standing.seq))
    standing.seq += 1
    standing.round = standing.consulted = 0
    standing.declined = []
    standing.since = at
    if path is not None:
        state.path = path
        standing.version_id = path.version_id
        plan.calendars.learn([path])
    standing.step_id = step.id
    if automatic:
        standing.automatic_steps += 1
    elif kind in (Escalation.Kind.FALL, Escalation.Kind.RETURN, Escalation.Kind.REMAP):
        standing.allowances += 1
    if kind == Escalation.Kind.FALL:
        standing.falls += 1
    escalation = make(
        Escalation,
        {
            "id": None,
            "ticket_id": state.ticket.id,
            "seq": standing.seq,
            "kind": kind,
            "trigger": trigger,
            "co_triggers": [{"kind": c.kind, "due_at": c.due_at.isoformat()} for c in co_triggers],
            "path_version_id": state.path.version_id,
            "from_step_id": before.id,
            "to_step_id": step.id,
            "from_tier": before.tier,
            "to_tier": step.tier,
            "at": at,
            "due_at": due_at,
            "late_by": late_by,
            "actor_id": actor.pk if actor is not None else None,
            "handoff_id": handoff.pk if handoff is not None else None,
            "acknowledged_at": None,
            "acknowledged_by_id": None,
            "acknowledged_contact_id": None,
            "acknowledged_via": "",
            "historic": False,
        },
        ticket=state.ticket,
    )
    state.current = escalation
    plan.escalations.append(escalation)
    plan.event(
        state,
        kinds.ESCALATED,
        {
            "seq": standing.seq,
            "kind": kind,
            "trigger": trigger,
            "from": before.position,
            "to": step.position,
            "from_name": before.name,
            "to_name": step.name,
            "from_tier": before.tier,
            "to_tier": step.tier,
            "path_changed": old_path.path_id != state.path.path_id,
            "due_at": due_at.isoformat() if due_at is not None else None,
            "late_seconds": late_by.total_seconds() if late_by is not None else None,
            "co_triggers": [cause.kind for cause in co_triggers],
        },
        text={"reason": reason.strip()} if reason.strip() else None,
    )
    plan.placements[state.ticket.id] = Placement(
        ticket_id=state.ticket.id,
        tier=step.tier,
        team_id=step.team_id,
        transfer=step.transfers,
        keep_assignee=keep_assignee,
    )
    plan.touch(state)
    begin_step(plan, state, begin)
    return escalation


def remap(plan: Plan, state: State, step: StepRule, path: PathRule, *, reason: str = "") -> None:
    """Put a ticket on a step of another path or version, at full time; where the team stays, so does the owner."""
    move(
        plan,
        state,
        step,
        kind=Escalation.Kind.REMAP,
        trigger=Escalation.Trigger.CHANGED,
        begin=state.at(plan.now),
        path=path,
        actor=plan.actor,
        reason=reason,
        keep_assignee=step.team_id is None or step.team_id == state.ticket.team_id,
    )


def overtake(plan: Plan, state: State, request_becomes: str = EscalationRequest.State.OVERTAKEN) -> None:
    """Note that the open wish and question of this seq, if there are any, come to nothing; their clocks still run."""
    if Clock.Kind.REQUEST in state.clocks:
        plan.overtaken[state.ticket.id] = request_becomes
    if Clock.Kind.QUESTION in state.clocks:
        plan.questions_overtaken.add(state.ticket.id)


def again(
    plan: Plan, state: State, *, trigger: str, begin: dt.datetime, due_at: dt.datetime | None = None
) -> None:
    """Tell the same step again with fresh clocks: at the top, and where a reopened ticket stands already.

    The acknowledgement is cleared; rounds go on rising, so that every telling stays unique (DESIGN 3, the top).
    """
    at = state.at(plan.now)
    for name in STEP_CLOCKS:
        plan.stop(state, name, Clock.State.FIRED if name == trigger else Clock.State.CANCELLED)
    plan.withdrawn.add(state.group)
    state.standing.declined = []
    clear_acknowledgement(plan, state)
    plan.event(
        state,
        kinds.TOLD_AGAIN,
        {
            "seq": state.standing.seq,
            "trigger": trigger,
            "step": state.step.position,
            "tier": state.step.tier,
            "late_seconds": max((at - due_at).total_seconds(), 0.0) if due_at is not None else None,
        },
    )
    plan.touch(state)
    begin_step(plan, state, begin)


def clear_acknowledgement(plan: Plan, state: State) -> None:
    """Take back the acknowledgement of the current step; the timeline keeps that there was one."""
    current = state.current
    if current.acknowledged_at is None:
        return
    current.acknowledged_at = None
    current.acknowledged_by = None
    current.acknowledged_contact = None
    current.acknowledged_via = ""
    if current.pk is not None:
        plan.changed_escalations[current.pk] = current


def begin_step(plan: Plan, state: State, begin: dt.datetime) -> None:
    """Start the step's clocks with their full budgets and tell its list (DESIGN 3, telling and acknowledging).

    While a major incident goes on for the ticket they stand still and nobody is told.
    """
    step, ticket = state.step, state.ticket
    plan.calendars.learn([state.path])
    version_id = plan.calendars.for_step(state.path, step, ticket.severity)
    start_tier_time(plan, state, begin)
    acknowledge = step.acknowledge_within(ticket.severity)
    if acknowledge is not None:
        plan.start(
            state,
            Clock.Kind.ACKNOWLEDGE,
            acknowledge,
            since=begin,
            calendar_version_id=version_id,
            step_bound=True,
        )
    suspended = state.standing.suspended_at is not None
    if suspended:
        plan.pause(state, Clock.Kind.ACKNOWLEDGE, missed=True)
    if step.queue_only:
        return
    # A suspended step is told when it runs on: that waits too, whatever its rounds.
    if acknowledge is not None or step.rounds > 1 or step.in_turn or suspended:
        plan.start(
            state,
            Clock.Kind.NEXT_TELLING,
            step.wait,
            since=begin,
            calendar_version_id=version_id,
            step_bound=True,
        )
    if suspended:
        plan.pause(state, Clock.Kind.NEXT_TELLING, missed=True)
        return
    plan.tellings.append(Telling(state, begins=True))


def start_tier_time(plan: Plan, state: State, begin: dt.datetime) -> None:
    """Start the time at this tier, standing still while somebody outside is waited for."""
    step, ticket = state.step, state.ticket
    work = step.work_within(ticket.severity)
    if work is None:
        return
    plan.start(
        state,
        Clock.Kind.TIER_TIME,
        work,
        since=begin,
        calendar_version_id=plan.calendars.for_step(state.path, step, ticket.severity),
        step_bound=True,
    )
    if stands_still(state, Clock.Kind.TIER_TIME):
        plan.pause(state, Clock.Kind.TIER_TIME, missed=state.standing.suspended_at is not None)


def stands_still(state: State, kind: str) -> bool:
    """Tell whether a clock of this kind stands still as the ticket is now: it waits, or an incident goes on for it."""
    if kind in SUSPENDED_BY_INCIDENT and state.standing.suspended_at is not None:
        return True
    return kind in PAUSED_BY_WAITING and pauses_now(state)


def pauses_now(state: State) -> bool:
    """Tell whether the ticket's status makes resolution and tier_time stand still (DESIGN 3, waiting)."""
    status = state.ticket.status
    return status == "waiting" or (status == "hold" and state.path.hold_pauses)
