"""A path as the rules see it, and where a ticket enters it. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from escalation.rules.conditions import Facts, matches

MANAGEMENT = 4
Targets = Mapping[int, tuple[dt.timedelta | None, dt.timedelta | None]]


@dataclass(frozen=True)
class Promises:
    """What the requester was promised at one severity; None means nothing was."""

    first_response: dt.timedelta | None = None
    next_response: dt.timedelta | None = None
    resolution: dt.timedelta | None = None
    update_every: dt.timedelta | None = None


@dataclass(frozen=True)
class StepRule:
    """One rung of a path version; `targets` maps a severity to (acknowledge within, work within)."""

    id: int
    position: int
    name: str
    tier: int
    team_id: int | None
    transfers: bool
    calendar_id: int | None
    list_ids: tuple[int, ...]
    in_turn: bool
    wait: dt.timedelta
    rounds: int
    skip_when: Mapping[str, Any] | None
    targets: Targets = field(default_factory=lambda: MappingProxyType({}))

    @property
    def queue_only(self) -> bool:
        """Tell whether the step tells nobody: taking or answering is its acknowledgement (DESIGN 3)."""
        return not self.list_ids

    def acknowledge_within(self, severity: int) -> dt.timedelta | None:
        return self.targets.get(severity, (None, None))[0]

    def work_within(self, severity: int) -> dt.timedelta | None:
        return self.targets.get(severity, (None, None))[1]


@dataclass(frozen=True)
class PathRule:
    """One immutable path version."""

    version_id: int
    path_id: int
    name: str
    number: int
    calendar_id: int
    sev1_round_the_clock: bool
    fallback_id: int
    hold_pauses: bool
    follow_up_days: int
    warn_percent: int
    # Clock kind -> True when the ticket climbs, False when the lead is told.
    climbs_on: Mapping[str, bool]
    conditions: Mapping[str, Any]
    steps: tuple[StepRule, ...]
    promises: Mapping[int, Promises]

    @cached_property
    def by_id(self) -> Mapping[int, StepRule]:
        return {step.id: step for step in self.steps}

    def step(self, position: int) -> StepRule:
        """Return the step at `position` (from 1). Raises IndexError."""
        if not 1 <= position <= len(self.steps):
            raise IndexError(f"path has no step {position}")
        return self.steps[position - 1]

    def after(self, step: StepRule) -> StepRule | None:
        """Return the step above, None at the top."""
        return self.steps[step.position] if step.position < len(self.steps) else None

    def promised(self, severity: int) -> Promises:
        return self.promises.get(severity, Promises())


def choose(paths: Sequence[PathRule], facts: Facts) -> PathRule:
    """Return the first path that matches; `paths` come by position, the default one last (DESIGN 3).

    Raises LookupError when there is none at all.
    """
    for path in paths:
        if matches(path.conditions, facts):
            return path
    if not paths:
        raise LookupError("there is no escalation path")
    return paths[-1]


def entry_step(path: PathRule, facts: Facts, at_least: int = 1) -> StepRule:
    """Return the first step at tier `at_least` or above that this ticket does not skip; at the worst the last one.

    Conditions skip steps when the path is chosen (DESIGN 3, paths and steps).
    """
    for step in path.steps:
        if step.tier < at_least:
            continue
        if step.skip_when is not None and matches(step.skip_when, facts):
            continue
        return step
    return path.steps[-1]


def return_step(path: PathRule, current: StepRule) -> StepRule:
    """Return where a reopened ticket goes: the last step up to the current one that transfers (DESIGN 3)."""
    for step in reversed(path.steps[: current.position]):
        if step.transfers:
            return step
    return path.steps[0]
