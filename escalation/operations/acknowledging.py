"""Acknowledge the current step, or say that one can't."""

import datetime as dt

from accounts.models import User
from core.durations import spoken
from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.models import Clock, Escalation
from escalation.operations.people import may_acknowledge_many
from escalation.operations.plan import Plan
from escalation.operations.state import State, load_states
from escalation.operations.telling import Telling
from notifications.models import Contact, Notification
from tickets.operations import assign_ticket
from tickets.timeline import Work, working


class Moved(Conflict):
    """Say that the ticket has changed step since the person looked at it (DESIGN 3, by hand)."""

    def __init__(self, state: State, seen_seq: int, now: dt.datetime) -> None:
        since = spoken(max(now - state.standing.since, dt.timedelta(0)))
        super().__init__(
            f"#{state.ticket.pk} is at {state.step.name} since {since}.",
            field="seq",
            value=seen_seq,
            mend="Look again, then decide anew.",
        )
        self.seq = state.standing.seq
        self.tier = state.ticket.tier
        self.step_name = state.step.name


class AlreadyAcknowledged(Conflict):
    """Say that somebody took it already."""

    def __init__(self, state: State) -> None:
        who = state.current.acknowledged_by or state.current.acknowledged_contact
        super().__init__(
            f"{who or 'Somebody'} acknowledged #{state.ticket.pk} already.",
            field="seq",
            value=state.standing.seq,
            mend="Nothing is left to do here.",
        )


class NotOnPath(Refused):
    """Say that the ticket stands on no escalation path: it is finished, or imported history."""

    def __init__(self, ticket_id: int) -> None:
        super().__init__(
            f"#{ticket_id} stands on no escalation path.",
            field="ticket",
            value=ticket_id,
            mend="Only tickets opened in Belay climb.",
        )


def hold_state(work: Work, ticket_id: int) -> State:
    """Lock one ticket and return its state. Raises Ticket.DoesNotExist and NotOnPath."""
    state = load_states(work, [ticket_id]).get(ticket_id)
    if state is None:
        raise NotOnPath(ticket_id)
    return state


def check_seen(state: State, seen_seq: int, now: dt.datetime) -> None:
    """Refuse when the ticket has moved since the person looked. Raises Moved."""
    if seen_seq != state.standing.seq:
        raise Moved(state, seen_seq, now)


def acknowledge(
    *,
    ticket_id: int,
    seen_seq: int,
    now: dt.datetime,
    actor: User | None = None,
    contact: Contact | None = None,
    via: str = "button",
) -> Escalation:
    """Take responsibility for the current step: acknowledge and next_telling stop, pending messages are cancelled.

    Only a contact or a team member of the current step, or a lead (DESIGN 3). Acknowledging an unowned ticket at a
    step that transfers takes it. Either `actor` (signed in) or `contact` (a personal link) is given. tier_time runs
    on. Raises Moved, AlreadyAcknowledged, NotAllowed, NotOnPath.
    """
    with working() as work:
        state = hold_state(work, ticket_id)
        check_seen(state, seen_seq, state.at(now))
        _check_open(state)
        user = actor or (contact.user if contact is not None else None)
        if state.acknowledged:
            raise AlreadyAcknowledged(state)
        if not _allowed(state, actor, contact, state.at(now)):
            raise NotAllowed(
                f"Only {state.step.name}, its contacts or a lead acknowledge #{ticket_id}.",
                field="actor",
                value=str(actor or contact or ""),
                mend="Escalate or add a note instead.",
            )
        plan = Plan(work, now=now, actor=user)
        apply_acknowledgement(plan, state, user=user, contact=contact, via=via)
        plan.flush()
        if takes_ticket(state, user) and user is not None:
            assign_ticket(ticket_id=ticket_id, assignee=user, actor=user, now=now, reason="Acknowledged.")
        return state.current


def takes_ticket(state: State, user: User | None) -> bool:
    """Tell whether acknowledging makes `user` the owner: an unowned ticket at a step that transfers."""
    return (
        user is not None
        and user.is_agent
        and state.ticket.assignee_id is None
        and state.step.transfers
        and state.ticket.is_open
    )


def apply_acknowledgement(
    plan: Plan, state: State, *, user: User | None, contact: Contact | None, via: str
) -> None:
    """Put an acknowledgement of a held ticket into the plan; the caller has checked that it is allowed."""
    at = state.at(plan.now)
    current = state.current
    if contact is None and user is not None:
        contact = Contact.objects.filter(user=user).first()
    current.acknowledged_at = at
    current.acknowledged_by = user
    current.acknowledged_contact = contact
    current.acknowledged_via = via
    if current.pk is not None:
        plan.changed_escalations[current.pk] = current
    plan.stop(state, Clock.Kind.ACKNOWLEDGE, Clock.State.MET)
    plan.stop(state, Clock.Kind.NEXT_TELLING, Clock.State.MET)
    plan.withdrawn.add(state.group)
    plan.touch(state)
    plan.event(
        state,
        kinds.ACKNOWLEDGED,
        {
            "seq": state.standing.seq,
            "via": via,
            "contact": contact.pk if contact is not None else None,
            "step": state.step.position,
            "tier": state.step.tier,
            "after_seconds": (at - state.standing.since).total_seconds(),
        },
        actor=user,
    )


def pass_on(*, ticket_id: int, seen_seq: int, contact: Contact, now: dt.datetime) -> Escalation:
    """Note that this contact can't take it and tell the next one at once; nobody is let off the clock.

    Said twice it counts once: a double tap skips nobody. They are not told again at this seq. Only who was told at it
    can say so. Raises Moved, AlreadyAcknowledged, NotAllowed, NotOnPath.
    """
    with working() as work:
        state = hold_state(work, ticket_id)
        check_seen(state, seen_seq, state.at(now))
        _check_open(state)
        if state.acknowledged:
            raise AlreadyAcknowledged(state)
        if contact.pk in state.standing.declined:
            return state.current
        if not _allowed(state, None, contact, state.at(now)):
            raise NotAllowed(
                f"{contact} was not told of #{ticket_id} at {state.step.name}.",
                field="contact",
                value=contact.name,
                mend="Nothing is asked of you here.",
            )
        state.standing.declined = [*state.standing.declined, contact.pk]
        plan = Plan(work, now=now, actor=contact.user)
        plan.touch(state)
        plan.event(state, kinds.PASSED_ON, {"seq": state.standing.seq, "contact": contact.pk})
        if state.standing.suspended_at is None:
            plan.tellings.append(Telling(state, due_at=state.at(now)))
        plan.flush()
        return state.current


def _check_open(state: State) -> None:
    if not state.ticket.is_open:
        raise Conflict(
            f"#{state.ticket.pk} is {state.ticket.get_status_display().lower()}.",
            field="ticket",
            value=state.ticket.pk,
            mend="Nothing is left to do here.",
        )


def _allowed(state: State, actor: User | None, contact: Contact | None, now: dt.datetime) -> bool:
    if actor is not None:
        return state.ticket.pk in may_acknowledge_many([state], actor, now)
    if contact is None:
        return False
    # A personal link is bound to who was told at this seq.
    return Notification.objects.filter(
        ticket_id=state.ticket.pk, seq=state.standing.seq, contact=contact, round__isnull=False
    ).exists()
