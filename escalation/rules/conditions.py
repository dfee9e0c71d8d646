"""Which tickets a condition means; paths are picked and steps skipped by it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What a mapping of conditions may name; every key is a list of allowed values, "vip" is true or false.
KEYS = (
    "severities",
    "categories",
    "services",
    "criticalities",
    "organisations",
    "vip",
    "tags",
    "impacts",
    "complexities",
    "sources",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions look at, of one ticket; ids where the thing is a row."""

    severity: int
    category: int | None
    service: int | None
    criticality: int | None
    organisation: int | None
    vip: bool
    tags: frozenset[str]
    impact: int
    complexity: int
    source: str


def matches(conditions: Mapping[str, Any], facts: Facts) -> bool:
    """Tell whether every condition given holds; no conditions match every ticket.

    A list holds when the ticket's value stands in it (for tags: when they share one).
    """
    single = {
        "severities": facts.severity,
        "categories": facts.category,
        "services": facts.service,
        "criticalities": facts.criticality,
        "organisations": facts.organisation,
        "impacts": facts.impact,
        "complexities": facts.complexity,
        "sources": facts.source,
    }
    for key, wanted in conditions.items():
        if key == "vip":
            if wanted is not None and bool(wanted) != facts.vip:
                return False
        elif key == "tags":
            if wanted and not facts.tags & frozenset(wanted):
                return False
        elif key in single:
            if wanted and single[key] not in wanted:
                return False
        else:
            raise KeyError(f"“{key}” is no condition")
    return True
