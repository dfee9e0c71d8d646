"""Opening hours as the rules see them, with the windows laid out so far. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from calendars.rules.windows import (
    WEEKDAYS,
    BadHours,
    DatedWindows,
    Window,
    check_windows,
    written_windows,
    zone_named,
)

LONGEST_HOLIDAY_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Chunk:
    """Hold the open windows of some consecutive local dates: UTC microseconds, sorted, disjoint, merged."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    open_before: tuple[int, ...]  # open time of the chunk before window i
    open_after: tuple[int, ...]  # ... and including it
    open_days: tuple[int, ...]  # ordinals of the local dates with any open time
    end: int  # where the next chunk begins

    def open_until(self, instant: int) -> int:
        """Return the chunk's open time before an instant."""
        i = bisect_right(self.ends, instant)
        if i == len(self.ends):
            return self.open_after[-1] if i else 0
        return self.open_before[i] + max(0, instant - self.starts[i])


@dataclass(frozen=True)
class Hours:
    """Hold opening hours: a week of windows in a time zone, and the dates that differ from it.

    On a date, `date_overrides` replace the windows of the week (no windows: closed); a date in `holidays` is
    closed unless it has an override, which is the more particular word about that date; `breaks` are cut out
    of whatever is open. `always` is round the clock and goes with nothing but a zone.

    Raises BadHours. Build from JSON with `parse`.
    """

    tz: str
    week: tuple[tuple[Window, ...], ...] = ((),) * 7
    holidays: frozenset[date] = frozenset()
    date_overrides: DatedWindows = ()
    breaks: DatedWindows = ()
    always: bool = False
    # What people call some of the holidays, by date; for the reader only.
    holiday_names: tuple[tuple[date, str], ...] = ()

    # Derived, and filled as dates are asked for: the engine starts thousands of clocks on the same few
    # calendars.
    zone: ZoneInfo = field(init=False, repr=False, compare=False)
    overrides_by_date: dict[date, tuple[Window, ...]] = field(init=False, repr=False, compare=False)
    breaks_by_date: dict[date, tuple[Window, ...]] = field(init=False, repr=False, compare=False)
    chunks: dict[int, Chunk] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zone", zone_named(self.tz))
        if len(self.week) != 7:
            raise BadHours("week", self.week, "give seven days, Monday first")
        for day, windows in zip(WEEKDAYS, self.week, strict=True):
            check_windows(f"week.{day}", windows)
        for name in ("date_overrides", "breaks"):
            dated: DatedWindows = getattr(self, name)
            dates = [day for day, _ in dated]
            if dates != sorted(set(dates)):
                raise BadHours(name, [str(day) for day in dates], "name every date once, in order")
            for on, windows in dated:
                check_windows(f"{name}.{on}", windows)
            object.__setattr__(self, f"{name.removeprefix('date_')}_by_date", dict(dated))
        self._check_names()
        if self.always:
            mend = "leave it empty, or turn `always` (round the clock) off"
            for name in ("week", "holidays", "date_overrides", "breaks"):
                if any(getattr(self, name)):
                    raise BadHours(name, as_mapping(self)[name], mend)

    def _check_names(self) -> None:
        dates = [day for day, _ in self.holiday_names]
        if dates != sorted(set(dates)):
            raise BadHours("holiday_names", [str(day) for day in dates], "name every date once, in order")
        for day, name in self.holiday_names:
            if day not in self.holidays:
                raise BadHours("holiday_names", str(day), "name only dates that are holidays")
            if not name or len(name) > LONGEST_HOLIDAY_NAME or not name.isprintable() or name != name.strip():
                mend = f"give a name of 1 to {LONGEST_HOLIDAY_NAME} printable characters, or none"
                raise BadHours("holiday_names", name, mend)


def as_mapping(hours: Hours) -> dict[str, Any]:
    """Write opening hours in their JSON form.

    `parse` reads it back as equal hours, and equal hours give equal JSON.
    """
    names = {day.isoformat(): name for day, name in hours.holiday_names}
    return {
        "tz": hours.tz,
        "week": {day: written_windows(windows) for day, windows in zip(WEEKDAYS, hours.week, strict=True)},
        "holidays": sorted(day.isoformat() for day in hours.holidays),
        "date_overrides": {
            day.isoformat(): written_windows(windows) for day, windows in hours.date_overrides
        },
        "breaks": {day.isoformat(): written_windows(windows) for day, windows in hours.breaks},
        "always": hours.always,
        **({"holiday_names": names} if names else {}),
    }


ALWAYS: Final = Hours(tz="UTC", always=True)
"""Round the clock."""
