"""Measures over what happened; pure."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

ZERO = dt.timedelta(0)
DONE = ("resolved", "closed")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One row of an imported log: from `at` on (UTC), `tier` holds the case, which is in `status`."""

    at: dt.datetime
    tier: int
    status: str
    # Somebody is at work, or has just finished; False while the case waits in a team's queue.
    at_work: bool


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a case stayed at a tier."""

    tier: int
    lasted: dt.timedelta


def percentile(values: Sequence[dt.timedelta], share: float) -> dt.timedelta | None:
    """Return the smallest value that at least `share` of all values do not exceed (nearest rank); None of none."""
    if not values:
        return None
    rank = max(math.ceil(share * len(values)), 1)
    return sorted(values)[rank - 1]


def solved_at(lines: Sequence[LogLine]) -> LogLine | None:
    """Return the row by which the case was solved for good: the first done one after which it never came back."""
    solved = None
    for line in lines:
        if line.status not in DONE:
            solved = None
        elif solved is None:
            solved = line
    return solved


def time_at(tier: int, lines: Sequence[LogLine], until: dt.datetime) -> dt.timedelta:
    """Return how long a case stood at `tier` before `until`, in elapsed time."""
    total = ZERO
    for line, following in zip(lines, [*(one.at for one in lines[1:]), until], strict=True):
        if line.tier == tier:
            total += max(min(following, until) - line.at, ZERO)
    return total
