"""What is doubtful about a path: warned of, with the exact place and the mend, but not refused. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from escalation.rules.lint.facts import (
    ERROR,
    LEVELS,
    WARNING,
    CalendarFacts,
    Doubt,
    DutyFacts,
    EntryFacts,
    Facts,
    FallbackFacts,
    ListFacts,
    implies,
    schedule,
)
from escalation.rules.lint.paths import lint_contacts, lint_fallback, lint_night, lint_path, lint_severities
from escalation.rules.lint.steps import lint_step
from escalation.rules.problems import SEVERITIES
from escalation.rules.specs import PathSpec

_NOTHING: Mapping[Any, Any] = {}

__all__ = [
    "ERROR",
    "LEVELS",
    "WARNING",
    "CalendarFacts",
    "Doubt",
    "DutyFacts",
    "EntryFacts",
    "FallbackFacts",
    "ListFacts",
    "at_least",
    "implies",
    "lint",
    "schedule",
]


def lint(
    spec: PathSpec,
    *,
    lists: Mapping[int, ListFacts],
    fallback: FallbackFacts | None,
    before: Iterable[tuple[str, Mapping[str, Any]]] = (),
    calendars: Mapping[int, CalendarFacts] = _NOTHING,
) -> tuple[Doubt, ...]:
    """Return what is doubtful about a path, each with its level, exact place and mend.

    `lists` are the contact lists its steps name, `before` the (name, conditions) of the active paths that are tried
    earlier, `calendars` those that path and steps name. One cause is told once, where it is best mended.
    """
    severities = tuple(spec.conditions.get("severities") or SEVERITIES)
    facts = Facts(spec, severities, lists, fallback, calendars)
    return (
        *lint_path(spec, before),
        *lint_severities(facts),
        *(doubt for place, step in enumerate(spec.steps, start=1) for doubt in lint_step(facts, place, step)),
        *lint_night(facts),
        *lint_contacts(facts),
        *lint_fallback(fallback),
    )


def at_least(doubts: Iterable[Doubt], level: str) -> list[Doubt]:
    """Return the doubts of this level or a worse one."""
    return [doubt for doubt in doubts if LEVELS.index(doubt.level) >= LEVELS.index(level)]
