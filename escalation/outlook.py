"""What a person who is told must know to decide: why, what is known, who else was told, and what happens next.

The mail of a telling and the acknowledge page show the same outlook.
"""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import Tier
from core.durations import spoken
from escalation import kinds
from escalation.models import Clock, Escalation, Standing
from escalation.models.clocks import LIVE
from escalation.paths import path_rule
from escalation.queries import contacts_at
from escalation.rules.paths import PathRule, StepRule
from notifications.models import Notification
from tickets.models import Entry, EntryKind, Event, Ticket

HANDOFF_WORDS = {
    "impact": "Impact",
    "tried": "Tried so far",
    "suspected": "Suspected cause",
    "next_action": "Next action",
}


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody who was told at this seq, and what came of it: "told", "on the way", "not reached", "can't"."""

    contact_id: int
    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Briefing:
    """What is known so far: a handoff's fields in order, or what the requester wrote."""

    title: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One telling as its reader sees it; all instants UTC.

    `until` is when something happens by itself and `then` what: "Ilse is told"; None when nothing will.
    """

    step_name: str
    tier_label: str
    why: str
    reason: str
    briefing: Briefing | None
    held: tuple[tuple[str, dt.timedelta], ...]
    told: tuple[Told, ...]
    instructions: str
    until: dt.datetime | None
    then: str
    climbs_at: dt.datetime | None
    climbs_to: str
    in_turn: bool


def outlook_of(ticket: Ticket, seq: int, *, contact_id: int | None) -> Outlook | None:
    """Return the outlook of one seq for one contact, None for a ticket or seq that never was.

    For a seq that is over, nothing happens any more: `until` is None. Ten queries at most.
    """
    rows = list(
        Escalation.objects.filter(ticket=ticket, seq__lte=seq)
        .select_related("actor", "from_step", "to_step")
        .order_by("seq")
    )
    standing = Standing.objects.filter(ticket=ticket).first()
    if standing is None or not rows or rows[-1].seq != seq:
        return None
    current = rows[-1]
    path = path_rule(current.path_version_id or standing.version_id)
    step = next((step for step in path.steps if step.id == current.to_step_id), path.steps[-1])
    tellings = list(
        Notification.objects.filter(ticket=ticket, seq=seq, round__isnull=False)
        .select_related("contact")
        .order_by("pk")
    )
    live = standing.seq == seq and current.acknowledged_at is None and ticket.is_open
    until, then, climbs_at = None, "", None
    if live:
        until, then, climbs_at = _what_next(ticket, path, step, tellings)
    mine = [row for row in tellings if row.contact_id == contact_id]
    return Outlook(
        step_name=step.name,
        tier_label=str(Tier(step.tier).label),
        why=why(current),
        reason=_reason(ticket, seq),
        briefing=briefing_of(ticket, current),
        held=_held(rows),
        told=_told(ticket, seq, tellings),
        instructions=str(mine[-1].context.get("instructions", "")) if mine else "",
        until=until,
        then=then,
        climbs_at=climbs_at,
        climbs_to=_climbs_to(path, step),
        in_turn=step.in_turn,
    )


def why(escalation: Escalation) -> str:
    """Return in a sentence why the ticket is where it is."""
    before = escalation.from_step.name if escalation.from_step else "the step before"
    who = str(escalation.actor) if escalation.actor else ""
    late = _behind(escalation)
    trigger = Escalation.Trigger
    if escalation.kind == Escalation.Kind.FALL:
        return f"{who or 'A lead'} handed it back from {before}."
    words: dict[str, str] = {
        trigger.OPENED: "It was just opened.",
        trigger.PATH: "Its severity or service calls for this level at once.",
        trigger.FIRST_RESPONSE: "The first answer we promised is overdue.",
        trigger.NEXT_RESPONSE: "The answer we promised is overdue.",
        trigger.RESOLUTION: "The solution we promised is overdue.",
        trigger.STAKEHOLDER_UPDATE: "The update we promised is overdue.",
        trigger.TIER_TIME: f"Its time at {before} ran out.",
        trigger.ACKNOWLEDGE: f"Nobody at {before} took it in time.",
        trigger.REQUEST: "The requester asked for escalation and nobody answered in time.",
        trigger.AGENT: f"{who or 'An agent'} escalated it from {before}.",
        trigger.LEAD: f"{who or 'A lead'} escalated it from {before}.",
        trigger.REQUESTER: f"The requester asked for it and {who or 'a lead'} agreed.",
        trigger.RULE: "A rule asked for it.",
        trigger.MONITORING: "Monitoring reports it.",
        trigger.REOPENED: "It was reopened.",
        trigger.MERGED: "A ticket that stood here was merged into it.",
        trigger.CHANGED: "Its severity, category, service or organisation changed.",
    }
    return words.get(escalation.trigger, "It was escalated.") + late


def briefing_of(ticket: Ticket, escalation: Escalation | None = None) -> Briefing | None:
    """Return the handoff that came with this escalation, else the ticket's latest, else how it began; two queries."""
    handoffs = Entry.objects.filter(ticket=ticket, kind=EntryKind.HANDOFF, erased_at__isnull=True)
    handoff = handoffs.select_related("author").order_by("-pk").first()
    wanted = escalation.handoff_id if escalation is not None else None
    if handoff is not None and wanted is not None and wanted != handoff.pk:
        handoff = handoffs.select_related("author").filter(pk=wanted).first() or handoff
    if handoff is not None:
        parts = [
            (HANDOFF_WORDS[name], handoff.fields[name]) for name in HANDOFF_WORDS if handoff.fields.get(name)
        ]
        if handoff.body:
            parts.append(("Also", handoff.body))
        title = f"Handoff from {handoff.author}" if handoff.author else "Handoff"
        return Briefing(title, tuple(parts))
    first = (
        Entry.objects.filter(ticket=ticket, kind=EntryKind.REPLY, erased_at__isnull=True)
        .select_related("author")
        .order_by("pk")
        .first()
    )
    return (
        Briefing(f"{first.author or 'The requester'} wrote", (("", first.body),))
        if first is not None
        else None
    )


def _what_next(
    ticket: Ticket, path: PathRule, step: StepRule, tellings: Sequence[Notification]
) -> tuple[dt.datetime | None, str, dt.datetime | None]:
    """Return (until, then, climbs at): the next thing that happens unless somebody acknowledges."""
    wanted = (Clock.Kind.ACKNOWLEDGE, Clock.Kind.NEXT_TELLING)
    dues = dict(
        Clock.objects.filter(ticket=ticket, kind__in=wanted, state__in=LIVE).values_list("kind", "due_at")
    )
    climbs_at, next_telling = dues.get(Clock.Kind.ACKNOWLEDGE), dues.get(Clock.Kind.NEXT_TELLING)
    if next_telling is not None and (climbs_at is None or next_telling < climbs_at):
        return next_telling, _next_told(ticket, step, tellings), climbs_at
    if climbs_at is not None:
        return climbs_at, _climbs_to(path, step), climbs_at
    return None, "", None


def _next_told(ticket: Ticket, step: StepRule, tellings: Sequence[Notification]) -> str:
    """Say who hears of it next, from the lists as they resolve now."""
    if not step.in_turn:
        return f"all of {step.name} are told again"
    round_number = max((row.round or 0 for row in tellings), default=0)
    heard = {row.contact_id for row in tellings if row.round == round_number}
    rungs = [
        rung
        for rung in contacts_at(step.list_ids)
        if rung.reachable and rung.wanted(ticket.severity, max(rung.from_round, 1))
    ]
    left = [rung for rung in rungs if rung.contact_id not in heard]
    if left:
        return f"{left[0].name} is told"
    return f"{rungs[0].name} is told again" if rungs else "the fallback contact is told"


def _climbs_to(path: PathRule, step: StepRule) -> str:
    above = path.after(step)
    return f"it climbs to {above.name}" if above is not None else f"all of {step.name} are told again"


def _held(rows: Sequence[Escalation]) -> tuple[tuple[str, dt.timedelta], ...]:
    """Return how long each earlier step held it, in order, steps visited twice added up."""
    times: dict[str, dt.timedelta] = {}
    for row, following in itertools.pairwise(rows):
        name = row.to_step.name if row.to_step else str(Tier(row.to_tier).label)
        times[name] = times.get(name, dt.timedelta(0)) + (following.at - row.at)
    return tuple(times.items())


def _told(ticket: Ticket, seq: int, tellings: Sequence[Notification]) -> tuple[Told, ...]:
    passed = {
        event.data.get("contact")
        for event in Event.objects.filter(ticket=ticket, kind=kinds.PASSED_ON)
        if event.data.get("seq") == seq
    }
    words = {
        Notification.State.SENT: "told",
        Notification.State.DEAD: "not reached",
        Notification.State.WITHDRAWN: "no longer told",
    }
    found: dict[int, Told] = {}
    for row in tellings:
        if row.contact is None:
            continue
        outcome = (
            "can't" if row.contact_id in passed else words.get(Notification.State(row.state), "on the way")
        )
        found[row.contact.pk] = Told(row.contact.pk, row.contact.name, outcome)
    return tuple(found.values())


def _reason(ticket: Ticket, seq: int) -> str:
    """Return what the person who moved the ticket wrote, "" when Belay moved it."""
    events = Event.objects.filter(ticket=ticket, kind=kinds.ESCALATED, data__seq=seq).select_related(
        "payload"
    )
    event = events.first()
    payload = getattr(event, "payload", None)
    return str(payload.text.get("reason", "")) if payload is not None and not payload.erased_at else ""


def _behind(escalation: Escalation) -> str:
    """Say when Belay itself was late, so that nobody takes a short time left for their own fault."""
    if escalation.late_by is None or escalation.late_by < dt.timedelta(minutes=1):
        return ""
    return f" (Belay noticed {spoken(escalation.late_by)} late.)"
