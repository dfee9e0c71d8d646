"""What came of a replayed incident, and what came of all of them."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from escalation import kinds
from escalation.models import Clock, Escalation, Standing
from escalation.paths import path_rule
from insights.history import LoggedIncident
from insights.repeats import Repeated
from insights.rules import ZERO, LogLine, percentile, solved_at, time_at
from notifications.models import ContactListEntry, Notification

PROMISES = (
    Clock.Kind.FIRST_RESPONSE,
    Clock.Kind.NEXT_RESPONSE,
    Clock.Kind.RESOLUTION,
    Clock.Kind.STAKEHOLDER_UPDATE,
)
BY_CLOCK = (*PROMISES, Clock.Kind.TIER_TIME, Clock.Kind.ACKNOWLEDGE)
WORST = 10
_TOLD_AS = {
    kinds.TELL_FALLBACK: "fallback contact",
    kinds.TELL_LEAD: "lead of the team",
    kinds.TELL_OWNER: "owner or lead",
}


@dataclass(slots=True, kw_only=True)
class Outcome:
    """One incident: what the log shows and what Belay would have done."""

    case: str
    path: str
    severity: int
    lasted: dt.timedelta
    logged_tier: int
    shadow_tier: int
    # (from tier, to tier, trigger) -> climbs; falls by the log are counted apart.
    climbs: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    falls: int = 0
    told_again: int = 0
    # (list, contact) -> messages; the list of messages that come from none is "".
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    acknowledged_in_time: int = 0
    acknowledged_late: int = 0
    # For cases that L2 solved: how long L1 held them, in the log and under Belay.
    held: dt.timedelta | None = None
    would_hold: dt.timedelta | None = None
    # Told again so often at the top that the replay stopped counting until the next row.
    cut_short: bool = False


def observe(
    incident: LoggedIncident, ticket_id: int, repeated: Sequence[Repeated] = (), *, cut_short: bool = False
) -> Outcome:
    """Read off what the engine did to a replayed ticket, before it is taken back."""
    lines = incident.lines
    standing = Standing.objects.select_related("ticket").filter(pk=ticket_id).first()
    if standing is None:
        raise LookupError("there is no escalation path to replay on")
    steps = list(Escalation.objects.filter(ticket_id=ticket_id).order_by("seq"))
    outcome = Outcome(
        case=incident.ticket.source_key,
        path=path_rule(standing.version_id).name,
        severity=standing.ticket.severity,
        lasted=lines[-1].at - lines[0].at,
        logged_tier=max(line.tier for line in lines),
        shadow_tier=max(step.to_tier for step in steps),
        cut_short=cut_short,
    )
    for step in steps:
        if step.kind == Escalation.Kind.CLIMB and step.trigger in BY_CLOCK:
            outcome.climbs[(step.from_tier or step.to_tier, step.to_tier, step.trigger)] += 1
        outcome.falls += step.kind == Escalation.Kind.FALL
    outcome.told_again = standing.ticket.events.filter(kind=kinds.TOLD_AGAIN).count()
    asked: set[int | None] = set()
    clocks = Clock.objects.filter(ticket_id=ticket_id).order_by("pk")
    for kind, state, seq in clocks.values_list("kind", "state", "seq"):
        if kind in PROMISES:
            outcome.missed[kind] += state == Clock.State.FIRED
            outcome.kept[kind] += state == Clock.State.MET
        elif kind == Clock.Kind.ACKNOWLEDGE and seq not in asked:
            # Each step once: what the top asks again and again would outweigh all others.
            asked.add(seq)
            outcome.acknowledged_in_time += state == Clock.State.MET
            outcome.acknowledged_late += state == Clock.State.FIRED
    outcome.told = _told(ticket_id, steps, repeated)
    solved = solved_at(lines)
    if solved is not None and solved.tier == 2:
        outcome.held = time_at(1, lines, solved.at)
        shadow = [LogLine(step.due_at or step.at, step.to_tier, "", at_work=False) for step in steps]
        # Whichever comes first: people hand over, or the clock does.
        outcome.would_hold = min(outcome.held, time_at(1, shadow, solved.at))
    return outcome


def _told(
    ticket_id: int, steps: Sequence[Escalation], repeated: Sequence[Repeated]
) -> Counter[tuple[str, str]]:
    """Count the messages of a ticket by the list that named the contact, and by the contact."""
    lists_of: dict[int, tuple[int, ...]] = {}
    for step in steps:
        if step.path_version_id is not None:
            rule = path_rule(step.path_version_id)
            lists_of[step.seq] = next(one.list_ids for one in rule.steps if one.id == step.to_step_id)
    named: dict[int, dict[int, str]] = {}
    wanted = {pk for ids in lists_of.values() for pk in ids}
    entries = ContactListEntry.objects.filter(contact_list_id__in=wanted)
    for list_id, name, contact_id, lead_id in entries.values_list(
        "contact_list_id", "contact_list__name", "contact_id", "contact__team__lead__contact"
    ):
        # A role on the list is told as the person it resolves to.
        named.setdefault(list_id, {}).update({pk: name for pk in (contact_id, lead_id) if pk is not None})
    more: Counter[tuple[int, int]] = Counter()
    for one in repeated:
        more[one.seq, one.round] += one.times
    told: Counter[tuple[str, str]] = Counter()
    rows = Notification.objects.filter(ticket_id=ticket_id, kind__startswith="escalation.")
    for kind, seq, number, contact_id, contact in rows.values_list(
        "kind", "seq", "round", "contact_id", "contact__name"
    ):
        times = 1 + (more[seq or 0, number] if number is not None else 0)
        if kind != kinds.TELL:
            told[("", _TOLD_AS.get(kind, kind))] += times
            continue
        names = (named.get(pk, {}).get(contact_id) for pk in lists_of.get(seq or 0, ()))
        told[(next((name for name in names if name), ""), contact or "")] += times
    return told


@dataclass(slots=True)
class Total:
    """All replayed incidents together."""

    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def counted(self, name: str) -> Counter[Any]:
        """Return one of the counters of the outcomes, added up."""
        total: Counter[Any] = Counter()
        for outcome in self.outcomes:
            total.update(getattr(outcome, name))
        return total

    def summed(self, name: str) -> int:
        return sum(getattr(outcome, name) for outcome in self.outcomes)

    def durations(self, name: str) -> list[dt.timedelta]:
        return [value for outcome in self.outcomes if (value := getattr(outcome, name)) is not None]

    @property
    def in_time_share(self) -> float | None:
        """Return the share of wanted acknowledgements that came in time; None when none was wanted."""
        in_time, late = self.summed("acknowledged_in_time"), self.summed("acknowledged_late")
        return in_time / (in_time + late) if in_time + late else None

    def worst(self, count: int = WORST) -> list[Outcome]:
        """Return the incidents that would have climbed, told and missed most."""
        return sorted(
            self.outcomes,
            key=lambda o: (-o.climbs.total(), -o.missed.total(), -o.told.total(), o.case),
        )[:count]

    def as_json(self) -> dict[str, Any]:
        """Return the figures in plain types, in a fixed order; durations in seconds."""
        held, would = self.durations("held"), self.durations("would_hold")
        return {
            "incidents": len(self.outcomes),
            "paths": dict(sorted(Counter(outcome.path for outcome in self.outcomes).items())),
            "severities": {
                f"SEV{severity}": count
                for severity, count in sorted(Counter(o.severity for o in self.outcomes).items())
            },
            "climbs_by_clock": [
                {"from": before, "to": after, "trigger": trigger, "count": count}
                for (before, after, trigger), count in sorted(self.counted("climbs").items())
            ],
            "falls": self.summed("falls"),
            "told_again_at_the_top": self.summed("told_again"),
            "told": [
                {"list": name, "contact": contact, "messages": count}
                for (name, contact), count in sorted(
                    self.counted("told").items(),
                    key=lambda item: (item[0][0] == "", item[0][0], -item[1], item[0]),
                )
            ],
            "promises": {
                kind.value: {"kept": self.counted("kept")[kind], "missed": self.counted("missed")[kind]}
                for kind in PROMISES
            },
            "acknowledged": {
                "in_time": self.summed("acknowledged_in_time"),
                "late": self.summed("acknowledged_late"),
                "share": None if self.in_time_share is None else round(self.in_time_share, 4),
            },
            "solved_by_l2": {
                "incidents": len(held),
                "held_by_l1": _spread(held),
                "would_be_held_by_l1": _spread(would),
            },
            "worst": [
                {
                    "case": o.case,
                    "path": o.path,
                    "severity": o.severity,
                    "lasted": o.lasted.total_seconds(),
                    "logged_tier": o.logged_tier,
                    "shadow_tier": o.shadow_tier,
                    "climbs": o.climbs.total(),
                    "messages": o.told.total(),
                    "missed": o.missed.total(),
                }
                for o in self.worst()
            ],
            "cut_short": self.summed("cut_short"),
        }


def _spread(values: Sequence[dt.timedelta]) -> dict[str, float | None]:
    median, p90 = percentile(values, 0.5), percentile(values, 0.9)
    return {
        "median": (median or ZERO).total_seconds() if values else None,
        "p90": (p90 or ZERO).total_seconds() if values else None,
    }
