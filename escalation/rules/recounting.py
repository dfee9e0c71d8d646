"""What becomes of a ticket's step and clocks when a newer version of its path or calendar is applied to it. Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calendars.rules import Hours, elapsed
from escalation.rules.conditions import Facts
from escalation.rules.paths import PathRule, StepRule, entry_step

# What may become of one clock.
EARLIER, LATER, UNCHANGED, STARTED, CANCELLED = "earlier", "later", "unchanged", "started", "cancelled"
OUTCOMES = (EARLIER, LATER, UNCHANGED, STARTED, CANCELLED)


def counterpart(old: PathRule, step: StepRule, new: PathRule) -> StepRule | None:
    """Return the step of `new` that is the same rung as `step` of `old`, None when there is none.

    The same name, or where no step has it any more, a new name at the same position; the nearest of several. A rung of
    another tier, or one that would hand the ticket to another team, is not the same: its people have to be told.
    """
    same = [other for other in _likely(old, step, new) if _is_same_rung(step, other)]
    return min(same, key=lambda other: abs(other.position - step.position), default=None)


def landing(old: PathRule, step: StepRule, new: PathRule, facts: Facts, tier: int) -> StepRule:
    """Return where a ticket at `step` of `old` goes on `new`, which has no counterpart of it.

    The step of its name, else the first one it does not skip, at `tier` or above (DESIGN 3, changes under way).
    """
    for other in _likely(old, step, new):
        if other.tier >= tier:
            return other
    return entry_step(new, facts, at_least=tier)


def _likely(old: PathRule, step: StepRule, new: PathRule) -> list[StepRule]:
    named = [other for other in new.steps if _name(other) == _name(step)]
    if named:
        return named
    known = {_name(other) for other in old.steps}
    return [other for other in new.steps if other.position == step.position and _name(other) not in known]


def _name(step: StepRule) -> str:
    return step.name.strip().casefold()


def _is_same_rung(old: StepRule, new: StepRule) -> bool:
    if new.tier != old.tier:
        return False
    return not new.transfers or new.team_id is None or (old.transfers and old.team_id == new.team_id)


def used_anew(
    hours: Hours,
    *,
    started_at: dt.datetime,
    running_since: dt.datetime | None,
    pauses: Iterable[tuple[dt.datetime, dt.datetime | None]],
    at: dt.datetime,
) -> dt.timedelta:
    """Return what a clock has used before `running_since` (None: it stands still), counted in `hours` from its start.

    Pauses are left out; time used stays used. A clock that stands still is counted until its last pause began.
    """
    spans = [(start, end if end is not None else at) for start, end in pauses]
    until = at if running_since is None else running_since
    if running_since is None and spans:
        until = spans[-1][0]
        spans = spans[:-1]
    return elapsed(hours, started_at, max(until, started_at), spans)


def no_sooner_than(was: dt.datetime | None, at: dt.datetime) -> dt.datetime:
    """Return the earliest instant a deadline may be moved to at `at`; `was` is when it was due before.

    Nobody can have missed a deadline before there was one: what would have been due is due now. What was overdue
    already stays as late as it is.
    """
    return at if was is None or was > at else was


@dataclass(frozen=True, slots=True)
class Snap:
    """A live clock at one moment: when it is due, or, standing still, what it has left."""

    due_at: dt.datetime | None
    left: dt.timedelta
    warns_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """What became of one clock of one ticket."""

    ticket_id: int
    kind: str
    outcome: str
    was: dt.datetime | None = None
    due: dt.datetime | None = None
    # Due at the very moment, and was not before; likewise its warning.
    at_once: bool = False
    warns_at_once: bool = False

    @property
    def by(self) -> dt.timedelta | None:
        """How far the deadline moved, where it had one before and after."""
        return self.due - self.was if self.was is not None and self.due is not None else None


def shifts(
    ticket_id: int, before: Mapping[str, Snap], after: Mapping[str, Snap], at: dt.datetime
) -> tuple[Shift, ...]:
    """Compare a ticket's live clocks before and after, kind by kind."""
    return tuple(
        _shift(ticket_id, kind, before.get(kind), after.get(kind), at)
        for kind in sorted(before.keys() | after.keys())
    )


def _shift(ticket_id: int, kind: str, was: Snap | None, now: Snap | None, at: dt.datetime) -> Shift:
    if now is None:
        return Shift(ticket_id, kind, CANCELLED, was=was.due_at if was is not None else None)
    late_before = was is not None and was.due_at is not None and was.due_at <= at
    warned_before = was is not None and was.warns_at is not None and was.warns_at <= at
    due_now = now.due_at is not None and now.due_at <= at
    return Shift(
        ticket_id,
        kind,
        STARTED if was is None else _direction(was, now),
        was=was.due_at if was is not None else None,
        due=now.due_at,
        at_once=due_now and not late_before,
        warns_at_once=not due_now
        and now.warns_at is not None
        and now.warns_at <= at
        and not (warned_before or late_before),
    )


def _direction(was: Snap, now: Snap) -> str:
    if was.due_at is not None and now.due_at is not None:
        if now.due_at == was.due_at:
            return UNCHANGED
        return EARLIER if now.due_at < was.due_at else LATER
    if now.left == was.left:
        return UNCHANGED
    return EARLIER if now.left < was.left else LATER
