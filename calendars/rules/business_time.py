"""Count business time: opening hours, holidays and DST, as pure functions (DESIGN section 3, "Clocks").

Nothing here reads a clock or knows Django. Instants go in as aware datetimes of any zone and come out in UTC.
Inside, an instant is a whole number of microseconds since 1970 in UTC: integers add up exactly, compare fast
and know no daylight saving; local wall times exist only while a day's windows are laid out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from calendars.rules.hours import Chunk, Hours
from calendars.rules.windows import Window

Instants: TypeAlias = tuple[datetime, datetime]
"""A half-open stretch of time: from the first instant up to, not including, the second."""

HORIZON: Final = timedelta(days=5 * 366)
"""How far ahead the next opening is looked for before the calendar counts as never open."""

LONGEST: Final = timedelta(days=100 * 366)
"""How far ahead a deadline may lie."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_DAY_US: Final = 86_400_000_000

# One chunk holds the windows of this many local dates: about a millisecond to lay out, and few enough of them
# in a year that a budget of many years is a short walk.
_CHUNK_DAYS: Final = 64
_MOST_CHUNKS: Final = 1024
_LAST_CHUNK: Final = (date.max.toordinal() - 1) // _CHUNK_DAYS

_BOUNDS: Final = "looked five years past the last opening and a hundred years ahead"


class NeverOpen(Exception):
    """Say that a calendar has no, or far too little, open time after an instant."""


class NaiveDatetime(ValueError):
    """Say that a datetime came without a time zone, so that nobody knows which instant it means."""


@dataclass(frozen=True, slots=True)
class CountedWindow:
    """Hold one stretch of open time a clock ran through, and how much of it counted.

    `opens` and `closes` are UTC instants, clipped to the clock's run; `taken` is what was counted, `paused`
    what pauses took out of it; they add up to `closes - opens`.
    """

    opens: datetime
    closes: datetime
    taken: timedelta
    paused: timedelta


def open_intervals(hours: Hours, start: datetime, end: datetime) -> Iterator[Instants]:
    """Yield the open time in [start, end), as UTC intervals, sorted, merged and clipped.

    Nothing when `end` is not after `start`. Raises NaiveDatetime.
    """
    return _as_intervals(_windows(hours, _instant("start", start), _instant("end", end)))


def due_at(hours: Hours, start: datetime, budget: timedelta, pauses: Iterable[Instants] = ()) -> datetime:
    """Return the UTC instant at which `budget` of open time has gone by since `start`.

    DESIGN section 3: the budget is physical seconds inside open time; when it ends exactly at closing (or at
    the start of a pause) it is due then and not at the next opening; a budget of zero is due at once, or at
    the next opening when closed or paused. Pauses are half-open intervals, in any order. Raises NeverOpen,
    NaiveDatetime, and ValueError when the budget is negative.
    """
    left = budget // _MICROSECOND
    if left < 0:
        raise ValueError(f"a budget of {budget} is negative")
    if hours.always and not pauses and start.tzinfo is UTC and budget <= LONGEST:
        # What most clocks of an engine's batch are: nothing to look up.
        return start + budget
    at = _instant("start", start)
    for pause_start, pause_end in _merged(pauses):
        if pause_end <= at:
            continue
        if pause_start > at:
            before = _elapsed(hours, at, pause_start)
            if before > left or before == left > 0:
                break
            left -= before
        at = pause_end
    return _moment(_due(hours, at, left))


def elapsed(hours: Hours, start: datetime, end: datetime, pauses: Iterable[Instants] = ()) -> timedelta:
    """Return the open time between two instants, less pauses, in physical seconds.

    Zero when `end` is not after `start`. Raises NaiveDatetime.
    """
    if hours.always and not pauses and start.tzinfo is UTC and end.tzinfo is UTC:
        return max(end - start, timedelta(0))
    first, last = _instant("start", start), _instant("end", end)
    total = _elapsed(hours, first, last)
    for pause_start, pause_end in _merged(pauses):
        total -= _elapsed(hours, max(first, pause_start), min(last, pause_end))
    return timedelta(microseconds=total)


def is_open(hours: Hours, at: datetime) -> bool:
    """Say whether an instant is open; the closing instant is not. Raises NaiveDatetime."""
    instant = _instant("at", at)
    return any(_windows(hours, instant, instant + 1))


def next_opening(hours: Hours, at: datetime) -> datetime:
    """Return the first open UTC instant from `at` on: `at` itself while open.

    Raises NeverOpen, NaiveDatetime.
    """
    return _moment(_due(hours, _instant("at", at), 0))


def due_business_days(hours: Hours, start: datetime, days: int) -> datetime:
    """Return the UTC instant `days` business days after `start`, at the same wall time.

    A business day is a local date with any open time, whatever its hours. As with budgets (DESIGN section 3),
    a start outside open time counts from the next opening, and falling exactly on closing time is in time; a
    wall time at which that day is closed means the next opening. So a later start is never due sooner. Raises
    NeverOpen, NaiveDatetime, and ValueError when the number of days is negative.
    """
    if days < 0:
        raise ValueError(f"a number of {days} business days is negative")
    at = _due(hours, _instant("start", start), 0)
    if days == 0:
        return _moment(at)
    local = _moment(at).astimezone(hours.zone)
    day = date.fromordinal(_business_day(hours, local.toordinal(), days))
    same_time = _wall_instant(hours.zone, datetime.combine(day, local.time()))
    # Looking a microsecond back, so that a window that closes at this very instant still counts.
    in_time = any(_windows(hours, same_time - 1, same_time))
    return _moment(same_time if in_time else _due(hours, same_time, 0))


def explain(
    hours: Hours, start: datetime, due: datetime, pauses: Iterable[Instants] = ()
) -> tuple[CountedWindow, ...]:
    """List the open windows between `start` and `due` and the time taken from each: "why this deadline".

    The times taken add up to `elapsed(hours, start, due, pauses)`. Raises NaiveDatetime.
    """
    paused = _merged(pauses)
    rows = []
    for opens, closes in _windows(hours, _instant("start", start), _instant("due", due)):
        out = sum(max(0, min(closes, until) - max(opens, since)) for since, until in paused)
        rows.append(
            CountedWindow(
                opens=_moment(opens),
                closes=_moment(closes),
                taken=timedelta(microseconds=closes - opens - out),
                paused=timedelta(microseconds=out),
            )
        )
    return tuple(rows)


def instant_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """Return the UTC instant that a naive wall time of a zone means (DESIGN 3: gaps and folds)."""
    return _moment(_wall_instant(zone, wall))


def _instant(name: str, moment: datetime) -> int:
    """Turn an aware datetime into UTC microseconds. Raises NaiveDatetime."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise NaiveDatetime(f"{name}: {moment.isoformat()} has no time zone: pass an aware datetime")
    # UTC first: subtracting two datetimes of one zone would be wall time, wrong across DST.
    return (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND


def _moment(instant: int) -> datetime:
    """Turn UTC microseconds into a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def _as_intervals(windows: Iterable[tuple[int, int]]) -> Iterator[Instants]:
    for opens, closes in windows:
        yield _moment(opens), _moment(closes)


def _merged(pauses: Iterable[Instants]) -> list[tuple[int, int]]:
    """Turn pauses in any order, overlapping or empty, into sorted and disjoint ones. Raises NaiveDatetime."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((_instant("pause", since), _instant("pause", until)) for since, until in pauses):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _windows(hours: Hours, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield open windows in [start, end), sorted, merged and clipped."""
    if end <= start:
        return
    if hours.always:
        yield start, end
        return
    held: tuple[int, int] | None = None
    for chunk in _chunks_from(hours, start):
        i = bisect_right(chunk.ends, start)
        for opens, closes in zip(chunk.starts[i:], chunk.ends[i:], strict=True):
            if opens >= end:
                break
            # Windows that meet where two chunks do are one; inside a chunk they are merged already.
            if held is not None and held[1] == opens:
                held = (held[0], closes)
                continue
            if held is not None:
                yield held
            held = (max(opens, start), closes)
        if chunk.end >= end:
            break
    if held is not None:
        yield held[0], min(held[1], end)


def _elapsed(hours: Hours, start: int, end: int) -> int:
    """Return the open time in [start, end)."""
    if end <= start:
        return 0
    if hours.always:
        return end - start
    total = 0
    for chunk in _chunks_from(hours, start):
        total += chunk.open_until(end) - chunk.open_until(start)
        if chunk.end >= end:
            break
    return total


def _due(hours: Hours, at: int, budget: int) -> int:
    """Return the instant when `budget` is used up: at closing, not at the next opening. Raises NeverOpen."""
    limit = at + LONGEST // _MICROSECOND
    if hours.always and at + budget <= limit:
        return at + budget
    horizon = at + HORIZON // _MICROSECOND
    left = budget
    for chunk in _chunks_from(hours, at):
        i = bisect_right(chunk.ends, at)
        if i < len(chunk.ends):
            used = chunk.open_before[i] + max(0, at - chunk.starts[i])
            # The first window that ends with enough counted; from i on, so that zero is not "the last
            # closing".
            j = bisect_left(chunk.open_after, used + left, i)
            if j < len(chunk.ends):
                return chunk.starts[j] + used + left - chunk.open_before[j]
            left -= chunk.open_after[-1] - used
            horizon = chunk.ends[-1] + HORIZON // _MICROSECOND
        if chunk.end > horizon or chunk.end > limit:
            break
    raise _never(at, timedelta(microseconds=budget))


def _business_day(hours: Hours, ordinal: int, days: int) -> int:
    """Return the ordinal of the `days`-th business day after a local date. Raises NeverOpen."""
    left = days
    last_open = ordinal
    for number in range(ordinal // _CHUNK_DAYS, _LAST_CHUNK):
        open_days = _chunk(hours, number).open_days
        i = bisect_right(open_days, ordinal)
        if i + left <= len(open_days):
            return open_days[i + left - 1]
        left -= len(open_days) - i
        last_open = open_days[-1] if i < len(open_days) else last_open
        here = (number + 1) * _CHUNK_DAYS
        if here - last_open > HORIZON.days or here - ordinal > LONGEST.days:
            break
    raise NeverOpen(f"{days} business days are not reached from {date.fromordinal(ordinal)} on: {_BOUNDS}")


def _never(at: int, budget: timedelta) -> NeverOpen:
    what = f"{budget} of open time is not reached" if budget else "there is no open time"
    return NeverOpen(f"{what} from {_moment(at).isoformat()} on: {_BOUNDS}")


def _chunks_from(hours: Hours, instant: int) -> Iterator[Chunk]:
    """Yield the chunks from the first that may hold an instant on, until the last date there is."""
    # Two dates back: a zone's local date is at most one away from UTC's, and where clocks are turned back
    # across midnight an instant can belong to the windows of its neighbour.
    number = (instant // _DAY_US + _EPOCH_ORDINAL - 2) // _CHUNK_DAYS
    for n in range(max(number, 0), _LAST_CHUNK):
        yield _chunk(hours, n)


def _chunk(hours: Hours, number: int) -> Chunk:
    chunk = hours.chunks.get(number)
    if chunk is None:
        if len(hours.chunks) >= _MOST_CHUNKS:
            hours.chunks.clear()
        # Two threads may lay out the same chunk: the same value, stored twice.
        chunk = hours.chunks[number] = _lay_out(hours, number)
    return chunk


def _lay_out(hours: Hours, number: int) -> Chunk:
    starts: list[int] = []
    ends: list[int] = []
    open_days: list[int] = []
    first, beyond = number * _CHUNK_DAYS, (number + 1) * _CHUNK_DAYS
    for ordinal in range(max(first, 1), beyond):
        midnight = datetime.fromordinal(ordinal)
        for opens, closes in _day(hours, midnight.date()):
            start = _wall_instant(hours.zone, midnight + timedelta(microseconds=opens))
            end = _wall_instant(hours.zone, midnight + timedelta(microseconds=closes))
            if start >= end:  # swallowed by a gap in local time
                continue
            if not open_days or open_days[-1] != ordinal:
                open_days.append(ordinal)
            if ends and ends[-1] == start:
                ends[-1] = end
            else:
                starts.append(start)
                ends.append(end)
    open_after = tuple(accumulate(end - start for start, end in zip(starts, ends, strict=True)))
    return Chunk(
        starts=tuple(starts),
        ends=tuple(ends),
        open_before=(0, *open_after[:-1]) if open_after else (),
        open_after=open_after,
        open_days=tuple(open_days),
        end=_wall_instant(hours.zone, datetime.fromordinal(beyond)),
    )


def _day(hours: Hours, day: date) -> list[tuple[int, int]]:
    """Return the windows of a local date, breaks cut out, in microseconds of wall time since its midnight."""
    if hours.always:
        return [(0, _DAY_US)]
    windows = hours.overrides_by_date.get(day)
    if windows is None:
        windows = () if day in hours.holidays else hours.week[day.weekday()]
    left = [_of_day(window) for window in windows]
    for cut_from, cut_to in map(_of_day, hours.breaks_by_date.get(day, ())):
        left = [
            (opens, closes)
            for start, end in left
            for opens, closes in ((start, min(end, cut_from)), (max(start, cut_to), end))
            if opens < closes
        ]
    return left


def _of_day(window: Window) -> tuple[int, int]:
    """Turn a window into microseconds of wall time; closing at 00:00 is the end of the day."""
    opens, closes = ((t.hour * 3600 + t.minute * 60 + t.second) * 1_000_000 for t in window)
    return opens, closes or _DAY_US


def _wall_instant(zone: ZoneInfo, wall: datetime) -> int:
    """Turn a naive wall time of a zone into UTC microseconds.

    DESIGN section 3: a wall time that does not exist means the first instant after the gap; one that exists
    twice means the first. Never decreasing in `wall`, which is what keeps windows sorted and disjoint in UTC.
    """
    local = wall.replace(tzinfo=zone, fold=0)
    # PEP 495: in a gap, fold 0 has the smaller offset, that before the change; in a fold the greater,
    # likewise.
    before = local.utcoffset() or timedelta(0)
    after = local.replace(fold=1).utcoffset() or timedelta(0)
    aware = wall.replace(tzinfo=UTC)
    if before >= after:
        return (aware - before - _EPOCH) // _MICROSECOND
    # The clocks were put forward in (low, high]; changes of offset fall on whole seconds.
    low = (aware - after - _EPOCH) // _SECOND
    high = (aware - before - _EPOCH) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if (_EPOCH + middle * _SECOND).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high * (_SECOND // _MICROSECOND)
