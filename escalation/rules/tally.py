"""The sum of what a newer version would do, or did, to many tickets: bounded, whatever their number. Pure."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from escalation.rules.recounting import OUTCOMES, Shift

# Enough to see what would happen without scrolling for ever.
MOST_MOVES = 20
MOST_SAMPLES = 10
MOST_STEPS = 50
NAMED_TICKETS = 5


@dataclass(frozen=True, slots=True)
class StepChange:
    """A ticket whose step has no counterpart, and where it goes."""

    ticket_id: int
    was: str
    to: str


@dataclass(slots=True)
class Tally:
    """Counts by kind and outcome, the largest moves, the first tickets, the steps that are gone."""

    tickets: int = 0
    untouched: int = 0
    at_once: int = 0
    warned: int = 0
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    steps: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    step_counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _largest: list[tuple[float, int, str, Shift]] = field(default_factory=list)
    _sample: list[Shift] = field(default_factory=list)
    _sampled: set[int] = field(default_factory=set)

    def add(self, shifts: Iterable[Shift], step: StepChange | None) -> None:
        """Take one ticket into account."""
        found = list(shifts)
        self.tickets += 1
        self.at_once += any(shift.at_once for shift in found)
        self.warned += any(shift.warns_at_once for shift in found)
        changed = [shift for shift in found if shift.outcome != "unchanged"]
        self.untouched += not changed and step is None
        for shift in found:
            counts = self.kinds.setdefault(shift.kind, Counter())
            counts[shift.outcome] += 1
            counts["at_once"] += shift.at_once
            self._weigh(shift)
        if changed and len(self._sampled) < MOST_SAMPLES:
            self._sampled.add(changed[0].ticket_id)
            self._sample += changed
        if step is not None:
            pair = (step.was, step.to)
            self.step_counts[pair] += 1
            named = self.steps.setdefault(pair, [])
            if len(named) < NAMED_TICKETS:
                named.append(step.ticket_id)

    def _weigh(self, shift: Shift) -> None:
        by = shift.by
        if by is None or not by:
            return
        entry = (abs(by.total_seconds()), -shift.ticket_id, shift.kind, shift)
        if len(self._largest) < MOST_MOVES:
            heapq.heappush(self._largest, entry)
        elif entry[:3] > self._largest[0][:3]:
            heapq.heapreplace(self._largest, entry)

    def as_mapping(self) -> dict[str, Any]:
        """Return it as JSON; instants in ISO 8601."""
        largest = sorted(self._largest, key=lambda entry: entry[:3], reverse=True)
        return {
            "tickets": self.tickets,
            "untouched": self.untouched,
            "at_once": self.at_once,
            "warned": self.warned,
            "kinds": {
                kind: {name: counts[name] for name in (*OUTCOMES, "at_once")}
                for kind, counts in sorted(self.kinds.items())
            },
            "largest": [_written(entry[3]) for entry in largest],
            "sample": [_written(shift) for shift in self._sample],
            "steps": [
                {"from": pair[0], "to": pair[1], "tickets": count, "named": self.steps[pair]}
                for pair, count in self.step_counts.most_common(MOST_STEPS)
            ],
            "moved_steps": self.step_counts.total(),
        }


def _written(shift: Shift) -> Mapping[str, Any]:
    return {
        "ticket": shift.ticket_id,
        "clock": shift.kind,
        "outcome": shift.outcome,
        "from": shift.was.isoformat() if shift.was is not None else None,
        "to": shift.due.isoformat() if shift.due is not None else None,
        "at_once": shift.at_once,
    }
