"""What a person who is told must know to decide: why, what is known, who else was told, and what happens next.

The mail of a telling and the acknowledge page show the same outlook.
"""

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from accounts.models import Tier
from core.durations import spoken
from escalation import kinds
from escalation.models import Clock, Escalation, Standing
from escalation.models.clocks import LIVE
from escalation.paths import path_rule, path_rules
from escalation.rules.paths import PathRule, StepRule
from notifications.models import Notification
from notifications.queries import Rung, resolve_lists
from tickets.models import Entry, EntryKind, Event, Ticket

HANDOFF_WORDS = {
    "impact": "Impact",
    "tried": "Tried so far",
    "suspected": "Suspected cause",
    "next_action": "Next action",
}
_OUTCOMES: dict[str, str] = {
    Notification.State.SENT: "told",
    Notification.State.DEAD: "not reached",
    Notification.State.WITHDRAWN: "no longer told",
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


def outlook_of(ticket: Ticket, seq: int, *, contact_id: int | None, now: dt.datetime) -> Outlook | None:
    """Return the outlook of one seq for one contact, None for a ticket or seq that never was; see `outlooks_of`."""
    sources = _Sources.of([(ticket, seq)], now)
    outlook = _outlook(sources, ticket, seq)
    if outlook is None:
        return None
    mine = [row for row in sources.tellings[ticket.pk, seq] if row.contact_id == contact_id]
    return replace(outlook, instructions=mine[-1].instructions or "") if mine else outlook


def outlooks_of(wanted: Iterable[tuple[Ticket, int]], now: dt.datetime) -> dict[tuple[int, int], Outlook]:
    """Return the outlook of each (ticket, seq) that ever was, for whoever is told of it, by (ticket id, seq).

    For a seq that is over, nothing happens any more: `until` is None. A dozen queries for all of them.
    """
    pairs = list(wanted)
    sources = _Sources.of(pairs, now)
    found = {(ticket.pk, seq): _outlook(sources, ticket, seq) for ticket, seq in pairs}
    return {key: outlook for key, outlook in found.items() if outlook is not None}


class _Telling(NamedTuple):
    """What an outlook needs of a telling's outbox row."""

    ticket_id: int
    seq: int
    round: int
    contact_id: int | None
    name: str | None
    state: str
    instructions: str | None


@dataclass(slots=True)
class _Sources:
    """All that outlooks of some tickets are made of, read at once."""

    escalations: dict[int, list[Escalation]] = field(default_factory=lambda: defaultdict(list))
    standings: dict[int, Standing] = field(default_factory=dict)
    tellings: dict[tuple[int, int], list[_Telling]] = field(default_factory=lambda: defaultdict(list))
    clocks: dict[int, dict[str, dt.datetime]] = field(default_factory=lambda: defaultdict(dict))
    handoffs: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    first_words: dict[int, Entry] = field(default_factory=dict)
    # (ticket, seq) -> the contacts who said that they can't
    passed: dict[tuple[int, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    reasons: dict[tuple[int, int], str] = field(default_factory=dict)
    lists: dict[int, tuple[Rung, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: Sequence[tuple[Ticket, int]], now: dt.datetime) -> "_Sources":
        """Read what is known of these tickets; the number of queries does not grow with them."""
        ids = sorted({ticket.pk for ticket, _ in pairs})
        sources = cls()
        rows = Escalation.objects.filter(ticket_id__in=ids).order_by("ticket_id", "seq")
        for row in rows.select_related("actor", "from_step", "to_step"):
            sources.escalations[row.ticket_id].append(row)
        sources.standings = {row.ticket_id: row for row in Standing.objects.filter(ticket_id__in=ids)}
        told = Notification.objects.filter(
            ticket_id__in=ids, seq__in={seq for _, seq in pairs}, round__isnull=False
        ).values_list(
            "ticket_id", "seq", "round", "contact_id", "contact__name", "state", "context__instructions"
        )
        for telling in map(_Telling._make, told.order_by("pk")):
            sources.tellings[telling.ticket_id, telling.seq].append(telling)
        wanted = (Clock.Kind.ACKNOWLEDGE, Clock.Kind.NEXT_TELLING)
        clocks = Clock.objects.filter(ticket_id__in=ids, kind__in=wanted, state__in=LIVE)
        for ticket_id, kind, due_at in clocks.values_list("ticket_id", "kind", "due_at"):
            if due_at is not None:
                sources.clocks[ticket_id][kind] = due_at
        sources.read_words(ids)
        sources.read_events(ids)
        path_rules(
            {
                row.path_version_id
                for rows in sources.escalations.values()
                for row in rows
                if row.path_version_id
            }
            | {standing.version_id for standing in sources.standings.values()}
        )
        steps = [sources.step(ticket.pk, seq) for ticket, seq in pairs if sources.at(ticket.pk, seq)]
        sources.lists = resolve_lists({pk for step in steps if step.in_turn for pk in step.list_ids}, now)
        return sources

    def read_words(self, ids: Sequence[int]) -> None:
        """Read the handoffs, and how those tickets began that have none."""
        words = Entry.objects.filter(ticket_id__in=ids, erased_at__isnull=True).select_related("author")
        for entry in words.filter(kind=EntryKind.HANDOFF).order_by("pk"):
            self.handoffs[entry.ticket_id].append(entry)
        firsts = words.filter(
            kind=EntryKind.REPLY, ticket_id__in=[pk for pk in ids if pk not in self.handoffs]
        )
        for entry in firsts.order_by("ticket_id", "pk").distinct("ticket_id"):
            self.first_words[entry.ticket_id] = entry

    def read_events(self, ids: Sequence[int]) -> None:
        """Read who can't, and why people moved the tickets."""
        events = Event.objects.filter(ticket_id__in=ids, kind__in=(kinds.PASSED_ON, kinds.ESCALATED))
        for ticket_id, kind, data, text, erased_at in events.order_by("-seq").values_list(
            "ticket_id", "kind", "data", "payload__text", "payload__erased_at"
        ):
            if kind == kinds.PASSED_ON:
                self.passed[ticket_id, data.get("seq")].add(data.get("contact"))
            else:
                reason = str(text.get("reason", "")) if text is not None and erased_at is None else ""
                self.reasons[ticket_id, data.get("seq")] = reason

    def at(self, ticket_id: int, seq: int) -> Escalation | None:
        """Return the change of step that led to `seq`."""
        if ticket_id not in self.standings:
            return None
        return next((row for row in self.escalations[ticket_id] if row.seq == seq), None)

    def path(self, ticket_id: int, seq: int) -> PathRule:
        """Return the path that was in force at `seq`."""
        current, standing = self.at(ticket_id, seq), self.standings[ticket_id]
        # Where it stands may have been put on a newer version of the path since the step began.
        if current is None or standing.seq == seq:
            return path_rule(standing.version_id)
        return path_rule(current.path_version_id or standing.version_id)

    def step(self, ticket_id: int, seq: int) -> StepRule:
        """Return the step that the ticket was at."""
        current, path, standing = (
            self.at(ticket_id, seq),
            self.path(ticket_id, seq),
            self.standings[ticket_id],
        )
        step_id = standing.step_id if current is None or standing.seq == seq else current.to_step_id
        return next((step for step in path.steps if step.id == step_id), path.steps[-1])


def _outlook(sources: _Sources, ticket: Ticket, seq: int) -> Outlook | None:
    current = sources.at(ticket.pk, seq)
    if current is None:
        return None
    path, step = sources.path(ticket.pk, seq), sources.step(ticket.pk, seq)
    live = sources.standings[ticket.pk].seq == seq and current.acknowledged_at is None and ticket.is_open
    until, then, climbs_at = _what_next(sources, ticket, seq, path, step) if live else (None, "", None)
    return Outlook(
        step_name=step.name,
        tier_label=str(Tier(step.tier).label),
        why=why(current),
        reason=sources.reasons.get((ticket.pk, seq), ""),
        briefing=_briefing(sources, ticket.pk, current),
        held=_held([row for row in sources.escalations[ticket.pk] if row.seq <= seq]),
        told=_told(sources, ticket.pk, seq),
        instructions="",
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


def _briefing(sources: _Sources, ticket_id: int, escalation: Escalation) -> Briefing | None:
    """Return the handoff that came with this escalation, else the ticket's latest, else how it began."""
    handoffs = sources.handoffs.get(ticket_id, [])
    came_along = [entry for entry in handoffs if entry.pk == escalation.handoff_id]
    handoff = (came_along or handoffs)[-1] if handoffs else None
    if handoff is not None:
        parts = [
            (HANDOFF_WORDS[name], handoff.fields[name]) for name in HANDOFF_WORDS if handoff.fields.get(name)
        ]
        if handoff.body:
            parts.append(("Also", handoff.body))
        title = f"Handoff from {handoff.author}" if handoff.author else "Handoff"
        return Briefing(title, tuple(parts))
    first = sources.first_words.get(ticket_id)
    return Briefing(f"{first.author or 'The requester'} wrote", (("", first.body),)) if first else None


def _what_next(
    sources: _Sources, ticket: Ticket, seq: int, path: PathRule, step: StepRule
) -> tuple[dt.datetime | None, str, dt.datetime | None]:
    """Return (until, then, climbs at): the next thing that happens unless somebody acknowledges."""
    dues = sources.clocks.get(ticket.pk, {})
    climbs_at, next_telling = dues.get(Clock.Kind.ACKNOWLEDGE), dues.get(Clock.Kind.NEXT_TELLING)
    if next_telling is not None and (climbs_at is None or next_telling < climbs_at):
        return next_telling, _next_told(sources, ticket, seq, step), climbs_at
    if climbs_at is not None:
        return climbs_at, _climbs_to(path, step), climbs_at
    return None, "", None


def _next_told(sources: _Sources, ticket: Ticket, seq: int, step: StepRule) -> str:
    """Say who hears of it next, from the lists as they resolve now."""
    if not step.in_turn:
        return f"all of {step.name} are told again"
    tellings = sources.tellings.get((ticket.pk, seq), [])
    round_number = max((row.round for row in tellings), default=0)
    heard = {row.contact_id for row in tellings if row.round == round_number}
    rungs = [
        rung
        for list_id in step.list_ids
        for rung in sources.lists.get(list_id, ())
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


def _told(sources: _Sources, ticket_id: int, seq: int) -> tuple[Told, ...]:
    passed = sources.passed.get((ticket_id, seq), set())
    found: dict[int, Told] = {}
    for row in sources.tellings.get((ticket_id, seq), ()):
        if row.contact_id is None:
            continue
        outcome = "can't" if row.contact_id in passed else _OUTCOMES.get(row.state, "on the way")
        found[row.contact_id] = Told(row.contact_id, row.name or "", outcome)
    return tuple(found.values())


def _behind(escalation: Escalation) -> str:
    """Say when Belay itself was late, so that nobody takes a short time left for their own fault."""
    if escalation.late_by is None or escalation.late_by < dt.timedelta(minutes=1):
        return ""
    return f" (Belay noticed {spoken(escalation.late_by)} late.)"
