"""Quiet hours: when a contact is not to be disturbed, on their own wall clock (DESIGN 3, nobody there). Pure."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from calendars.rules import instant_of

_DAY = dt.timedelta(days=1)
# Every day quiet all day: then the contact is never told, and saying "in a week" ends the search.
_AHEAD = 8


def quiet_until(
    at: dt.datetime,
    zone: ZoneInfo,
    *,
    begins: dt.time | None,
    ends: dt.time | None,
    days: Collection[int] = (),
) -> dt.datetime | None:
    """Return when the quiet that holds at an instant ends (UTC), None where it is not quiet.

    `begins` and `ends` are wall times in `zone`, over midnight where the end comes first, the whole day where both
    agree; `days` (0 is Monday) are quiet from midnight to midnight. Quiet that joins on is one.
    """
    until = at
    for _ in range(3 * _AHEAD):
        following = _quiet_span_until(until, zone, begins, ends, days)
        if following is None or until - at > _AHEAD * _DAY:
            break
        until = following
    return until if until > at else None


def _quiet_span_until(
    at: dt.datetime, zone: ZoneInfo, begins: dt.time | None, ends: dt.time | None, days: Collection[int]
) -> dt.datetime | None:
    today = at.astimezone(zone).date()
    spans = []
    # Tomorrow, too: clocks that go back over midnight show the evening before once more.
    for day in (today - _DAY, today, today + _DAY):
        if day.weekday() in days:
            spans.append((_at(zone, day, dt.time()), _at(zone, day + _DAY, dt.time())))
        if begins is not None and ends is not None:
            last = day if ends > begins else day + _DAY
            spans.append((_at(zone, day, begins), _at(zone, last, ends)))
    return max((end for begin, end in spans if begin <= at < end), default=None)


def _at(zone: ZoneInfo, day: dt.date, time: dt.time) -> dt.datetime:
    return instant_of(zone, dt.datetime.combine(day, time))


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps quiet hours from being kept: the field (quiet_from, quiet_until, quiet_days), why, and the mend."""

    field: str
    message: str
    mend: str


def problem_of(begins: dt.time | None, ends: dt.time | None, days: Collection[int]) -> Problem | None:
    """Return what is wrong with quiet hours, None if nothing is: somebody who is always quiet is never told."""
    if (begins is None) != (ends is None):
        missing = "quiet_from" if begins is None else "quiet_until"
        return Problem(missing, "Quiet hours need both a beginning and an end.", "Fill in both, or neither.")
    if begins is not None and begins == ends:
        message = "From a time until the same time is the whole day, and then nobody could be reached."
        return Problem("quiet_until", message, "Give another end.")
    if not set(days) <= set(range(7)):
        return Problem("quiet_days", "There are seven days.", "Tick days of the week.")
    if len(set(days)) == 7:
        mend = "Leave at least one day; for a longer absence take time off, or switch the contact off."
        return Problem("quiet_days", "With every day quiet nobody could be reached.", mend)
    return None
