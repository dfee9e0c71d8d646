"""Escalate and de-escalate by hand, and the requester's wish for it (DESIGN 3, by hand)."""

import datetime as dt
from collections.abc import Mapping

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.models import Clock, Escalation, EscalationRequest
from escalation.operations.acknowledging import check_seen, hold_state
from escalation.operations.people import may_move_down
from escalation.operations.plan import PersonalMessage, Plan
from escalation.operations.state import State
from escalation.operations.steps import move
from escalation.rules.paths import StepRule
from notifications.operations import Message
from tickets.models import Entry
from tickets.operations import write_handoff
from tickets.queries import surviving, visible
from tickets.timeline import working

# A wish at a step whose matrix gives no acknowledge time is answered within this.
ANSWER_WITHIN = dt.timedelta(minutes=30)


def escalate(
    *,
    ticket_id: int,
    seen_seq: int,
    actor: User | None,
    now: dt.datetime,
    reason: str,
    to_position: int | None = None,
    handoff: Mapping[str, str] | None = None,
    trigger: str | None = None,
) -> Escalation:
    """Climb to the next step, or to `to_position`, which needs a reason when steps are skipped.

    Any agent may escalate any ticket they can see, without approval and without owning it. `handoff` is written as an
    entry first. Raises Moved (the ticket changed step since `seen_seq`), Refused (no reason, no step above) and
    NotAllowed.
    """
    permit(actor, Verb.ESCALATE)
    if not reason.strip() and actor is not None:
        raise Refused(
            "Escalating needs a reason.",
            field="reason",
            value="",
            mend="Say in a sentence why the next tier.",
        )
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        check_seen(state, seen_seq, state.at(now))
        check_open(state)
        _check_not_suspended(state)
        step = _step_above(state, to_position)
        entry = _write_handoff(state, handoff, actor, now)
        plan = Plan(work, now=now, actor=actor)
        if trigger is None:
            lead = actor is not None and actor.is_lead
            trigger = Escalation.Trigger.LEAD if lead else Escalation.Trigger.AGENT
        escalation = move(
            plan,
            state,
            step,
            kind=Escalation.Kind.CLIMB,
            trigger=trigger,
            begin=state.at(now),
            actor=actor,
            reason=reason,
            handoff=entry,
        )
        plan.flush()
        return escalation


def deescalate(
    *, ticket_id: int, seen_seq: int, to_position: int, actor: User | None, now: dt.datetime, reason: str
) -> Escalation:
    """Hand a ticket back to an earlier step with a reason; its people are told, acknowledge and get its full time.

    Only the current team or a lead; from the second fall on only a lead, whose doing it is the confirmation. Raises
    Moved, Refused, NotAllowed.
    """
    permit(actor, Verb.DEESCALATE)
    if not reason.strip() and actor is not None:
        raise Refused(
            "De-escalating needs a reason.",
            field="reason",
            value="",
            mend="Say what the earlier tier can do now.",
        )
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        check_seen(state, seen_seq, state.at(now))
        check_open(state)
        _check_not_suspended(state)
        if not 1 <= to_position < state.step.position:
            raise Refused(
                f"Step {to_position} is not below {state.step.name}.",
                field="to_position",
                value=to_position,
                mend=f"Take a step from 1 to {state.step.position - 1}."
                if state.step.position > 1
                else "This is the first step.",
            )
        if actor is not None and not may_move_down(state, actor):
            raise NotAllowed(
                f"Only {state.step.name} or a lead hands #{ticket_id} back.",
                field="actor",
                value=actor.email,
                mend="Ask them, or add a note.",
            )
        if actor is not None and state.standing.falls >= 1 and not actor.may(Verb.LEAD):
            raise NotAllowed(
                f"#{ticket_id} was handed back before; from the second time on a lead confirms.",
                field="actor",
                value=actor.email,
                mend="Ask your lead to do it.",
            )
        plan = Plan(work, now=now, actor=actor)
        escalation = move(
            plan,
            state,
            state.path.step(to_position),
            kind=Escalation.Kind.FALL,
            trigger=Escalation.Trigger.LEAD
            if actor is not None and actor.is_lead
            else Escalation.Trigger.AGENT,
            begin=state.at(now),
            actor=actor,
            reason=reason,
        )
        plan.flush()
        return escalation


def request_escalation(*, ticket_id: int, actor: User, reason: str, now: dt.datetime) -> EscalationRequest:
    """Ask, as the requester, that the ticket climbs: once per step; the lead grants or declines.

    Unanswered within the step's acknowledge time it climbs one step, never into management by itself. Raises Refused,
    Conflict (asked already, or finished), NotAllowed.
    """
    permit(actor, Verb.REQUEST_ESCALATION)
    if not reason.strip():
        raise Refused("Please say why it can't wait.", field="reason", value="", mend="A sentence is enough.")
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        check_open(state)
        if state.standing.suspended_at is not None:
            raise Conflict(
                "Your ticket is part of a larger incident that is being worked on.",
                field="ticket",
                value=ticket_id,
                mend="Write a reply if there is something we should know.",
            )
        if state.path.after(state.step) is None:
            raise Conflict(
                "Your ticket is with the last level already.",
                field="ticket",
                value=ticket_id,
                mend="Write a reply: they read it.",
            )
        seq = state.standing.seq
        if EscalationRequest.objects.filter(ticket_id=ticket_id, seq=seq).exists():
            raise Conflict(
                "You asked for that at this level already.",
                field="ticket",
                value=ticket_id,
                mend="You hear from the lead here.",
            )
        at = state.at(now)
        request = EscalationRequest.objects.create(
            ticket_id=ticket_id, seq=seq, requested_by=actor, reason=reason.strip(), requested_at=at
        )
        plan = Plan(work, now=now, actor=actor)
        plan.calendars.learn([state.path])
        plan.start(
            state,
            Clock.Kind.REQUEST,
            state.step.acknowledge_within(state.ticket.severity) or ANSWER_WITHIN,
            since=at,
            calendar_version_id=plan.calendars.for_step(state.path, state.step, state.ticket.severity),
            step_bound=True,
        )
        plan.event(
            state, kinds.REQUESTED, {"seq": seq, "request": request.pk}, text={"reason": request.reason}
        )
        plan.personal.append(PersonalMessage(state, kinds.TELL_REQUEST, "lead", {"request": request.pk}))
        plan.flush()
        return request


def grant_request(
    *,
    request_id: int,
    actor: User,
    now: dt.datetime,
    reason: str = "",
    handoff: Mapping[str, str] | None = None,
) -> Escalation:
    """Grant a requester's wish: the ticket climbs one step. Raises Conflict when it is answered, NotAllowed."""
    permit(actor, Verb.LEAD)
    ticket_id = EscalationRequest.objects.values_list("ticket_id", flat=True).get(pk=request_id)
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        request = _open_request(state, request_id)
        check_open(state)
        _check_not_suspended(state)
        entry = _write_handoff(state, handoff, actor, now)
        plan = Plan(work, now=now, actor=actor)
        _answer(plan, state, request, EscalationRequest.State.GRANTED, actor, reason)
        escalation = move(
            plan,
            state,
            _step_above(state, None),
            kind=Escalation.Kind.CLIMB,
            trigger=Escalation.Trigger.REQUESTER,
            begin=state.at(now),
            actor=actor,
            reason=request.reason,
            handoff=entry,
        )
        plan.flush()
        return escalation


def decline_request(*, request_id: int, actor: User, reason: str, now: dt.datetime) -> EscalationRequest:
    """Decline a requester's wish with a reason that the requester sees. Raises Conflict, Refused, NotAllowed."""
    permit(actor, Verb.LEAD)
    if not reason.strip():
        raise Refused(
            "Declining needs a reason; the requester reads it.",
            field="reason",
            value="",
            mend="Say why it stays where it is.",
        )
    ticket_id = EscalationRequest.objects.values_list("ticket_id", flat=True).get(pk=request_id)
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        request = _open_request(state, request_id)
        plan = Plan(work, now=now, actor=actor)
        plan.stop(state, Clock.Kind.REQUEST, Clock.State.MET)
        _answer(plan, state, request, EscalationRequest.State.DECLINED, actor, reason)
        plan.flush()
        return request


def _answer(
    plan: Plan, state: State, request: EscalationRequest, outcome: str, actor: User, reason: str
) -> None:
    request.state = outcome
    request.answered_at = state.at(plan.now)
    request.answered_by = actor
    request.answer = reason.strip()
    request.save(update_fields=["state", "answered_at", "answered_by", "answer"])
    plan.touch(state)
    plan.event(
        state,
        kinds.REQUEST_ANSWERED,
        {"seq": request.seq, "request": request.pk, "state": outcome},
        text={"reason": request.answer} if request.answer else None,
    )
    requester = state.ticket.requester
    plan.messages.append(
        Message(
            kind=kinds.TELL_ANSWER,
            ticket_id=state.ticket.pk,
            user_id=requester.pk,
            address=requester.email,
            context={"request": request.pk},
            group=f"ticket:{state.ticket.pk}",
        )
    )


def _open_request(state: State, request_id: int) -> EscalationRequest:
    request = EscalationRequest.objects.select_for_update().get(pk=request_id)
    if request.state != EscalationRequest.State.OPEN:
        raise Conflict(
            f"This wish is answered: {request.get_state_display().lower()}.",
            field="request",
            value=request_id,
            mend="Nothing is left to do here.",
        )
    return request


def _step_above(state: State, to_position: int | None) -> StepRule:
    above = state.path.after(state.step)
    if above is None:
        raise Refused(
            f"{state.step.name} is the last step of {state.path.name}.",
            field="to_position",
            value=to_position,
            mend="Tell its people again instead, or add a step to the path.",
        )
    if to_position is None:
        return above
    if not state.step.position < to_position <= len(state.path.steps):
        raise Refused(
            f"Step {to_position} is not above {state.step.name}.",
            field="to_position",
            value=to_position,
            mend=f"Take a step from {above.position} to {len(state.path.steps)}.",
        )
    return state.path.step(to_position)


def _write_handoff(
    state: State, handoff: Mapping[str, str] | None, actor: User | None, now: dt.datetime
) -> Entry | None:
    if not handoff or not any(text.strip() for text in handoff.values()):
        return None
    return write_handoff(ticket_id=state.ticket.pk, fields=handoff, actor=actor, now=now)


def check_visible(state: State, actor: User | None) -> None:
    """Refuse tickets outside the actor's scope, whatever door they came through."""
    if actor is not None and not visible(actor, state.ticket):
        raise NotAllowed(f"You can't see #{state.ticket.pk}.", field="ticket", value=state.ticket.pk)


def _check_not_suspended(state: State) -> None:
    if state.standing.suspended_at is not None:
        incident = state.ticket.incident_id
        raise Conflict(
            f"#{state.ticket.pk} is linked to major incident #{incident}, which goes on for it.",
            field="ticket",
            value=state.ticket.pk,
            mend=f"Move #{incident}, or unlink this one first.",
        )


def check_open(state: State) -> None:
    """Refuse what makes sense for an open ticket only. Raises Conflict."""
    ticket = state.ticket
    if not ticket.is_open:
        merged = ticket.merged_into_id is not None
        raise Conflict(
            f"#{ticket.pk} {'was merged' if merged else f'is {ticket.get_status_display().lower()}'}.",
            field="ticket",
            value=ticket.pk,
            mend=f"Go on with #{surviving(ticket).pk}." if merged else "Reopen it first.",
        )
