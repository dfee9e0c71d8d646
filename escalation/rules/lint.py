"""What is doubtful about a path: warned of, with the exact place, but not refused. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.durations import spoken
from escalation.rules.problems import SEVERITIES, step_label
from escalation.rules.specs import ALL, PROMISES, TRANSFERS, PathSpec, StepSpec


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One entry of a contact list as it resolves now."""

    name: str
    reachable: bool
    severities: frozenset[int] = frozenset()
    from_round: int = 1

    def wanted(self, severity: int, round_number: int) -> bool:
        return (not self.severities or severity in self.severities) and round_number >= self.from_round


@dataclass(frozen=True, slots=True)
class ListFacts:
    """One contact list as it resolves now, in order."""

    name: str
    entries: tuple[EntryFacts, ...]


@dataclass(frozen=True, slots=True)
class FallbackFacts:
    """The fallback contact: whether it is a person, and how many of its methods are known to work."""

    name: str
    is_person: bool
    proven_methods: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something doubtful; `step` counts from 1, `field` is a dotted place as in Problem."""

    code: str
    message: str
    field: str
    step: int | None = None
    severity: int | None = None


def lint(
    spec: PathSpec,
    *,
    lists: Mapping[int, ListFacts],
    fallback: FallbackFacts | None,
    before: Iterable[tuple[str, Mapping[str, Any]]] = (),
) -> tuple[Doubt, ...]:
    """Return what is doubtful about a path, each with its exact place.

    `lists` are the contact lists its steps name, `before` the (name, conditions) of the active paths that are tried
    earlier.
    """
    severities = tuple(spec.conditions.get("severities") or SEVERITIES)
    return (
        *_lint_path(spec, before),
        *_lint_severities(spec, severities),
        *(
            warning
            for place, step in enumerate(spec.steps, start=1)
            for warning in _lint_step(spec, place, step, severities, lists)
        ),
        *_lint_top(spec, severities),
        *_lint_contacts(spec, lists),
        *_lint_fallback(fallback),
    )


def implies(narrow: Mapping[str, Any], wide: Mapping[str, Any]) -> bool:
    """Tell whether every ticket that `narrow` matches is matched by `wide`, too."""
    for key, wanted in wide.items():
        mine = narrow.get(key)
        if key == "vip":
            if wanted is not None and mine != wanted:
                return False
        elif wanted and not (mine and set(mine) <= set(wanted)):
            return False
    return True


def telling_time(step: StepSpec, entries: Sequence[EntryFacts], severity: int) -> dt.timedelta | None:
    """Return how long after the step began the last planned telling starts; None when nobody is ever told."""
    tellings = 0
    for round_number in range(1, step.rounds + 1):
        told = sum(1 for entry in entries if entry.reachable and entry.wanted(severity, round_number))
        tellings += min(told, 1) if step.telling == ALL else told
    return step.wait * (tellings - 1) if tellings else None


def _lint_path(spec: PathSpec, before: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Doubt]:
    if not spec.is_active:
        return
    if spec.is_default:
        if any(wanted not in (None, [], ()) for wanted in spec.conditions.values()):
            yield Doubt(
                "default_conditions",
                "The default path also takes tickets that its conditions leave out: nobody else does.",
                "conditions",
            )
        return
    for name, conditions in before:
        if implies(spec.conditions, conditions):
            yield Doubt(
                "path_unreachable",
                f"No ticket ever takes this path: “{name}” is tried before it and takes all that match it.",
                "position",
            )
            return


def _lint_severities(spec: PathSpec, severities: Sequence[int]) -> Iterator[Doubt]:
    for severity in severities:
        if not any(any(step.targets.get(severity, ())) for step in spec.steps):
            yield Doubt(
                "severity_without_targets",
                f"SEV{severity} has no time at any step: nothing makes such a ticket climb.",
                f"steps.1.targets.{severity}.work_within",
                severity=severity,
            )
        promise = spec.promises.get(severity)
        if promise is None or not any(getattr(promise, name) for name in PROMISES):
            yield Doubt(
                "severity_without_promise",
                f"SEV{severity} has no service target: the requester is promised nothing.",
                f"promises.{severity}.first_response",
                severity=severity,
            )


def _lint_step(
    spec: PathSpec, place: int, step: StepSpec, severities: Sequence[int], lists: Mapping[int, ListFacts]
) -> Iterator[Doubt]:
    label, field = step_label(place, step), f"steps.{place}"
    if step.skip_when is not None and implies(spec.conditions, step.skip_when):
        yield Doubt(
            "step_unreachable",
            f"{label} is always skipped when the path is chosen: only a person or a clock below it leads there."
            if place > 1
            else f"{label} is always skipped: no ticket starts there.",
            f"{field}.skip_when",
            step=place,
        )
    if step.mode == TRANSFERS and step.team_id is None:
        yield Doubt(
            "step_without_team",
            f"{label} transfers the ticket, but names no team: nobody owns it there.",
            f"{field}.team_id",
            step=place,
        )
    entries = [entry for pk in step.contact_list_ids if pk in lists for entry in lists[pk].entries]
    if step.contact_list_ids:
        yield from _lint_tellings(field, label, place, step, severities, entries)
    elif not any(any(step.targets.get(severity, ())) for severity in severities):
        yield Doubt(
            "step_nobody_answers",
            f"{label} tells nobody and has no clock: a ticket that comes here stays until somebody finds it.",
            f"{field}.contact_list_ids",
            step=place,
        )
    for severity in severities:
        acknowledge, work = step.targets.get(severity, (None, None))
        if acknowledge is not None and work is not None and acknowledge > work:
            yield Doubt(
                "acknowledge_beyond_work",
                f"{label}, SEV{severity}: {spoken(acknowledge)} to acknowledge is longer than the "
                f"{spoken(work)} to work; the ticket climbs before it could be acknowledged.",
                f"{field}.targets.{severity}.acknowledge_within",
                step=place,
                severity=severity,
            )


def _lint_tellings(
    field: str,
    label: str,
    place: int,
    step: StepSpec,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    silent = []
    for severity in severities:
        needed = telling_time(step, entries, severity)
        if needed is None:
            silent.append(severity)
            continue
        acknowledge = step.targets.get(severity, (None, None))[0]
        if acknowledge is not None and needed >= acknowledge:
            yield Doubt(
                "rounds_do_not_fit",
                f"{label}, SEV{severity}: its {step.rounds} {'round' if step.rounds == 1 else 'rounds'} of telling "
                f"{'take' if step.rounds != 1 else 'takes'} {spoken(needed)}, but the ticket climbs "
                f"after {spoken(acknowledge)}; not everybody is told.",
                f"{field}.targets.{severity}.acknowledge_within",
                step=place,
                severity=severity,
            )
    if silent:
        at = "" if len(silent) == len(severities) else f" at {_listed(silent)}"
        yield Doubt(
            "step_nobody_answers",
            f"{label} reaches nobody{at}: no entry of its contact lists can be told. The fallback contact is.",
            f"{field}.contact_list_ids",
            step=place,
            severity=silent[0] if len(silent) == 1 else None,
        )


def _lint_top(spec: PathSpec, severities: Sequence[int]) -> Iterator[Doubt]:
    if not spec.steps:
        return
    place, top = len(spec.steps), spec.steps[-1]
    missing = [severity for severity in severities if top.targets.get(severity, (None, None))[1] is None]
    if missing:
        yield Doubt(
            "top_without_work_time",
            f"{step_label(place, top)} is the last one and has no time to work at {_listed(missing)}: once "
            "acknowledged there, a ticket is never told again.",
            f"steps.{place}.targets.{missing[0]}.work_within",
            step=place,
            severity=missing[0] if len(missing) == 1 else None,
        )


def _lint_contacts(spec: PathSpec, lists: Mapping[int, ListFacts]) -> Iterator[Doubt]:
    seen = set()
    for place, step in enumerate(spec.steps, start=1):
        for list_id in step.contact_list_ids:
            if list_id not in lists or list_id in seen:
                continue
            seen.add(list_id)
            unreachable = [entry.name for entry in lists[list_id].entries if not entry.reachable]
            if unreachable:
                names = ", ".join(unreachable)
                has = "has" if len(unreachable) == 1 else "have"
                yield Doubt(
                    "contact_without_method",
                    f"{names} on “{lists[list_id].name}” {has} no working method and can't be told.",
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )


def _lint_fallback(fallback: FallbackFacts | None) -> Iterator[Doubt]:
    if fallback is None:
        return
    if not fallback.is_person:
        yield Doubt(
            "fallback_no_person",
            f"The fallback “{fallback.name}” is no person: a room acknowledges nothing.",
            "fallback_contact_id",
        )
    if fallback.proven_methods < 2:
        has = {0: "no proven method", 1: "one proven method"}[fallback.proven_methods]
        yield Doubt(
            "fallback_unproven",
            f"The fallback “{fallback.name}” has {has}; two are wanted, for the day when one fails.",
            "fallback_contact_id",
        )


def _listed(severities: Sequence[int]) -> str:
    names = [f"SEV{severity}" for severity in severities]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
