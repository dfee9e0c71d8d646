"""When a clock warns, is due and fires. Pure; all instants aware UTC, budgets elapsed seconds of open time."""

import datetime as dt
from dataclasses import dataclass

from calendars.rules import Hours, due_at, elapsed
from escalation.rules.deciding import WARNING


@dataclass(frozen=True, slots=True)
class Timing:
    """The instants of a running clock."""

    due_at: dt.datetime
    warn_at: dt.datetime | None
    fires_at: dt.datetime


def timing(
    kind: str,
    hours: Hours,
    *,
    since: dt.datetime,
    budget: dt.timedelta,
    used: dt.timedelta = dt.timedelta(0),
    warn_percent: int = 75,
    warned: bool = False,
) -> Timing:
    """Return when a clock that runs from `since` with `used` of its `budget` spent warns, is due and fires.

    A warning that would come before `since` (the share was used up before a pause) is not sent again.
    """
    left = max(budget - used, dt.timedelta(0))
    due = due_at(hours, since, left)
    warn = None
    if kind in WARNING and not warned:
        share = budget * (warn_percent / 100) - used
        if share > dt.timedelta(0):
            warn = due_at(hours, since, share)
            if warn >= due:
                warn = None
    return Timing(due_at=due, warn_at=warn, fires_at=warn or due)


def used_until(
    hours: Hours, *, since: dt.datetime | None, used: dt.timedelta, at: dt.datetime
) -> dt.timedelta:
    """Return how much of its budget a clock has used by `at`; a paused one (`since` None) uses nothing more."""
    if since is None or at <= since:
        return used
    return used + elapsed(hours, since, at)


def share_used(used: dt.timedelta, budget: dt.timedelta) -> float:
    """Return the share of the budget that is used, 0 to 1; a zero budget is used up."""
    if budget <= dt.timedelta(0):
        return 1.0
    return min(max(used / budget, 0.0), 1.0)
