"""When whose turn it is in a rotation: handoffs on a wall clock, summer and winter. Pure.

Handoffs are counted on the wall clock of the rotation's zone and only then become instants, so that a shift that ends
at nine ends at nine when the clocks change: it lasts an hour more or less. A wall time that does not exist means the
first instant after the gap, one that exists twice the first of both (DESIGN 3, clocks).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from calendars.rules import instant_of

HOURLY, DAILY, WEEKLY, MONTHLY = "hourly", "daily", "weekly", "monthly"
UNITS = (HOURLY, DAILY, WEEKLY, MONTHLY)
EVERY_DAY = frozenset(range(7))
_DAY = dt.timedelta(days=1)
_HOUR = dt.timedelta(hours=1)

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Window:
    """Days (0 is Monday) and wall times; over midnight where it ends before it starts, a whole day where both agree."""

    start: dt.time
    end: dt.time
    days: frozenset[int] = EVERY_DAY

    def on(self, day: dt.date, zone: ZoneInfo) -> tuple[dt.datetime, dt.datetime] | None:
        """Return the instants (UTC) of the window that begins on `day`; None on other days, or inside a gap."""
        if day.weekday() not in self.days:
            return None
        last = day if self.end > self.start else day + _DAY
        begin = _instant(dt.datetime.combine(day, self.start), zone)
        end = _instant(dt.datetime.combine(last, self.end), zone)
        return (begin, end) if begin < end else None


@dataclass(frozen=True)
class Rotation(Generic[P]):
    """Groups that take turns of `length` units from `start` (wall time in `zone`) on; before it nobody is on call.

    With `windows` it is on call in these only; a daily rotation then counts the days on which one begins: who has
    Saturday hands over to whoever has Sunday, not to four others in between. `aligned` weeks and months hand over on
    Mondays and on the first of the month, and the first group has the first of them in which there is a window.
    """

    groups: tuple[tuple[P, ...], ...]
    unit: str
    length: int
    start: dt.datetime
    zone: ZoneInfo
    windows: tuple[Window, ...] = ()
    aligned: bool = False
    # Wall time; the end of the rotation, None for good.
    until: dt.datetime | None = None
    level: int = 1
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse what never hands over. Raises ValueError."""
        if self.unit not in UNITS or self.length < 1:
            raise ValueError(f"{self.name}: {self.length} {self.unit} is no length of a turn")

    def handoff(self, turn: int) -> dt.datetime:
        """Return the instant (UTC) at which `turn` begins; turns count from 0, those before the start are negative."""
        return _instant(self._wall(turn * self.length), self.zone)

    def turn_at(self, at: dt.datetime) -> int:
        """Return the turn that is under way at an instant."""
        turn = self._units_until(at.astimezone(self.zone).replace(tzinfo=None)) // self.length
        while self.handoff(turn) > at:
            turn -= 1
        while self.handoff(turn + 1) <= at:
            turn += 1
        return turn

    def shift_at(self, at: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """Return the turn under way at an instant as (begin, end), whether or not a window is open."""
        turn = self.turn_at(at)
        return self.handoff(turn), self.handoff(turn + 1)

    def group_of(self, turn: int) -> tuple[P, ...]:
        """Return who has a turn."""
        return self.groups[turn % len(self.groups)] if self.groups else ()

    def spans(
        self, begin: dt.datetime, end: dt.datetime
    ) -> Iterator[tuple[dt.datetime, dt.datetime, tuple[P, ...]]]:
        """Yield (begin, end, group) in order within [begin, end), which never overlap; what they leave out is free."""
        begin = max(begin, _instant(self.start, self.zone))
        if self.until is not None:
            end = min(end, _instant(self.until, self.zone))
        if begin >= end or not self.groups:
            return
        for opens, closes in self._open(begin, end):
            turn, since = self.turn_at(opens), opens
            while since < closes:
                until = min(self.handoff(turn + 1), closes)
                # A turn that lies in the gap of a changing clock lasts no time.
                if since < until:
                    yield since, until, self.group_of(turn)
                since, turn = until, turn + 1

    def _open(self, begin: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Yield when the windows are open within [begin, end), in order and merged."""
        if not self.windows:
            yield begin, end
            return
        # One that began the day before may reach over midnight, and by a changing clock a little more.
        day = begin.astimezone(self.zone).date() - 2 * _DAY
        # And clocks that go back over midnight show the evening before once more, when the next day has begun.
        last = end.astimezone(self.zone).date() + _DAY
        current: tuple[dt.datetime, dt.datetime] | None = None
        while day <= last:
            found = sorted(filter(None, (window.on(day, self.zone) for window in self.windows)))
            for opens, closes in found:
                if current is not None and opens <= current[1]:
                    current = current[0], max(current[1], closes)
                    continue
                if current is not None:
                    yield from _within(current, begin, end)
                current = opens, closes
            day += _DAY
        if current is not None:
            yield from _within(current, begin, end)

    # --- units: how many from the start on, and the wall time at which one begins ---------------------------------

    def _wall(self, units: int) -> dt.datetime:
        start = self._first
        if self.unit == HOURLY:
            return start + units * _HOUR
        if self.unit == DAILY:
            return start + self._days_after(units) * _DAY
        if self.unit == WEEKLY:
            return start + 7 * units * _DAY
        return _months_after(start, units)

    def _units_until(self, wall: dt.datetime) -> int:
        """Return about how many units lie between the start and a wall time; off by one or two is good enough."""
        start = self._first
        if self.unit == MONTHLY:
            return (wall.year - start.year) * 12 + wall.month - start.month
        if self.unit == HOURLY:
            return (wall - start) // _HOUR
        if self.unit == WEEKLY:
            return (wall - start) // (7 * _DAY)
        weeks, days = divmod((wall - start).days, 7)
        return weeks * len(self._days) + sum(offset <= days for offset in self._offsets) - 1

    @cached_property
    def _days(self) -> frozenset[int]:
        """The days of the week on which any window begins."""
        return frozenset().union(*(window.days for window in self.windows)) if self.windows else EVERY_DAY

    @cached_property
    def _first(self) -> dt.datetime:
        """The wall time at which turn 0 begins."""
        if self.unit == DAILY or (self.aligned and self.unit in (WEEKLY, MONTHLY)):
            day = self.start
            while day.weekday() not in self._days:
                day += _DAY
            if self.unit == WEEKLY:
                return day - day.weekday() * _DAY
            if self.unit == MONTHLY:
                return day.replace(day=1)
            return day
        return self.start

    @cached_property
    def _offsets(self) -> tuple[int, ...]:
        """How many days after the first the others of the same seven are."""
        return tuple(sorted((day - self._first.weekday()) % 7 for day in self._days))

    def _days_after(self, units: int) -> int:
        weeks, rest = divmod(units, len(self._offsets))
        return 7 * weeks + self._offsets[rest]


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return instant_of(zone, wall)


def _months_after(start: dt.datetime, months: int) -> dt.datetime:
    """Return the same day and wall time so many months later; the last of a month that has no such day."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    for day in range(start.day, 0, -1):
        try:
            return start.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise ValueError(f"no month {months} months after {start}")


def _within(
    span: tuple[dt.datetime, dt.datetime], begin: dt.datetime, end: dt.datetime
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    cut = max(span[0], begin), min(span[1], end)
    if cut[0] < cut[1]:
        yield cut
