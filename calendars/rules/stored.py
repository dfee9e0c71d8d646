"""Opening hours as the database stores them: JSON in, rules out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from typing import Any, Final, TypeGuard

from calendars.rules.hours import Hours
from calendars.rules.windows import (
    MIDNIGHT,
    WEEKDAYS,
    BadHours,
    DatedWindows,
    Window,
    written_windows,
    zone_named,
)

_FIELDS: Final = ("tz", "week", "holidays", "date_overrides", "breaks", "always", "holiday_names")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse(mapping: Mapping[str, Any]) -> Hours:
    """Read opening hours from their JSON form.

    {"tz": "Europe/Berlin", "week": {"mon": [["09:00", "17:00"]]}, "holidays": ["2026-12-25"],
    "date_overrides": {"2026-12-24": [["09:00", "12:00"]]}, "breaks": {...}, "always": false,
    "holiday_names": {"2026-12-25": "Christmas Day"}}; all but the zone may be left out. Times are HH:MM or HH:MM:SS,
    "24:00" ends a day. A window of the week or a break that ends at or before it starts runs overnight and is split
    at midnight, so its second half is that of the next date (and closed with it). Raises BadHours, naming field,
    value and mend.
    """
    if not isinstance(mapping, Mapping):
        raise BadHours("hours", mapping, 'give an object such as {"tz": "Europe/Berlin", "week": {...}}')
    for key in mapping:
        if key not in _FIELDS:
            raise BadHours("hours", key, f"use only the fields {', '.join(_FIELDS)}")
    always = mapping.get("always", False)
    if not isinstance(always, bool):
        raise BadHours("always", always, "give true or false")
    tz = mapping.get("tz", "UTC" if always else None)
    zone_named(tz)
    holidays = mapping.get("holidays", [])
    if not _is_list(holidays):
        raise BadHours("holidays", holidays, 'give a list of dates such as ["2026-12-25"]')
    return Hours(
        tz=tz,
        week=_parse_week(mapping.get("week", {})),
        holidays=frozenset(_parse_date("holidays", day) for day in holidays),
        date_overrides=_parse_dated("date_overrides", mapping.get("date_overrides", {})),
        breaks=_parse_dated("breaks", mapping.get("breaks", {})),
        always=always,
        holiday_names=_parse_names(mapping.get("holiday_names", {})),
    )


def _parse_names(names: object) -> tuple[tuple[date, str], ...]:
    if not isinstance(names, Mapping):
        raise BadHours("holiday_names", names, 'give an object such as {"2026-12-25": "Christmas Day"}')
    found = []
    for day, name in names.items():
        if not isinstance(name, str):
            raise BadHours(f"holiday_names.{day}", name, "give a text")
        found.append((_parse_date("holiday_names", day), name))
    return tuple(sorted(found))


def _parse_week(week: object) -> tuple[tuple[Window, ...], ...]:
    if not isinstance(week, Mapping):
        raise BadHours("week", week, 'give an object such as {"mon": [["09:00", "17:00"]]}')
    days: list[list[Window]] = [[] for _ in WEEKDAYS]
    for name, windows in week.items():
        if name not in WEEKDAYS:
            raise BadHours("week", name, f"name weekdays {', '.join(WEEKDAYS)}")
        weekday = WEEKDAYS.index(name)
        for today, next_day in _parse_windows(f"week.{name}", windows):
            days[weekday].append(today)
            if next_day:
                days[(weekday + 1) % 7].append(next_day)
    return tuple(tuple(sorted(day)) for day in days)


def _parse_dated(field: str, dated: object) -> DatedWindows:
    if not isinstance(dated, Mapping):
        raise BadHours(field, dated, 'give an object such as {"2026-12-24": [["09:00", "12:00"]]}')
    days: dict[date, list[Window]] = {_parse_date(field, day): [] for day in dated}
    for text, windows in dated.items():
        day = _parse_date(field, text)
        for today, next_day in _parse_windows(f"{field}.{text}", windows):
            days[day].append(today)
            if next_day and field == "date_overrides":
                # An override *replaces* a date's windows: half a night must not close the whole next day.
                mend = "end at 24:00, and give the next date an override of its own"
                raise BadHours(f"{field}.{text}", written_windows([(today[0], next_day[1])])[0], mend)
            if next_day:
                days.setdefault(day + timedelta(days=1), []).append(next_day)
    return tuple((day, tuple(sorted(days[day]))) for day in sorted(days))


def _parse_windows(field: str, windows: object) -> Iterator[tuple[Window, Window | None]]:
    """Yield each window with, when it runs overnight, its half on the next date. Raises BadHours."""
    if not _is_list(windows):
        raise BadHours(
            field, windows, 'give a list of windows such as [["09:00", "12:00"], ["13:00", "17:00"]]'
        )
    for window in windows:
        if not _is_list(window) or len(window) != 2:
            raise BadHours(field, window, 'give each window as a pair such as ["09:00", "17:00"]')
        opens, closes = _parse_time(field, window[0]), _parse_time(field, window[1], closing=True)
        if closes == MIDNIGHT and (opens != MIDNIGHT or window[1].startswith("24")):
            yield (opens, MIDNIGHT), None
        elif closes == opens:
            raise BadHours(field, list(window), "end after the start; the whole day is 00:00 to 24:00")
        elif closes < opens:
            yield (opens, MIDNIGHT), (MIDNIGHT, closes)
        else:
            yield (opens, closes), None


def _parse_time(field: str, text: object, *, closing: bool = False) -> time:
    """Read a wall time; "24:00", where a window closes, is 00:00. Raises BadHours."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match:
        hour, minute, second = (int(part or 0) for part in match.groups())
        if closing and (hour, minute, second) == (24, 0, 0):
            return MIDNIGHT
        if hour < 24 and minute < 60 and second < 60:
            return time(hour, minute, second)
    mend = "give a time from 00:00 to 24:00" if closing else "give a time from 00:00 to 23:59"
    raise BadHours(field, text, mend)


def _parse_date(field: str, text: object) -> date:
    if isinstance(text, str) and _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass  # 2026-02-30
    raise BadHours(field, text, "give a date that exists, as YYYY-MM-DD")


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)
