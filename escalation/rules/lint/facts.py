"""What linting a path looks at: the path, and its contacts, fallback and calendars as they are now. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from escalation.rules.specs import ALL, CLIMB, PathSpec, StepSpec

# Somebody may be left without help; everything else is a warning.
ERROR = "error"
WARNING = "warning"
LEVELS = (WARNING, ERROR)
_CLIMBING = (
    ("first_response", "on_first_response_due"),
    ("next_response", "on_next_response_due"),
    ("resolution", "on_resolution_due"),
)


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One entry of a contact list as it resolves now.

    `reachable`: has a method that would be tried; `failing`: all of them failed the last time; `proven`: one of them is
    known to have worked; `bell_only`: told in Belay, and nowhere else. `why` and `mend` say what is wrong with one that
    can't be told. `person` tells people apart, whichever contact names them. `on_call`: a role of a schedule, of which
    DutyFacts say what is doubtful.
    """

    name: str
    reachable: bool
    severities: frozenset[int] = frozenset()
    from_round: int = 1
    failing: bool = False
    person: str = ""
    why: str = "has no working method"
    mend: str = "Give them one, or take them off the list."
    proven: bool = True
    bell_only: bool = False
    on_call: bool = False

    @property
    def working(self) -> bool:
        return self.reachable and not self.failing

    @property
    def who(self) -> str:
        return self.person or self.name

    def at(self, severity: int) -> bool:
        """Tell whether the entry is ever told at this severity."""
        return not self.severities or severity in self.severities

    def wanted(self, severity: int, round_number: int) -> bool:
        """Tell whether the entry is told at this severity in this round."""
        return self.at(severity) and round_number >= self.from_round


@dataclass(frozen=True, slots=True)
class DutyFacts:
    """Whoever is on call, as an entry of a contact list.

    `gaps` are the stretches of the next 90 days in which nobody is, in words, `gap_until` the end of the one that is
    now; `unreachable` who takes turns without any contact method; `idle`: the schedule is switched off.
    """

    name: str
    schedule: str
    zone: str = "UTC"
    gaps: tuple[str, ...] = ()
    gap_until: str = ""
    unreachable: tuple[str, ...] = ()
    idle: bool = False


@dataclass(frozen=True, slots=True)
class ListFacts:
    """One contact list as it resolves now, in order."""

    name: str
    entries: tuple[EntryFacts, ...]
    duties: tuple[DutyFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class FallbackFacts:
    """The fallback contact: whether it is a person, and how many of its methods are known to work.

    `unreachable` says why it is no help at all ("is switched off"), "" when it is one.
    """

    name: str
    is_person: bool
    proven_methods: int
    person: str = ""
    unreachable: str = ""

    @property
    def who(self) -> str:
        return self.person or self.name


@dataclass(frozen=True, slots=True)
class CalendarFacts:
    """A calendar's name, and whether it is open round the clock."""

    name: str
    always: bool


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something doubtful; `step` counts from 1, `field` is a dotted place as in Problem, `mend` what to do."""

    code: str
    level: str
    message: str
    mend: str
    field: str
    step: int | None = None
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the checks of one path look at."""

    spec: PathSpec
    severities: tuple[int, ...]
    lists: Mapping[int, ListFacts]
    fallback: FallbackFacts | None
    calendars: Mapping[int, CalendarFacts]

    def entries(self, step: StepSpec) -> list[EntryFacts]:
        """Return everybody on the step's lists in order, each person once, as the telling does."""
        found: dict[str, EntryFacts] = {}
        for pk in step.contact_list_ids:
            for entry in self.lists[pk].entries if pk in self.lists else ():
                found.setdefault(entry.who, entry)
        return list(found.values())

    def severities_at(self, place: int) -> tuple[int, ...]:
        """Return the severities at which a ticket ever starts at this step or climbs through it."""
        if place == len(self.spec.steps):
            return self.severities
        return tuple(severity for severity in self.severities if not self._passed_over(place, severity))

    def _passed_over(self, place: int, severity: int) -> bool:
        mine = {**self.spec.conditions, "severities": [severity]}
        return all(
            step.skip_when is not None and implies(mine, step.skip_when) for step in self.spec.steps[:place]
        )

    def climbs_on_promise(self, severity: int) -> bool:
        """Tell whether a missed promise makes a ticket of this severity climb."""
        promise = self.spec.promises.get(severity)
        return promise is not None and any(
            getattr(promise, name) is not None and getattr(self.spec, on_due) == CLIMB
            for name, on_due in _CLIMBING
        )

    def is_top(self, place: int) -> bool:
        return place == len(self.spec.steps)


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


def schedule(
    step: StepSpec, entries: Sequence[EntryFacts], severity: int
) -> list[tuple[dt.timedelta, int, EntryFacts]]:
    """Return the tellings of the planned rounds: how long after the step began, the round, and who is told."""
    planned: list[tuple[dt.timedelta, int, EntryFacts]] = []
    tellings = 0
    for round_number in range(1, step.rounds + 1):
        told = [entry for entry in entries if entry.reachable and entry.wanted(severity, round_number)]
        for number, entry in enumerate(told):
            wait = step.wait * (tellings + (0 if step.telling == ALL else number))
            planned.append((wait, round_number, entry))
        # A round that leaves nobody is passed over at once.
        tellings += min(len(told), 1) if step.telling == ALL else len(told)
    return planned


def cell(step: StepSpec, severity: int) -> tuple[dt.timedelta | None, dt.timedelta | None]:
    return step.targets.get(severity, (None, None))


def without_targets(facts: Facts) -> set[int]:
    return {
        severity
        for severity in facts.severities
        if facts.spec.steps and not any(any(cell(step, severity)) for step in facts.spec.steps)
    }
