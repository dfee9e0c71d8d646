"""Tell the contact lists of a step: in order, in rounds, and never nobody (DESIGN 3, telling; nobody there)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calendars.queries import hours_of
from calendars.rules import is_open
from escalation import kinds
from escalation.models import Clock
from escalation.operations.people import admins_as_contacts
from escalation.operations.state import State
from escalation.paths import CalendarVersions
from escalation.rules.deciding import begin_at
from escalation.rules.paths import StepRule
from escalation.rules.telling import Hour, next_told, those_there
from notifications.models import Notification
from notifications.operations import Addressee, Circular
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

    circulars: list[Circular] = field(default_factory=list)
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
    # When their quiet ends (UTC), for those who are told then.
    not_before: dt.datetime | None = None


def tell(tellings: Sequence[Telling], *, now: dt.datetime, calendars: CalendarVersions) -> Told:
    """Decide who is told now at each ticket's step; a constant number of queries for all of them.

    Everyone at once: all reachable entries of the next round. One after another: the next reachable entry not yet told
    in this round, else the first of the next. Lists are resolved now. Where no entry of any round can be reached, the
    path's fallback contact is told, at the top all admins too. Quiet after the last round unless an acknowledgement is
    still wanted: then the last round repeats until it is due. Who has said "I can't" is not told again at this seq.
    Who is quiet now is passed over, unless on call or what counts counts round the clock; where all are quiet they are
    told when the quiet ends.
    """
    told = Told()
    wanted = [telling for telling in tellings if not telling.state.step.queue_only]
    if not wanted:
        return told
    resolved = resolve_lists({list_id for t in wanted for list_id in t.state.step.list_ids}, now)
    already = _told_so_far(wanted)
    alike = _Alike()
    nobody: list[tuple[Telling, int]] = []
    for telling in wanted:
        state = telling.state
        key = _alike_key(telling)
        found = alike.rounds.get(key) if key is not None else None
        if found is None:
            found = _find(telling, resolved, already, hour_at(telling.state, calendars, now))
            if key is not None:
                alike.rounds[key] = found
        if found.recipients is None:
            nobody.append((telling, state.standing.round if telling.after_dead else _next_round(telling)))
            continue
        round_number = state.standing.round + found.rise
        if telling.after_dead and found.rise:
            if telling.round_dead:
                nobody.append((telling, state.standing.round))
            continue
        if not found.recipients:
            told.silent.append(telling)
            continue
        _write(told, telling, round_number, found.recipients, alike, now=now, kind=kinds.TELL)
    if nobody:
        _tell_fallback(told, nobody, alike, now)
    return told


@dataclass(frozen=True, slots=True)
class _Found:
    """Who is told next: how many rounds on, and whom; None when nobody of any round can be reached."""

    rise: int
    recipients: tuple[Recipient, ...] | None


@dataclass(slots=True)
class _Alike:
    """What tickets in the same situation share: thousands climb to the same step in one batch."""

    rounds: dict[Any, _Found] = field(default_factory=dict)
    addressees: dict[Any, tuple[Addressee, ...]] = field(default_factory=dict)


def _alike_key(telling: Telling) -> Any:
    """Return what decides who is told, where that is nothing of the ticket's own; else None."""
    state = telling.state
    if telling.after_dead or state.standing.declined or (state.step.in_turn and not telling.begins):
        return None
    return (
        state.step.id,
        state.ticket.severity,
        _rounds_since_begin(telling),
        Clock.Kind.ACKNOWLEDGE in state.clocks,
    )


def _find(
    telling: Telling,
    resolved: Mapping[int, Sequence[Rung]],
    already: Mapping[int, Mapping[int, set[int]]],
    hour: Hour,
) -> _Found:
    step = telling.state.step
    listed = [rung for list_id in step.list_ids for rung in resolved.get(list_id, ())]
    awake, there = those_there(listed, hour)
    found = _next(telling, awake, already)
    if len(awake) == len(there):
        return found
    # All that could be told are quiet: they are told when that ends, which is not the same as nobody.
    return found if found.recipients is not None else _next(telling, there, already, wait=True)


def hour_at(
    state: State, calendars: CalendarVersions, now: dt.datetime, step: StepRule | None = None
) -> Hour:
    """Return what hour it is at `now` for a step of the ticket's path, by default the one it is at."""
    step = step or state.step
    counts_in = hours_of(calendars.for_step(state.path, step, state.ticket.severity))
    business = hours_of(calendars.business_hours(state.path, step))
    return Hour(business.always or is_open(business, now), counts_in.always)


def _next(
    telling: Telling,
    people: Sequence[Rung],
    already: Mapping[int, Mapping[int, set[int]]],
    *,
    wait: bool = False,
) -> _Found:
    state, step = telling.state, telling.state.step
    # Rounds rise as long as the ticket is at this seq; conditions count them from when this telling began.
    found = next_told(
        step,
        people,
        severity=state.ticket.severity,
        wants_answer=Clock.Kind.ACKNOWLEDGE in state.clocks,
        round_now=state.standing.round,
        base=state.standing.round - _rounds_since_begin(telling),
        begins=telling.begins,
        heard=already.get(state.ticket.id),
        declined=state.standing.declined,
    )
    if found.nobody:
        return _Found(0, None)
    return _Found(
        found.round - state.standing.round, tuple(_recipient(rung, wait=wait) for rung in found.people)
    )


def _rounds_since_begin(telling: Telling) -> int:
    clock = telling.state.clocks.get(Clock.Kind.NEXT_TELLING)
    return 0 if telling.begins or clock is None else clock.round


def _next_round(telling: Telling) -> int:
    return telling.state.standing.round + 1


def _write(
    told: Told,
    telling: Telling,
    round_number: int,
    recipients: tuple[Recipient, ...],
    alike: _Alike,
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
        # The next wait is a whole one, however long an incident let this one stand still.
        clock.used, clock.pauses = dt.timedelta(0), []
        told.rescheduled.append((telling, clock))
    state.standing.round = round_number
    told.circulars.append(
        Circular(
            kind=kind,
            ticket_id=state.ticket.id,
            group=state.group,
            seq=state.standing.seq,
            round=round_number,
            addressees=_addressees(state, recipients, alike),
        )
    )
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


def _addressees(state: State, recipients: tuple[Recipient, ...], alike: _Alike) -> tuple[Addressee, ...]:
    step, current = state.step, state.current
    key = (recipients, step.id, current.trigger, current.kind, current.from_tier, current.handoff_id)
    found = alike.addressees.get(key)
    if found is None:
        context = {
            "step_position": step.position,
            "step_name": step.name,
            "tier": step.tier,
            "trigger": current.trigger,
            "kind": current.kind,
            "from_tier": current.from_tier,
            "handoff_entry": current.handoff_id,
        }
        found = tuple(
            Addressee(
                contact_id=recipient.contact_id,
                user_id=recipient.user_id,
                method_id=recipient.methods[0][0],
                channel=recipient.methods[0][1],
                address=recipient.methods[0][2],
                context=context | {"instructions": recipient.instructions},
                due_at=recipient.not_before,
            )
            for recipient in recipients
        )
        alike.addressees[key] = found
    return found


def _tell_fallback(
    told: Told, nobody: Sequence[tuple[Telling, int]], alike: _Alike, now: dt.datetime
) -> None:
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
            _write(told, telling, round_number, tuple(recipients), alike, now=now, kind=kinds.TELL_FALLBACK)
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


def _told_so_far(tellings: Sequence[Telling]) -> dict[int, dict[int, set[int]]]:
    """Return who was told per ticket and round of the present seq, for the steps that tell one after another."""
    # A telling that begins opens a round in which nobody was told yet.
    states = [telling.state for telling in tellings if telling.state.step.in_turn and not telling.begins]
    found: dict[int, dict[int, set[int]]] = {}
    if states:
        seqs = {state.ticket.pk: state.standing.seq for state in states}
        rows: Any = Notification.objects.filter(ticket_id__in=seqs, round__isnull=False).values_list(
            "ticket_id", "seq", "round", "contact_id"
        )
        for ticket_id, seq, round_number, contact_id in rows:
            if seq == seqs[ticket_id]:
                found.setdefault(ticket_id, {}).setdefault(round_number, set()).add(contact_id)
    return found


def _recipient(rung: Rung, *, wait: bool) -> Recipient:
    return Recipient(
        rung.contact_id,
        rung.user_id,
        rung.instructions,
        rung.methods,
        not_before=rung.muted_until if wait else None,
    )
