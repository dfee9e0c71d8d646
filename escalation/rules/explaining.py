"""Where a deadline comes from and what follows when it is due, by the very rules that decide. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.durations import written
from escalation.rules.deciding import Due, decide
from escalation.rules.paths import PathRule, StepRule

STEP_TIMES = {"acknowledge": 0, "tier_time": 1}
PROMISE_WORDS = {
    "first_response": "first response within",
    "next_response": "next response within",
    "resolution": "resolution within",
    "stakeholder_update": "an update every",
}
_PROMISE_FIELDS = {"stakeholder_update": "update_every"}
_SEVERITIES = (1, 2, 3, 4)

# What happens when a clock is due.
CLIMBS = "climbs"
AGAIN = "again"
TELLS_NEXT = "tells_next"
TELLS_LEAD = "tells_lead"
TELLS_OWNER = "tells_owner"
REOPENS = "reopens"
PURSUES = "pursues"
HELD = "held"
RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What one clock alone leads to: a step to climb to, or whom the ticket is told to."""

    kind: str
    to: StepRule | None = None


Item = TypeVar("Item")


def consequence(path: PathRule, step: StepRule, due: Due, *, suspended: bool = False) -> Consequence:
    """Return what follows when this clock is due and no other one is: what `decide` says of it."""
    decision = decide(path, step, (due,), due.due_at, suspended=suspended)
    if decision.to is not None:
        return Consequence(CLIMBS, decision.to)
    for follows, kind in (
        (decision.again, AGAIN),
        (decision.tell_next, TELLS_NEXT),
        (decision.follow_up, REOPENS),
        (decision.pursue_question, PURSUES),
        (decision.hold, HELD),
        (decision.tell_owner, TELLS_OWNER),
        (decision.tell_lead, TELLS_LEAD),
    ):
        if follows:
            return Consequence(kind, step if kind in (AGAIN, TELLS_NEXT) else None)
    return Consequence(RECORDED)


def budget_source(
    kind: str, path: PathRule, step: StepRule | None, *, severity: int, budget: dt.timedelta
) -> str:
    """Return where a clock's budget comes from: "SEV2 at Network: acknowledge within 10 min".

    A clock keeps its budget when the severity is lowered: then it names the severity that it had.
    """
    if kind == "follow_up":
        days = path.follow_up_days
        return f"followed up after {days} business {'day' if days == 1 else 'days'}"
    if kind == "next_telling" and step is not None:
        return f"{step.name} waits {written(step.wait)} before {'the next one' if step.in_turn else 'it tells again'}"
    for candidate in (severity, *(other for other in _SEVERITIES if other != severity)):
        cell = _cell(kind, path, step, candidate)
        if cell == budget:
            place = f"SEV{candidate} at {step.name}" if step is not None else f"SEV{candidate}"
            then = "" if candidate == severity else f" (it was SEV{candidate} when the clock started)"
            return f"{place}: {_cell_words(kind)} {written(budget)}{then}"
    return f"{written(budget)}, set when the clock started"


def shorten(
    items: Sequence[Item], *, first: int = 3, last: int = 2
) -> tuple[tuple[Item, ...], tuple[Item, ...], tuple[Item, ...]]:
    """Return the beginning, what is left out in the middle, and the end; fewer than two are never left out."""
    if len(items) <= first + last + 1:
        return tuple(items), (), ()
    return tuple(items[:first]), tuple(items[first:-last]), tuple(items[-last:])


def _cell(kind: str, path: PathRule, step: StepRule | None, severity: int) -> dt.timedelta | None:
    if kind in STEP_TIMES:
        return step.targets.get(severity, (None, None))[STEP_TIMES[kind]] if step is not None else None
    if kind == "request":
        return step.acknowledge_within(severity) if step is not None else None
    found: dt.timedelta | None = getattr(path.promised(severity), _PROMISE_FIELDS.get(kind, kind), None)
    return found


def _cell_words(kind: str) -> str:
    if kind in PROMISE_WORDS:
        return PROMISE_WORDS[kind]
    return "work within" if kind == "tier_time" else "acknowledge within"
