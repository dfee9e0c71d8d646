"""What keeps a path from being published, each with its exact place. Pure."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from escalation.rules.conditions import KEYS
from escalation.rules.specs import (
    ALL,
    CLIMB,
    IN_TURN,
    INVOLVES,
    PROMISES,
    TARGETS,
    TELL_LEAD,
    TRANSFERS,
    PathSpec,
    StepSpec,
)

SEVERITIES = (1, 2, 3, 4)
TIERS = {1: "L1", 2: "L2", 3: "L3", 4: "Management"}
# Longer than the calendars look ahead for an opening, and longer than anybody waits.
LONGEST = dt.timedelta(days=5 * 366)
_SMALL = 32767

# What each condition may name, where that is not the id of a row.
_ALLOWED: Mapping[str, tuple[int, ...]] = {
    "severities": SEVERITIES,
    "criticalities": (1, 2, 3),
    "impacts": (1, 2, 3),
    "complexities": (1, 2, 3),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a path can't be published; `field` is a dotted place such as steps.2.targets.1.work_within."""

    field: str
    value: Any
    message: str
    mend: str


def problems_of(spec: PathSpec) -> tuple[Problem, ...]:
    """Return everything that keeps `spec` from being published, in the order in which it stands on the page."""
    return (
        *_of_the_path(spec),
        *_of_conditions("conditions", "The path", spec.conditions),
        *_of_steps(spec.steps),
        *_of_promises(spec),
    )


def step_label(place: int, step: StepSpec) -> str:
    """Return what a step is called in a sentence; its place counts from 1."""
    return f"Step {place} “{step.name}”" if step.name.strip() else f"Step {place}"


def _of_the_path(spec: PathSpec) -> Iterator[Problem]:
    name = spec.name.strip()
    if not name or len(name) > 100:
        message = "A path needs a name." if not name else f"The name has {len(name)} characters."
        yield Problem("name", spec.name, message, "Give one of 1 to 100 characters.")
    if len(spec.description) > 300:
        yield Problem(
            "description",
            spec.description,
            f"The description has {len(spec.description)} characters.",
            "Take at most 300.",
        )
    if not 0 <= spec.position <= _SMALL:
        yield Problem(
            "position",
            spec.position,
            f"“{spec.position}” is no position.",
            f"Take a number from 0 to {_SMALL}.",
        )
    if spec.is_default and not spec.is_active:
        yield Problem(
            "is_active",
            False,
            "The default path can't be switched off: tickets that match no other path take it.",
            "Make another path the default first.",
        )
    if spec.calendar_id is None:
        yield Problem(
            "calendar_id", None, "A path needs a calendar.", "Choose the hours its clocks count in."
        )
    if spec.fallback_contact_id is None:
        yield Problem(
            "fallback_contact_id",
            None,
            "A path needs a fallback contact.",
            "Choose who is told when nobody of a step can be reached.",
        )
    if not 1 <= spec.warn_percent <= 99:
        yield Problem(
            "warn_percent",
            spec.warn_percent,
            f"A clock can't warn at {spec.warn_percent} %.",
            "Take a share from 1 to 99.",
        )
    if not 1 <= spec.follow_up_days <= 366:
        yield Problem(
            "follow_up_days",
            spec.follow_up_days,
            f"“{spec.follow_up_days}” is no number of business days to follow up after.",
            "Take one from 1 to 366: a waiting ticket too has a clock.",
        )
    for field in ("on_first_response_due", "on_next_response_due", "on_resolution_due"):
        if getattr(spec, field) not in (TELL_LEAD, CLIMB):
            yield Problem(
                field,
                getattr(spec, field),
                f"“{getattr(spec, field)}” is nothing a clock can do.",
                f"Take {TELL_LEAD} or {CLIMB}.",
            )


def _of_conditions(field: str, whose: str, conditions: Mapping[str, Any] | None) -> Iterator[Problem]:
    for key, wanted in (conditions or {}).items():
        if key not in KEYS:
            yield Problem(
                f"{field}.{key}", wanted, f"{whose}: “{key}” is no condition.", f"Use {', '.join(KEYS)}."
            )
        elif key == "vip":
            if wanted is not None and not isinstance(wanted, bool):
                yield Problem(
                    f"{field}.vip", wanted, f"{whose}: “{wanted}” is no answer to VIP.", "Give true or false."
                )
        elif not isinstance(wanted, list | tuple) or not all(_is_item(key, item) for item in wanted):
            allowed = _ALLOWED.get(key)
            kind = "words" if key in ("tags", "sources") else "ids"
            yield Problem(
                f"{field}.{key}",
                wanted,
                f"{whose}: the condition {key} can't be “{wanted}”.",
                f"Give a list of {'some of ' + ', '.join(map(str, allowed)) if allowed else kind}.",
            )


def _is_item(key: str, item: Any) -> bool:
    if key in ("tags", "sources"):
        return isinstance(item, str) and bool(item.strip())
    if isinstance(item, bool) or not isinstance(item, int):
        return False
    return item in _ALLOWED[key] if key in _ALLOWED else item > 0


def _of_steps(steps: Sequence[StepSpec]) -> Iterator[Problem]:
    if not steps:
        yield Problem("steps", (), "A path needs at least one step.", "Add the step where tickets arrive.")
    for place, step in enumerate(steps, start=1):
        yield from _of_step(f"steps.{place}", step_label(place, step), step)
    for place, (below, above) in enumerate(pairwise(steps), start=2):
        if above.tier < below.tier and above.tier in TIERS and below.tier in TIERS:
            yield Problem(
                f"steps.{place}.tier",
                above.tier,
                f"{step_label(place, above)} is {TIERS[above.tier]}, the one before it {TIERS[below.tier]}: "
                "tiers never fall along a path.",
                f"Take {TIERS[below.tier]} or above, or move the step down.",
            )


def _of_step(field: str, label: str, step: StepSpec) -> Iterator[Problem]:
    if not step.name.strip() or len(step.name) > 100:
        yield Problem(
            f"{field}.name", step.name, f"{label} needs a name.", "Give one of 1 to 100 characters."
        )
    if step.tier not in TIERS:
        yield Problem(
            f"{field}.tier",
            step.tier,
            f"{label}: “{step.tier}” is no tier.",
            "Take 1, 2, 3 or 4 (management).",
        )
    if step.mode not in (TRANSFERS, INVOLVES):
        yield Problem(
            f"{field}.mode",
            step.mode,
            f"{label}: “{step.mode}” is no mode.",
            f"Take {TRANSFERS} or {INVOLVES}.",
        )
    if step.telling not in (ALL, IN_TURN):
        yield Problem(
            f"{field}.telling",
            step.telling,
            f"{label}: “{step.telling}” is no way of telling.",
            f"Take {ALL} or {IN_TURN}.",
        )
    if len(set(step.contact_list_ids)) != len(step.contact_list_ids):
        yield Problem(
            f"{field}.contact_list_ids",
            step.contact_list_ids,
            f"{label} names a contact list twice.",
            "Name every list once.",
        )
    yield from _of_duration(f"{field}.wait", f"{label}: the wait between tellings", step.wait, needed=True)
    if not 1 <= step.rounds <= 1000:
        yield Problem(
            f"{field}.rounds",
            step.rounds,
            f"{label}: “{step.rounds}” is no number of rounds.",
            "Take one from 1 to 1000.",
        )
    yield from _of_conditions(f"{field}.skip_when", label, step.skip_when)
    for severity, cell in step.targets.items():
        if severity not in SEVERITIES:
            yield _unknown_severity(f"{field}.targets", label, severity)
            continue
        for name, duration in zip(TARGETS, cell, strict=True):
            what = f"{label}, SEV{severity}: the time to {name.removesuffix('_within')}"
            yield from _of_duration(f"{field}.targets.{severity}.{name}", what, duration)


def _of_promises(spec: PathSpec) -> Iterator[Problem]:
    for severity, promise in spec.promises.items():
        if severity not in SEVERITIES:
            yield _unknown_severity("promises", "The service targets", severity)
            continue
        for name in PROMISES:
            what = f"The service target “{name.replace('_', ' ')}” of SEV{severity}"
            yield from _of_duration(f"promises.{severity}.{name}", what, getattr(promise, name))


def _unknown_severity(field: str, whose: str, severity: Any) -> Problem:
    return Problem(field, severity, f"{whose}: “{severity}” is no severity.", "Take 1, 2, 3 or 4.")


def _of_duration(
    field: str, what: str, duration: dt.timedelta | None, *, needed: bool = False
) -> Iterator[Problem]:
    if duration is None:
        if needed:
            yield Problem(field, None, f"{what} is missing.", "Write it like 5 min or 1 h.")
    elif duration <= dt.timedelta(0):
        mend = "Write it like 5 min or 1 h" + (
            "." if needed else "; leave it empty when there is to be no such clock."
        )
        yield Problem(field, duration, f"{what} must be longer than nothing.", mend)
    elif duration > LONGEST:
        yield Problem(field, duration, f"{what} is longer than five years.", "Take a shorter one.")
