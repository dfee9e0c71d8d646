"""What follows from what happens on tickets: clocks start, stop, pause; paths are chosen; answers acknowledge."""

import datetime as dt
from collections.abc import Mapping, Sequence

from django.db.models import prefetch_related_objects

from accounts.models import User
from escalation.models import Clock, Escalation
from escalation.operations.acknowledging import apply_acknowledgement, takes_ticket
from escalation.operations.groups import groups_of_step
from escalation.operations.incidents import leave_news, resume, suspend
from escalation.operations.merging import (
    let_go,
    promises_of,
    raise_tier,
    take_over_promises,
)
from escalation.operations.people import may_acknowledge_many
from escalation.operations.plan import Plan
from escalation.operations.promises import (
    answer,
    apply_waiting,
    finish,
    recompute,
    resume_resolution,
    start_promise,
    start_promises,
)
from escalation.operations.sending_back import answer_by_speaking
from escalation.operations.state import State, load_states, with_assignees
from escalation.operations.steps import again, begin_step, enter, move, overtake, remap, start_tier_time
from escalation.paths import current_paths, facts_of
from escalation.rules.paths import choose, entry_step, return_step
from tickets import kinds
from tickets.models import Event, Ticket
from tickets.operations import assign_ticket
from tickets.timeline import Work

ANSWERS = (kinds.REPLIED, kinds.UPDATED)
ENGAGES = (kinds.REPLIED, kinds.UPDATED, kinds.NOTED, kinds.HANDED_OFF)
REPATHS = (kinds.SEVERITY_CHANGED, kinds.FIELD_CHANGED)
PATH_FIELDS = ("category", "service", "organisation")
JOINS = (kinds.MERGED, kinds.LINKED, kinds.UNLINKED)
HANDLED = frozenset({*ENGAGES, kinds.ASSIGNED, kinds.STATUS_CHANGED, *JOINS, *REPATHS})


def react(work: Work, events: Sequence[Event]) -> None:
    """Draw the consequences of a batch of ticket events, in the transaction that recorded them.

    Costs a constant number of queries per kind of event, however many tickets.
    """
    live = [event for event in events if not event.historic and not event.ticket.historic]
    opened = [event for event in live if event.kind == kinds.OPENED]
    if opened:
        _enter_paths(work, opened)
    leave_news(live)
    rest = [event for event in live if event.kind in HANDLED and not _is_nobodys(event)]
    states = load_states(work, {event.ticket_id for event in rest}) if rest else {}
    if states:
        reaction = _Reaction(work, rest, states)
        for event in rest:
            if event.ticket_id in states:
                reaction.see(event, states[event.ticket_id])
        reaction.conclude()


class _Reaction:
    """What follows from one batch of events: seen one by one, concluded together."""

    def __init__(self, work: Work, events: Sequence[Event], states: dict[int, State]) -> None:
        self.cause = events[0]
        self.plan = Plan(work, now=max(event.at for event in events))
        self.plan.calendars.learn([state.path for state in states.values()])
        self.states = states
        self.tiers: dict[int, int] = {}
        self.allowed = _who_engages(events, states)
        self.reopened: list[State] = []
        self.repathed: dict[int, State] = {}
        self.rose: set[int] = set()
        self.taken: list[tuple[State, User]] = []
        self.spoken: list[tuple[Event, State]] = []
        self.linked: list[State] = []
        self.unlinked: list[State] = []
        self.merges: dict[int, list[State]] = {}

    def see(self, event: Event, state: State) -> None:
        """Take one event into account."""
        if event.kind in ENGAGES or event.kind == kinds.ASSIGNED:
            _converse(self.plan, state, event)
            if (
                Clock.Kind.QUESTION in state.clocks
                and event.kind in ENGAGES
                and not event.data.get("automatic")
            ):
                self.spoken.append((event, state))
            self._engage(event, state)
        elif event.kind in JOINS:
            self._join(event, state)
        elif event.kind == kinds.STATUS_CHANGED:
            self._change_status(event, state)
        elif state.ticket.is_open and _may_change_path(event):
            self.repathed[event.ticket_id] = state
            if event.kind == kinds.SEVERITY_CHANGED and event.data["to"] < event.data["from"]:
                self.rose.add(event.ticket_id)

    def _change_status(self, event: Event, state: State) -> None:
        if event.data.get("merged_into"):
            # What a merged ticket had under way is taken over, not finished.
            return
        if not state.ticket.is_open:
            _finish(self.plan, state)
        elif event.data.get("reopened"):
            self.reopened.append(state)
        else:
            apply_waiting(self.plan, state)

    def _join(self, event: Event, state: State) -> None:
        """Note what was merged, linked or unlinked; the survivor's and the incident's own events say nothing more."""
        if event.kind == kinds.MERGED and "into" in event.data:
            survivor_id = event.data["into"]
            self.merges.setdefault(survivor_id, []).append(state)
            if event.data["was_open"]:
                self.tiers[survivor_id] = max(self.tiers.get(survivor_id, 0), state.ticket.tier)
        elif event.kind == kinds.LINKED and "incident" in event.data:
            self.linked.append(state)
        elif event.kind == kinds.UNLINKED:
            self.unlinked.append(state)

    def _engage(self, event: Event, state: State) -> None:
        """Take an answer, a note or a taking by those of the step for their acknowledgement."""
        if event.kind == kinds.HANDED_OFF and event.entry.pk == state.current.handoff_id:
            # Written for the step that begins, by whoever sends the ticket there: it answers nothing yet.
            return
        if event.data.get("answers"):
            # Written for those who hold the ticket, by whoever sent it there.
            return
        if (event.ticket_id, event.actor_id) not in self.allowed or state.acknowledged:
            return
        if not state.ticket.is_open:
            return
        via = "taken" if event.kind == kinds.ASSIGNED else "reply"
        apply_acknowledgement(self.plan, state, user=event.actor, contact=None, via=via)
        if via == "reply" and event.actor is not None and takes_ticket(state, event.actor):
            self.taken.append((state, event.actor))

    def conclude(self) -> None:
        """Write what follows."""
        if self.spoken:
            answer_by_speaking(self.plan, self.spoken)
        offers = self._let_go()
        if self.linked:
            suspend(self.plan, self.linked)
        if self.unlinked:
            resume(self.plan, self.unlinked)
        if self.reopened:
            with_assignees(self.reopened)
            resume_resolution(self.plan, self.reopened)
            for state in self.reopened:
                _return(self.plan, state)
        if self.repathed:
            _choose_anew(self.plan, list(self.repathed.values()), self.rose, self.tiers)
        self._take_over(offers)
        if self.plan.touched:
            self.plan.flush(cause=self.cause)
        for state, user in self.taken:
            if state.ticket.assignee_id is None:
                assign_ticket(
                    ticket_id=state.ticket.pk,
                    assignee=user,
                    actor=user,
                    now=self.plan.now,
                    reason="Answered first.",
                )

    def _let_go(self) -> list[tuple[State, list[Clock]]]:
        """End what merged tickets had under way; return the promises that their survivors may take over."""
        offers = []
        for pk, losers in self.merges.items():
            if pk in self.states:
                offers.append((self.states[pk], promises_of(losers)))
            for state in losers:
                let_go(self.plan, state)
        return offers

    def _take_over(self, offers: Sequence[tuple[State, Sequence[Clock]]]) -> None:
        """Raise survivors to the highest tier, unless choosing their path anew did, and hand over the promises."""
        for state, _ in offers:
            if state.ticket.pk in self.tiers and state.ticket.pk not in self.repathed:
                raise_tier(self.plan, state, self.tiers[state.ticket.pk])
        if offers:
            take_over_promises(self.plan, offers)


def _is_nobodys(event: Event) -> bool:
    """Tell whether a ticket was only taken away: nobody acknowledges by that, and every climb does it."""
    return event.kind == kinds.ASSIGNED and event.data.get("to") is None


def _may_change_path(event: Event) -> bool:
    return event.kind == kinds.SEVERITY_CHANGED or event.data.get("field") in PATH_FIELDS


def _enter_paths(work: Work, opened: Sequence[Event]) -> None:
    paths = current_paths()
    if not paths:
        # A house without any path yet: the ticket is held by L1 and the linter says what is missing.
        return
    tickets = [event.ticket for event in opened]
    prefetch_related_objects(tickets, "service__team", "organisation")
    plan = Plan(work, now=max(event.at for event in opened))
    plan.calendars.learn(paths)
    for event in opened:
        ticket = event.ticket
        facts = facts_of(ticket)
        path = choose(paths, facts)
        state = enter(plan, ticket, path, entry_step(path, facts), at=event.at)
        start_promises(plan, state, since=event.at)
    plan.flush(cause=opened[0] if len(opened) == 1 else None)


def _who_engages(events: Sequence[Event], states: dict[int, State]) -> set[tuple[int, int]]:
    """Return (ticket, user) for those whose reply, note or taking acknowledges the current step.

    Being assigned by somebody else does not (DESIGN 3, telling and acknowledging).
    """
    by_user: dict[int, tuple[User, list[State]]] = {}
    for event in events:
        user = event.actor
        state = states.get(event.ticket_id)
        if user is None or state is None or state.acknowledged or user.pk == event.ticket.requester_id:
            continue
        if event.kind == kinds.ASSIGNED and event.data.get("to") != user.pk:
            continue
        if event.kind not in ENGAGES and event.kind != kinds.ASSIGNED:
            continue
        if event.data.get("automatic"):
            continue
        by_user.setdefault(user.pk, (user, []))[1].append(state)
    allowed: set[tuple[int, int]] = set()
    for pk, (user, held) in by_user.items():
        now = max(event.at for event in events)
        allowed.update((ticket_id, pk) for ticket_id in may_acknowledge_many(held, user, now))
    return allowed


def _converse(plan: Plan, state: State, event: Event) -> None:
    """Start or keep promises for what was said."""
    if event.kind not in ANSWERS or event.data.get("automatic"):
        return
    if not event.data.get("from_requester"):
        # Also where the answer finishes the ticket: the promise to answer was kept by it.
        answer(plan, state, update=event.kind == kinds.UPDATED)
        return
    if not state.ticket.is_open:
        return
    waits = Clock.Kind.FIRST_RESPONSE in state.clocks or Clock.Kind.NEXT_RESPONSE in state.clocks
    if not waits and state.ticket.last_answer_at is not None:
        start_promise(plan, state, Clock.Kind.NEXT_RESPONSE, since=event.at)


def _finish(plan: Plan, state: State) -> None:
    overtake(plan, state)
    finish(plan, state)
    plan.withdrawn |= {state.group, *groups_of_step(state.ticket.pk, state.standing.seq)}
    plan.touch(state)


def _return(plan: Plan, state: State) -> None:
    """Bring a reopened ticket back to the last step that transfers, with full time; only its people are told."""
    at = state.at(plan.now)
    step = return_step(state.path, state.step)
    assignee = state.ticket.assignee
    at_work = assignee is not None and assignee.is_active and assignee.at_work
    if step.id == state.step.id:
        state.standing.allowances += 1
        again(plan, state, trigger=Escalation.Trigger.REOPENED, begin=at)
    else:
        move(
            plan,
            state,
            step,
            kind=Escalation.Kind.RETURN,
            trigger=Escalation.Trigger.REOPENED,
            begin=at,
            keep_assignee=at_work,
        )
    start_promise(plan, state, Clock.Kind.STAKEHOLDER_UPDATE, since=at)


def _choose_anew(plan: Plan, states: list[State], rose: set[int], tiers: Mapping[int, int]) -> None:
    """Choose the path anew and map each ticket to its first step at the same tier or above (DESIGN 3, changes).

    `tiers` raises some of them further. Where the step stays, a risen severity restarts tier_time and acknowledge;
    lowering un-fires nothing.
    """
    paths = current_paths()
    tickets: list[Ticket] = [state.ticket for state in states]
    prefetch_related_objects(tickets, "service", "organisation")
    plan.calendars.learn(paths)
    for state in states:
        facts = facts_of(state.ticket)
        chosen = choose(paths, facts)
        at = state.at(plan.now)
        tier = max(state.ticket.tier, tiers.get(state.ticket.pk, 0))
        raised = tier > state.ticket.tier
        if chosen.path_id != state.path.path_id:
            remap(plan, state, entry_step(chosen, facts, at_least=tier), chosen)
            continue
        step = entry_step(state.path, facts, at_least=tier)
        if (raised or state.ticket.pk in rose) and step.position > state.step.position:
            move(
                plan,
                state,
                step,
                kind=Escalation.Kind.CLIMB,
                trigger=Escalation.Trigger.MERGED if raised else Escalation.Trigger.CHANGED,
                begin=at,
            )
        elif state.ticket.pk in rose:
            _restart(plan, state, at)
    recompute(plan, states)


def _restart(plan: Plan, state: State, at: dt.datetime) -> None:
    """Restart the step's time for a higher severity; an acknowledgement that was given stands."""
    if state.acknowledged:
        plan.stop(state, Clock.Kind.TIER_TIME, Clock.State.CANCELLED)
        start_tier_time(plan, state, at)
        return
    begin_step(plan, state, at)
