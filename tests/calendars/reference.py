"""A slow way to count business time that is right at a glance, minute by minute."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = dt.timedelta(minutes=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def minutes_open(mapping: Mapping[str, Any], day: dt.date) -> set[int]:
    """Return the open minutes of a local date, by its wall clock."""
    windows = mapping.get("week", {}).get(WEEKDAYS[day.weekday()], [])
    if day.isoformat() in mapping.get("holidays", []):
        windows = []
    windows = mapping.get("date_overrides", {}).get(day.isoformat(), windows)
    minutes = {minute for window in windows for minute in _minutes(window)}
    for window in mapping.get("breaks", {}).get(day.isoformat(), []):
        minutes -= set(_minutes(window))
    return minutes


def open_minutes(
    mapping: Mapping[str, Any], start: dt.datetime, end: dt.datetime
) -> Iterator[tuple[dt.datetime, bool]]:
    """Yield every UTC minute of [start, end) and whether it is open.

    A wall time that does not exist is the first instant after the gap, one that exists twice is the first: so
    what counts is the furthest the wall clock has come. It jumps over a gap, and stands still while an hour
    repeats.
    """
    zone = ZoneInfo(mapping["tz"])
    furthest = dt.datetime(1, 1, 1)  # noqa: DTZ001 - a wall clock's reading
    days: dict[dt.date, set[int]] = {}
    at = start - dt.timedelta(days=2)
    while at < end:
        furthest = max(furthest, at.astimezone(zone).replace(tzinfo=None))
        day = furthest.date()
        if day not in days:
            days[day] = minutes_open(mapping, day)
        if at >= start:
            yield at, furthest.hour * 60 + furthest.minute in days[day]
        at += MINUTE


def _minutes(window: list[str]) -> range:
    opens, closes = (int(text[:2]) * 60 + int(text[3:]) for text in window)
    return range(opens, closes)
