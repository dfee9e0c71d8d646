"""What is doubtful about a path: warned of, with the exact place and the mend, but not refused. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.durations import spoken
from escalation.rules.problems import SEVERITIES, step_label
from escalation.rules.specs import ALL, CLIMB, PROMISES, TRANSFERS, PathSpec, StepSpec

# Somebody may be left without help; everything else is a warning.
ERROR = "error"
WARNING = "warning"
LEVELS = (WARNING, ERROR)
_CLIMBING = (
    ("first_response", "on_first_response_due"),
    ("next_response", "on_next_response_due"),
    ("resolution", "on_resolution_due"),
)
_NOTHING: Mapping[Any, Any] = {}


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One entry of a contact list as it resolves now.

    `reachable`: has a method that would be tried; `failing`: all of them failed the last time. `why` and `mend` say
    what is wrong with one that can't be told. `person` tells people apart, whichever contact names them.
    """

    name: str
    reachable: bool
    severities: frozenset[int] = frozenset()
    from_round: int = 1
    failing: bool = False
    person: str = ""
    why: str = "has no working method"
    mend: str = "Give them one, or take them off the list."

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
class ListFacts:
    """One contact list as it resolves now, in order."""

    name: str
    entries: tuple[EntryFacts, ...]


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
class _Facts:
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
    facts = _Facts(spec, severities, lists, fallback, calendars)
    return (
        *_lint_path(spec, before),
        *_lint_severities(facts),
        *(
            doubt
            for place, step in enumerate(spec.steps, start=1)
            for doubt in _lint_step(facts, place, step)
        ),
        *_lint_night(facts),
        *_lint_contacts(facts),
        *_lint_fallback(fallback),
    )


def at_least(doubts: Iterable[Doubt], level: str) -> list[Doubt]:
    """Return the doubts of this level or a worse one."""
    return [doubt for doubt in doubts if LEVELS.index(doubt.level) >= LEVELS.index(level)]


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


def telling_time(step: StepSpec, entries: Sequence[EntryFacts], severity: int) -> dt.timedelta | None:
    """Return how long after the step began the last planned telling starts; None when nobody is ever told."""
    planned = schedule(step, entries, severity)
    return planned[-1][0] if planned else None


def _lint_path(spec: PathSpec, before: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Doubt]:
    if not spec.is_active:
        return
    if spec.is_default:
        if any(wanted not in (None, [], ()) for wanted in spec.conditions.values()):
            yield Doubt(
                "default_conditions",
                WARNING,
                "The default path also takes tickets that its conditions leave out: nobody else does.",
                "Take the conditions away.",
                "conditions",
            )
        return
    for name, conditions in before:
        if implies(spec.conditions, conditions):
            yield Doubt(
                "path_unreachable",
                WARNING,
                f"No ticket ever takes this path: “{name}” is tried before it and takes all that match it.",
                f"Give it a lower position than “{name}”, or switch it off.",
                "position",
            )
            return


def _lint_severities(facts: _Facts) -> Iterator[Doubt]:
    spec = facts.spec
    for severity in facts.severities:
        if severity in _without_targets(facts):
            yield Doubt(
                "severity_without_targets",
                ERROR,
                f"SEV{severity} has no time at any step: "
                + (
                    "only a missed service target makes such a ticket climb, once."
                    if facts.climbs_on_promise(severity)
                    else "nothing makes such a ticket climb."
                ),
                "Fill its column of the matrix.",
                f"steps.1.targets.{severity}.work_within",
                severity=severity,
            )
        promise = spec.promises.get(severity)
        if promise is None or not any(getattr(promise, name) for name in PROMISES):
            yield Doubt(
                "severity_without_promise",
                WARNING,
                f"SEV{severity} has no service target: the requester is promised nothing.",
                "Promise at least a first response.",
                f"promises.{severity}.first_response",
                severity=severity,
            )


def _without_targets(facts: _Facts) -> set[int]:
    return {
        severity
        for severity in facts.severities
        if facts.spec.steps and not any(any(_cell(step, severity)) for step in facts.spec.steps)
    }


def _lint_step(facts: _Facts, place: int, step: StepSpec) -> Iterator[Doubt]:
    label, field = step_label(place, step), f"steps.{place}"
    severities = facts.severities_at(place)
    if not severities:
        yield Doubt(
            "step_unreachable",
            WARNING,
            f"{label} is never reached: every ticket that takes this path skips it, and no step below leads to it.",
            "Loosen its condition for skipping, or take the step away.",
            f"{field}.skip_when",
            step=place,
        )
        return
    if step.mode == TRANSFERS and step.team_id is None:
        yield Doubt(
            "step_without_team",
            WARNING if step.contact_list_ids else ERROR,
            f"{label} transfers the ticket, but names no team: nobody owns it there.",
            "Choose the team that works there, or let the step involve.",
            f"{field}.team_id",
            step=place,
        )
    if step.contact_list_ids:
        entries = facts.entries(step)
        yield from _lint_nobody(facts, field, label, place, step, severities, entries)
        yield from _lint_rounds(facts, field, label, place, step, severities, entries)
        yield from _lint_loop(facts, field, label, place, severities, entries)
    yield from _lint_times(facts, field, label, place, step, severities)


def _lint_times(
    facts: _Facts, field: str, label: str, place: int, step: StepSpec, severities: Sequence[int]
) -> Iterator[Doubt]:
    is_top = facts.is_top(place)
    if not step.contact_list_ids and not any(any(_cell(step, severity)) for severity in severities):
        yield Doubt(
            "step_nobody_answers",
            ERROR,
            f"{label} tells nobody and has no clock: a ticket that comes here stays until somebody finds it.",
            "Give it a time to work in the matrix, or somebody to tell.",
            f"{field}.contact_list_ids",
            step=place,
        )
        return
    if is_top and not step.contact_list_ids:
        yield Doubt(
            "top_tells_nobody",
            ERROR,
            f"{label} is the last one and tells nobody: when its time runs out, no one hears of it.",
            "Give it a contact list.",
            f"{field}.contact_list_ids",
            step=place,
        )
    yield from _lint_no_clock(facts, field, label, place, step, severities)
    for severity in severities:
        acknowledge, work = _cell(step, severity)
        if acknowledge is not None and work is not None and acknowledge > work:
            yield Doubt(
                "acknowledge_beyond_work",
                WARNING,
                f"{label}, SEV{severity}: {spoken(acknowledge)} to acknowledge is longer than the "
                f"{spoken(work)} to work; {_moves_on(is_top)} before the time to acknowledge is over.",
                "Make the time to acknowledge the shorter one.",
                f"{field}.targets.{severity}.acknowledge_within",
                step=place,
                severity=severity,
            )


def _lint_no_clock(
    facts: _Facts, field: str, label: str, place: int, step: StepSpec, severities: Sequence[int]
) -> Iterator[Doubt]:
    """Find severities at which nothing ends the step, or nothing does once it is acknowledged at the top."""
    silent = _without_targets(facts)
    missing = [s for s in severities if s not in silent and not any(_cell(step, s))]
    if facts.is_top(place):
        unworked = [s for s in severities if s not in silent and _cell(step, s)[1] is None]
        if unworked:
            yield Doubt(
                "top_without_work_time",
                ERROR if missing else WARNING,
                f"{label} is the last one and has no time to work at {_listed(unworked)}: once "
                f"{'its rounds are over' if missing else 'acknowledged there'}, a ticket is never told again.",
                "Give it a time to work: when that runs out, everybody there is told again.",
                f"{field}.targets.{unworked[0]}.work_within",
                step=place,
                severity=_only(unworked),
            )
    elif missing:
        stuck = [severity for severity in missing if not facts.climbs_on_promise(severity)]
        yield Doubt(
            "step_without_clock",
            ERROR if stuck else WARNING,
            f"{label} has neither a time to acknowledge nor one to work at {_listed(stuck or missing)}: "
            + (
                "a ticket that comes here stays until somebody moves it."
                if stuck
                else "only a missed service target moves a ticket on."
            ),
            "Give it a time to work in the matrix.",
            f"{field}.targets.{(stuck or missing)[0]}.work_within",
            step=place,
            severity=_only(stuck or missing),
        )


def _lint_nobody(
    facts: _Facts,
    field: str,
    label: str,
    place: int,
    step: StepSpec,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    """Find the severities at which nobody on the step's lists can be reached in any round."""
    silent = [s for s in severities if not any(entry.working and entry.at(s) for entry in entries)]
    if silent:
        at = "" if len(silent) == len(severities) else f" at {_listed(silent)}"
        if not entries:
            because, mend = "its contact lists are empty", "Put those on the list who are to be told."
        elif not any(entry.at(severity) for entry in entries for severity in silent):
            because = f"no entry of its contact lists is meant for {_listed(silent)}"
            mend = "Let an entry be told at every severity."
        elif any(entry.reachable and entry.at(severity) for entry in entries for severity in silent):
            because = "what is sent to those on its contact lists fails"
            mend = "Mend their contact methods, or add somebody who can be reached."
        else:
            because = "no entry of its contact lists can be told"
            mend = "Give them contact methods, or add somebody who can be reached."
        yield Doubt(
            "step_nobody_answers",
            ERROR,
            f"{label} reaches nobody{at}: {because}. {_instead(facts.fallback)}",
            mend,
            f"{field}.contact_list_ids",
            step=place,
            severity=_only(silent),
        )
    late = [entry for entry in entries if entry.reachable and entry.from_round > step.rounds]
    if late:
        unheard = [
            severity
            for severity in severities
            if severity not in silent
            and _cell(step, severity)[0] is None
            and not any(entry.reachable and entry.wanted(severity, step.rounds) for entry in entries)
        ]
        yield Doubt(
            "entry_beyond_rounds",
            ERROR if unheard else WARNING,
            f"{label} has {_rounds(step.rounds)}, but {_names(late)} {_is(late)} to be told from round "
            f"{min(entry.from_round for entry in late)} on"
            + (": the fallback contact is told instead." if unheard else "."),
            "Give the step more rounds, or let them be told from an earlier one.",
            f"{field}.rounds",
            step=place,
        )


def _lint_rounds(
    facts: _Facts,
    field: str,
    label: str,
    place: int,
    step: StepSpec,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    """Find tellings that are planned for when the time to acknowledge is over."""
    cut: dict[str, list[int]] = {}
    for severity in severities:
        acknowledge = _cell(step, severity)[0]
        planned = schedule(step, entries, severity)
        if acknowledge is None or not planned or planned[-1][0] < acknowledge:
            continue
        heard = {entry.who for at, _, entry in planned if at < acknowledge}
        unheard = {entry.who: entry for _, _, entry in planned if entry.who not in heard}
        if unheard:
            never = list(unheard.values())
            text = f"{_names(never)} {_is(never)} never told"
        else:
            text = f"its last round begins only after {spoken(planned[-1][0])}"
        text = f"{text}, as {_moves_on(facts.is_top(place))} after {spoken(acknowledge)} without an acknowledgement"
        cut.setdefault(text, []).append(severity)
    for text, found in cut.items():
        yield Doubt(
            "rounds_do_not_fit",
            WARNING,
            f"{label}, {_listed(found)}: {text}.",
            "Give more time to acknowledge, a shorter wait or fewer rounds.",
            f"{field}.targets.{found[0]}.acknowledge_within",
            step=place,
            severity=_only(found),
        )


def _lint_loop(
    facts: _Facts,
    field: str,
    label: str,
    place: int,
    severities: Sequence[int],
    entries: Sequence[EntryFacts],
) -> Iterator[Doubt]:
    """Find steps whose fallback leads back to where it came from.

    The fallback contact is told when nobody of a step's lists can be reached, or when everything sent to them has
    failed. It is a loop where, at some severity, everybody the step's rounds would tell is that same person: whenever
    the fallback would be told, it is because this very person can't be reached. Only the admins are left then: they
    stand beside the fallback at the top from the beginning, below it only when what was sent to the fallback has
    failed as well.
    """
    fallback = facts.fallback
    if fallback is None or fallback.unreachable:
        return
    looped = [
        severity
        for severity in severities
        if {entry.who for entry in entries if entry.working and entry.at(severity)} == {fallback.who}
    ]
    if looped:
        at = "" if len(looped) == len(severities) else f" at {_listed(looped)}"
        yield Doubt(
            "fallback_loop",
            WARNING if facts.is_top(place) else ERROR,
            f"{label}{at} reaches only {fallback.name}, who is the fallback too: when they can't be reached, "
            "the fallback can't either, and only the admins are left.",
            "Put somebody else on the contact list, or choose another fallback.",
            f"{field}.contact_list_ids",
            step=place,
            severity=_only(looped),
        )


def _lint_night(facts: _Facts) -> Iterator[Doubt]:
    """Find a SEV1 that waits for the morning below a step that is there by night."""
    spec = facts.spec
    if spec.sev1_round_the_clock or 1 not in facts.severities:
        return
    hours = [facts.calendars.get(step.calendar_id or spec.calendar_id or 0) for step in spec.steps]
    for place, (step, calendar) in enumerate(zip(spec.steps, hours, strict=True), start=1):
        if calendar is None or calendar.always or 1 not in facts.severities_at(place):
            continue
        for above, other in enumerate(hours[place:], start=place + 1):
            if other is not None and other.always:
                yield Doubt(
                    "sev1_waits_for_morning",
                    WARNING,
                    f"SEV1 counts in “{calendar.name}” at {step_label(place, step)}: by night it waits there, "
                    f"though {step_label(above, spec.steps[above - 1])} is there round the clock.",
                    "Let SEV1 count round the clock.",
                    "sev1_round_the_clock",
                    step=place,
                    severity=1,
                )
                return


def _lint_contacts(facts: _Facts) -> Iterator[Doubt]:
    """Name those on the lists who can't be told, each list once, at the first step that uses it."""
    seen = set()
    for place, step in enumerate(facts.spec.steps, start=1):
        for list_id in step.contact_list_ids:
            if list_id not in facts.lists or list_id in seen:
                continue
            seen.add(list_id)
            found = facts.lists[list_id]
            if not found.entries and facts.entries(step):
                yield Doubt(
                    "list_empty",
                    WARNING,
                    f"“{found.name}” has nobody on it.",
                    "Put somebody on the list, or take it off the step.",
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )
            broken: dict[tuple[str, str], list[EntryFacts]] = {}
            for entry in found.entries:
                if not entry.working:
                    broken.setdefault((entry.why, entry.mend), []).append(entry)
            for (why, mend), entries in broken.items():
                yield Doubt(
                    "contact_failing" if entries[0].reachable else "contact_without_method",
                    WARNING,
                    f"{_names(entries)} on “{found.name}” can't be told: {why}.",
                    mend,
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )


def _lint_fallback(fallback: FallbackFacts | None) -> Iterator[Doubt]:
    if fallback is None:
        return
    place = "fallback_contact_id"
    if fallback.unreachable:
        yield Doubt(
            "fallback_unreachable",
            ERROR,
            f"The fallback “{fallback.name}” {fallback.unreachable}: nobody is there when those of a step can't be "
            "reached.",
            "Choose a person with two contact methods that work.",
            place,
        )
        return
    if not fallback.is_person:
        yield Doubt(
            "fallback_no_person",
            WARNING,
            f"The fallback “{fallback.name}” is no person: a room acknowledges nothing.",
            "Choose a person.",
            place,
        )
    if fallback.proven_methods < 2:
        has = {0: "no proven method", 1: "one proven method"}[fallback.proven_methods]
        yield Doubt(
            "fallback_unproven",
            WARNING,
            f"The fallback “{fallback.name}” has {has}; two are wanted, for the day when one fails.",
            "Add a contact method; one is proven when a message has reached it.",
            place,
        )


def _cell(step: StepSpec, severity: int) -> tuple[dt.timedelta | None, dt.timedelta | None]:
    return step.targets.get(severity, (None, None))


def _instead(fallback: FallbackFacts | None) -> str:
    if fallback is not None and fallback.unreachable:
        return f"The fallback “{fallback.name}” is not there either."
    return f"The fallback “{fallback.name}” is told instead." if fallback is not None else ""


def _moves_on(is_top: bool) -> str:
    return "the step begins anew" if is_top else "the ticket climbs"


def _rounds(number: int) -> str:
    return "1 round" if number == 1 else f"{number} rounds"


def _names(entries: Sequence[EntryFacts]) -> str:
    return _joined([entry.name for entry in entries])


def _is(entries: Sequence[EntryFacts]) -> str:
    return "is" if len(entries) == 1 else "are"


def _only(severities: Sequence[int]) -> int | None:
    return severities[0] if len(severities) == 1 else None


def _listed(severities: Sequence[int]) -> str:
    return _joined([f"SEV{severity}" for severity in severities])


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
