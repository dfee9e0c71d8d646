"""Tell the contact lists of a step: in order, in rounds, and never nobody (DESIGN 3, telling; nobody there)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from escalation import kinds
from escalation.models import Clock
from escalation.operations.people import admins_as_contacts
from escalation.operations.state import State
from escalation.rules.deciding import begin_at
from notifications.models import Notification
from notifications.operations import Message
from notifications.queries import Rung, methods_of, resolve_lists
from tickets.timeline import NewEvent


@dataclass(slots=True)
class Telling:
    """A wish to tell the current step of one ticket.

    `due_at` is when it was due (None: now); `begins` starts a new round whatever the last one left open. `after_dead`:
    a contact of this round can't be reached at all; then only what is left of the round is told, and where the whole
    round is dead (`round_dead`) the fallback contact, with `fallback_dead` the admins: never the next round at once,
    or a dead address would spin through the list.
    """

    state: State
    due_at: dt.datetime | None = None
    begins: bool = False
    after_dead: bool = False
    round_dead: bool = False
    fallback_dead: bool = False


@dataclass(slots=True)
class Told:
    """What came of tellings: messages and events to write, clocks to set anew, and tellings that are over."""

    messages: list[Message] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    rescheduled: list[tuple[Telling, Clock]] = field(default_factory=list)
    silent: list[Telling] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to be told in a round."""

    contact_id: int
    user_id: int | None
    instructions: str
    methods: tuple[tuple[int, str, str], ...]


def tell(tellings: Sequence[Telling], *, now: dt.datetime) -> Told:
    """Decide who is told now at each ticket's step; a constant number of queries for all of them.

    Everyone at once: all reachable entries of the next round. One after another: the next reachable entry not yet told
    in this round, else the first of the next. Lists are resolved now. Where no entry of any round can be reached, the
    path's fallback contact is told, at the top all admins too. Quiet after the last round unless an acknowledgement is
    still wanted: then the last round repeats until it is due. Who has said "I can't" is not told again at this seq.
    """
    told = Told()
    wanted = [telling for telling in tellings if not telling.state.step.queue_only]
    if not wanted:
        return told
    resolved = resolve_lists({list_id for t in wanted for list_id in t.state.step.list_ids})
    already = _told_so_far([telling.state for telling in wanted])
    nobody: list[tuple[Telling, int]] = []
    for telling in wanted:
        state, step = telling.state, telling.state.step
        listed = (rung for list_id in step.list_ids for rung in resolved.get(list_id, ()))
        rungs = _in_order(rung for rung in listed if rung.contact_id not in state.standing.declined)
        if not any(
            rung.reachable and rung.wanted(state.ticket.severity, max(rung.from_round, 1)) for rung in rungs
        ):
            nobody.append((telling, state.standing.round if telling.after_dead else _next_round(telling)))
            continue
        round_number, recipients = _round(telling, rungs, already)
        if telling.after_dead and round_number > state.standing.round:
            if telling.round_dead:
                nobody.append((telling, state.standing.round))
            continue
        if not recipients:
            told.silent.append(telling)
            continue
        _write(told, telling, round_number, recipients, now=now, kind=kinds.TELL)
    if nobody:
        _tell_fallback(told, nobody, now)
    return told


def _round(
    telling: Telling, rungs: Sequence[Rung], already: dict[tuple[int, int, int], set[int]]
) -> tuple[int, list[Recipient]]:
    """Return the round and who is told in it; nobody when the rounds are over."""
    state, step = telling.state, telling.state.step
    severity = state.ticket.severity
    wants_answer = Clock.Kind.ACKNOWLEDGE in state.clocks
    current = max(state.standing.round, 1)
    # Rounds rise as long as the ticket is at this seq; conditions count them from when this telling began.
    base = state.standing.round - _rounds_since_begin(telling)

    def rest_of(number: int) -> list[Rung]:
        heard = already.get((state.ticket.pk, state.standing.seq, number), set())
        return [
            rung
            for rung in rungs
            if rung.reachable
            and rung.wanted(severity, min(number - base, step.rounds))
            and rung.contact_id not in heard
        ]

    if step.in_turn and not telling.begins and (left := rest_of(current)):
        return current, [_recipient(left[0])]
    first = _next_round(telling)
    # A round whose conditions leave nobody is passed over at once: no step is silent.
    highest = max((rung.from_round for rung in rungs), default=1)
    for number in range(first, first + highest + 1):
        if not wants_answer and number - base > step.rounds:
            return number, []
        left = rest_of(number)
        if left:
            return number, [_recipient(rung) for rung in (left[:1] if step.in_turn else left)]
    # Entries wait for a round beyond the last one: the last round would stay silent for ever.
    left = [rung for rung in rungs if rung.reachable and rung.wanted(severity, rung.from_round)]
    return first, [_recipient(rung) for rung in (left[:1] if step.in_turn else left)]


def _rounds_since_begin(telling: Telling) -> int:
    clock = telling.state.clocks.get(Clock.Kind.NEXT_TELLING)
    return 0 if telling.begins or clock is None else clock.round


def _next_round(telling: Telling) -> int:
    return telling.state.standing.round + 1


def _write(
    told: Told,
    telling: Telling,
    round_number: int,
    recipients: Sequence[Recipient],
    *,
    now: dt.datetime,
    kind: str,
) -> None:
    state = telling.state
    clock = state.clocks.get(Clock.Kind.NEXT_TELLING)
    if clock is not None:
        clock.round = 1 if telling.begins else clock.round + round_number - state.standing.round
        at = state.at(now)
        since = begin_at(telling.due_at, at) if telling.due_at is not None else clock.started_at
        clock.started_at = clock.running_since = since
        clock.recorded_at = at
        clock.budget = state.step.wait
        told.rescheduled.append((telling, clock))
    state.standing.round = round_number
    for recipient in recipients:
        told.messages.append(_message(state, round_number, recipient, kind))
    told.events.append(
        NewEvent(
            state.ticket,
            kinds.TOLD,
            {
                "seq": state.standing.seq,
                "round": round_number,
                "step": state.step.position,
                "tier": state.step.tier,
                "contacts": [recipient.contact_id for recipient in recipients],
                "fallback": kind == kinds.TELL_FALLBACK,
            },
        )
    )


def _message(state: State, round_number: int, recipient: Recipient, kind: str) -> Message:
    method_id, channel, address = recipient.methods[0]
    step = state.step
    return Message(
        kind=kind,
        ticket_id=state.ticket.pk,
        group=state.group,
        seq=state.standing.seq,
        round=round_number,
        contact_id=recipient.contact_id,
        user_id=recipient.user_id,
        method_id=method_id,
        channel=channel,
        address=address,
        context={
            "step_position": step.position,
            "step_name": step.name,
            "tier": step.tier,
            "instructions": recipient.instructions,
            "trigger": state.current.trigger,
            "kind": state.current.kind,
            "from_tier": state.current.from_tier,
            "handoff_entry": state.current.handoff_id,
        },
    )


def _tell_fallback(told: Told, nobody: Sequence[tuple[Telling, int]], now: dt.datetime) -> None:
    """Tell the fallback contact, at the top the admins too; a step without anybody goes on record."""
    with_admins = any(_tells_admins(telling) for telling, _ in nobody)
    admins = admins_as_contacts() if with_admins else []
    fallbacks = {telling.state.path.fallback_id for telling, _ in nobody}
    methods = methods_of(fallbacks | {contact.pk for contact in admins})
    if not admins and any(
        not methods.get(telling.state.path.fallback_id)
        or telling.state.path.fallback_id in telling.state.standing.declined
        for telling, _ in nobody
    ):
        # Not even the fallback can be reached: better an admin too many than nobody.
        admins = admins_as_contacts()
        methods.update(methods_of({contact.pk for contact in admins}))
    for telling, round_number in nobody:
        path = telling.state.path
        recipients: list[Recipient] = []
        # Those who said they can't are asked again where nobody else is left: better than silence.
        for declined in (telling.state.standing.declined, []):
            if path.fallback_id not in declined and (ways := methods.get(path.fallback_id)):
                recipients.append(Recipient(path.fallback_id, None, "", ways))
            if _tells_admins(telling) or not recipients:
                recipients += [
                    Recipient(contact.pk, contact.user_id, "", methods[contact.pk])
                    for contact in admins
                    if contact.pk in methods and contact.pk not in (path.fallback_id, *declined)
                ]
            if recipients:
                break
        if recipients:
            _write(told, telling, round_number, recipients, now=now, kind=kinds.TELL_FALLBACK)
            continue
        state = telling.state
        told.events.append(
            NewEvent(
                state.ticket,
                kinds.NOBODY,
                {"seq": state.standing.seq, "round": round_number, "step": state.step.position},
            )
        )
        clock = state.clocks.get(Clock.Kind.NEXT_TELLING)
        if clock is not None:
            # Tried again every interval: somebody may be there by then.
            at = state.at(now)
            clock.started_at = clock.running_since = clock.recorded_at = at
            clock.budget = state.step.wait
            told.rescheduled.append((telling, clock))


def _tells_admins(telling: Telling) -> bool:
    """Tell whether the admins stand beside the fallback contact: at the top, or when the fallback is dead too."""
    return telling.fallback_dead or telling.state.path.after(telling.state.step) is None


def _told_so_far(states: Sequence[State]) -> dict[tuple[int, int, int], set[int]]:
    """Return who was told per (ticket, seq, round), for the steps that tell one after another."""
    ids = [state.ticket.pk for state in states if state.step.in_turn]
    found: dict[tuple[int, int, int], set[int]] = {}
    if ids:
        seqs = {state.ticket.pk: state.standing.seq for state in states}
        rows: Any = Notification.objects.filter(ticket_id__in=ids, round__isnull=False).values_list(
            "ticket_id", "seq", "round", "contact_id"
        )
        for ticket_id, seq, round_number, contact_id in rows:
            if seq == seqs[ticket_id]:
                found.setdefault((ticket_id, seq, round_number), set()).add(contact_id)
    return found


def _in_order(rungs: Iterable[Rung]) -> list[Rung]:
    """Return the rungs in list order, each contact once."""
    seen: set[int] = set()
    ordered = []
    for rung in rungs:
        if rung.contact_id not in seen:
            seen.add(rung.contact_id)
            ordered.append(rung)
    return ordered


def _recipient(rung: Rung) -> Recipient:
    return Recipient(rung.contact_id, rung.user_id, rung.instructions, rung.methods)
