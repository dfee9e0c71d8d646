"""Who is told next at a step: everyone at once or one after another, in rounds (DESIGN 3, telling). Pure."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from escalation.rules.paths import StepRule


class Tellable(Protocol):
    """Somebody on a contact list as it resolves now."""

    @property
    def contact_id(self) -> int: ...
    @property
    def from_round(self) -> int: ...
    @property
    def reachable(self) -> bool: ...
    @property
    def muted_until(self) -> dt.datetime | None: ...

    def at_this_hour(self, *, step_open: bool) -> bool:
        """Tell whether the entry is told at this hour; `step_open`: the step's business hours are open."""
        ...

    def wanted(self, severity: int, round_number: int) -> bool:
        """Tell whether the entry's conditions include this severity and round."""
        ...


T = TypeVar("T", bound=Tellable)


@dataclass(frozen=True, slots=True)
class Hour:
    """Whether the step's business hours are open now, and whether what counts there counts round the clock."""

    is_open: bool
    round_the_clock: bool


def those_there(people: Sequence[T], hour: Hour) -> tuple[list[T], list[T]]:
    """Return whose entries hold at this hour, first those of them who are not quiet now, then all of them.

    Quiet hours silence nobody where the step counts round the clock, nor whoever is on call (DESIGN 3, nobody there).
    """
    there = [one for one in people if one.at_this_hour(step_open=hour.is_open)]
    return [one for one in there if hour.round_the_clock or one.muted_until is None], there


@dataclass(frozen=True, slots=True)
class NextTold(Generic[T]):
    """Who is told next: the round and its people; `nobody` means the fallback contact, no people that it is over."""

    round: int
    people: tuple[T, ...]
    nobody: bool = False


def next_told(
    step: StepRule,
    people: Sequence[T],
    *,
    severity: int,
    wants_answer: bool,
    round_now: int = 0,
    base: int = 0,
    begins: bool = True,
    heard: Mapping[int, Collection[int]] | None = None,
    declined: Collection[int] = (),
) -> NextTold[T]:
    """Return who is told next at a step that has a contact list, as the telling does (DESIGN 3, telling).

    `round_now` is the last round of this seq, `base` the round before this telling began, `heard` who was told per
    round. `begins` starts a new round whatever the last one left open.
    """
    told_so_far = heard or {}
    there = [one for one in _in_order(people) if one.contact_id not in declined]
    first = round_now + 1
    if not any(one.reachable and one.wanted(severity, max(one.from_round, 1)) for one in there):
        return NextTold(first, (), nobody=True)

    def rest_of(number: int) -> list[T]:
        return [
            one
            for one in there
            if one.reachable
            and one.wanted(severity, min(number - base, step.rounds))
            and one.contact_id not in told_so_far.get(number, ())
        ]

    def told(number: int, left: Sequence[T]) -> NextTold[T]:
        return NextTold(number, tuple(left[:1] if step.in_turn else left))

    current = max(round_now, 1)
    if step.in_turn and not begins and (left := rest_of(current)):
        return told(current, left)
    highest = max((one.from_round for one in there), default=1)
    for number in range(first, first + highest + 1):
        if not wants_answer and number - base > step.rounds:
            # Over; but where its rounds never had anybody to tell, no step is silent.
            return NextTold(number, (), nobody=begins)
        if left := rest_of(number):
            return told(number, left)
    return told(first, [one for one in there if one.reachable and one.wanted(severity, one.from_round)])


def _in_order(people: Iterable[T]) -> list[T]:
    """Return the people in list order, each once."""
    found: dict[int, T] = {}
    for one in people:
        found.setdefault(one.contact_id, one)
    return list(found.values())
