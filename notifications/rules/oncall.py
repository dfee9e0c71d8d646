"""Who is on call: layered rotations, time off and overrides resolved to people at any moment. Pure.

A schedule partitions time: each instant has one answer, the people on call then in order, and nobody is an answer too:
a gap. From below to above: time off brings the substitute; of the levels the highest that has anybody answers, with all
rotations of that level together; overrides have the last word.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from notifications.rules.rotation import Rotation

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Span(Generic[P]):
    """The people on call from `begin` until `end` (UTC), in order; nobody is a gap."""

    begin: dt.datetime
    end: dt.datetime
    people: tuple[P, ...]

    @property
    def is_gap(self) -> bool:
        return not self.people


@dataclass(frozen=True, slots=True)
class Override(Generic[P]):
    """For once otherwise. `comes` alone is also on call, `goes` alone is not; both: the one takes over from the other.

    `instead` takes everybody off whom the rotations and earlier words put there; then only those added are on call.
    """

    begin: dt.datetime
    end: dt.datetime
    comes: P | None = None
    goes: P | None = None
    instead: bool = False


@dataclass(frozen=True, slots=True)
class Away(Generic[P]):
    """Somebody is away from `begin` until `end`; a substitute, if there is one, has their turns."""

    person: P
    begin: dt.datetime
    end: dt.datetime
    substitute: P | None = None


@dataclass(frozen=True, slots=True)
class Schedule(Generic[P]):
    """All that decides who is on call."""

    rotations: tuple[Rotation[P], ...] = ()
    overrides: tuple[Override[P], ...] = ()
    away: tuple[Away[P], ...] = ()


def on_call(schedule: Schedule[P], begin: dt.datetime, end: dt.datetime) -> tuple[Span[P], ...]:
    """Return who is on call over [begin, end) as spans that tile it: no gap between them, no overlap.

    Neighbours differ; where nobody is on call stands a span without people.
    """
    if begin >= end:
        return ()
    layers = [list(rotation.spans(begin, end)) for rotation in schedule.rotations]
    overrides = [one for one in schedule.overrides if one.begin < end and one.end > begin]
    away = [one for one in schedule.away if one.begin < end and one.end > begin]
    edges = {begin, end}
    for layer in layers:
        edges.update(edge for opens, closes, _ in layer for edge in (opens, closes))
    limits = [(one.begin, one.end) for one in overrides] + [(one.begin, one.end) for one in away]
    edges.update(edge for limit in limits for edge in limit if begin < edge < end)
    walk = [_Walk(rotation.level, layer) for rotation, layer in zip(schedule.rotations, layers, strict=True)]
    spans: list[Span[P]] = []
    for opens, closes in pairwise(sorted(edges)):
        people = _people([(one.level, one.at(opens)) for one in walk], overrides, away, opens)
        if spans and spans[-1].people == people:
            spans[-1] = Span(spans[-1].begin, closes, people)
        else:
            spans.append(Span(opens, closes, people))
    return tuple(spans)


def on_call_at(schedule: Schedule[P], at: dt.datetime) -> tuple[P, ...]:
    """Return the people on call at one instant, in order; nobody is a gap."""
    return on_call(schedule, at, at + dt.timedelta(microseconds=1))[0].people


def gaps(
    schedule: Schedule[P], begin: dt.datetime, end: dt.datetime
) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
    """Return exactly when nobody is on call within [begin, end)."""
    return tuple((span.begin, span.end) for span in on_call(schedule, begin, end) if span.is_gap)


def shifts_of(spans: Iterable[Span[P]]) -> list[tuple[P, dt.datetime, dt.datetime]]:
    """Return each person's shifts as (person, begin, end), by their begin; spans that touch are one shift."""
    open_since: dict[P, dt.datetime] = {}
    shifts: list[tuple[P, dt.datetime, dt.datetime]] = []
    end: dt.datetime | None = None
    for span in spans:
        ended = [one for one in open_since if one not in span.people]
        shifts += [(person, open_since.pop(person), span.begin) for person in ended]
        for person in span.people:
            open_since.setdefault(person, span.begin)
        end = span.end
    if end is not None:
        shifts += [(person, begin, end) for person, begin in open_since.items()]
    return sorted(shifts, key=lambda shift: (shift[1], shift[2]))


class _Walk(Generic[P]):
    """The spans of one rotation, asked for at instants that only rise."""

    def __init__(self, level: int, spans: Sequence[tuple[dt.datetime, dt.datetime, tuple[P, ...]]]) -> None:
        self.level = level
        self._spans = spans
        self._place = 0

    def at(self, instant: dt.datetime) -> tuple[P, ...]:
        """Return who has the turn at an instant."""
        while self._place < len(self._spans) and self._spans[self._place][1] <= instant:
            self._place += 1
        if self._place == len(self._spans) or self._spans[self._place][0] > instant:
            return ()
        return self._spans[self._place][2]


def _people(
    turns: Iterable[tuple[int, tuple[P, ...]]],
    overrides: Sequence[Override[P]],
    away: Sequence[Away[P]],
    at: dt.datetime,
) -> tuple[P, ...]:
    """Return who is on call at one instant, whoever's turn it is on each level."""
    gone = {one.person: one.substitute for one in away if one.begin <= at < one.end}
    in_force = [one for one in overrides if one.begin <= at < one.end]
    # Whoever is overridden by name is meant, whether or not they are away as well.
    named = {one.goes for one in in_force}
    by_level: dict[int, list[P]] = {}
    for level, group in turns:
        there = (person if person in named else _follow(person, gone) for person in group)
        by_level.setdefault(level, []).extend(person for person in there if person is not None)
    base: list[P] = next((by_level[level] for level in sorted(by_level, reverse=True) if by_level[level]), [])
    return override(base, in_force)


def override(base: Iterable[P], overrides: Sequence[Override[P]]) -> tuple[P, ...]:
    """Return who is on call once overrides are in force; in whatever order they were made, it is the same people.

    A replacement who is replaced in turn hands on, and so does who was put on call besides or alone; two who swap have
    swapped. Who is put on call by name is not taken off by name.
    """
    removed = {one.goes for one in overrides if one.goes is not None and one.comes is None}
    replaced: dict[P, list[P]] = {}
    for one in overrides:
        if one.goes is not None and one.comes is not None:
            replaced.setdefault(one.goes, []).append(one.comes)
    people: dict[P, None] = {}
    if not any(one.instead for one in overrides):
        for person in base:
            people.update(dict.fromkeys(_stand_ins(person, replaced, removed, frozenset())))
    for one in overrides:
        if one.comes is not None and one.goes is None:
            there = _stand_ins(one.comes, replaced, removed - {one.comes}, frozenset())
            people.update(dict.fromkeys(there))
    return tuple(people)


def _stand_ins(
    person: P, replaced: Mapping[P, Sequence[P]], removed: Iterable[P], before: frozenset[P]
) -> Iterator[P]:
    before = before | {person}
    following = [one for one in replaced.get(person, ()) if one not in before]
    if person in replaced and following:
        for one in following:
            yield from _stand_ins(one, replaced, removed, before)
    elif (person not in replaced or len(before) > 1) and person not in removed:
        yield person


def _follow(person: P, gone: Mapping[P, P | None]) -> P | None:
    """Return who stands in for somebody who is away, the substitute's substitute if need be; None when nobody does."""
    seen: set[P] = set()
    current: P | None = person
    while current is not None and current in gone:
        if current in seen:
            return None
        seen.add(current)
        current = gone[current]
    return current
