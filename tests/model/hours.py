"""Business time counted the slow way: which minutes are open is the reference's word, the rest is a walk."""

import datetime as dt
import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.calendars.reference import open_minutes

ZERO = dt.timedelta(0)
_CHUNK = dt.timedelta(days=8)
_EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_FAR = dt.timedelta(days=400)

Window = tuple[dt.datetime, dt.datetime]


class Opening:
    """Opening hours of one calendar version."""

    def __init__(self, mapping: dict[str, Any]) -> None:
        self.mapping = mapping
        self.always = bool(mapping.get("always"))
        self.zone = ZoneInfo(mapping.get("tz", "UTC"))

    def windows(self, start: dt.datetime) -> Iterator[Window]:
        """Yield open windows from `start` on; those that meet may come in pieces."""
        if self.always:
            yield start, start + _FAR
            return
        number = (start - _EPOCH) // _CHUNK
        while (number * _CHUNK) < (start - _EPOCH) + _FAR:
            for opens, closes in _chunk(json.dumps(self.mapping), number):
                if closes > start:
                    yield max(opens, start), closes
            number += 1

    def between(self, start: dt.datetime, end: dt.datetime) -> dt.timedelta:
        """Count the open time in [start, end)."""
        total = ZERO
        for opens, closes in self.windows(start):
            if opens >= end:
                break
            total += min(closes, end) - opens
        return total

    def after(self, start: dt.datetime, budget: dt.timedelta) -> dt.datetime:
        """Return when `budget` of open time has gone by: at closing, not at the next opening (unless it is nothing)."""
        left = budget
        for opens, closes in self.windows(start):
            if closes - opens >= left:
                return opens + left
            left -= closes - opens
        raise AssertionError("no history is as long as that")

    def opens_on(self, day: dt.date) -> bool:
        if self.always:
            return True
        start = dt.datetime.combine(day, dt.time(), self.zone).astimezone(dt.UTC) - dt.timedelta(days=1)
        for opens, closes in self.windows(start):
            last = closes - dt.timedelta(microseconds=1)
            if opens.astimezone(self.zone).date() <= day <= last.astimezone(self.zone).date():
                return True
            if opens.astimezone(self.zone).date() > day:
                return False
        return False

    def business_days_after(self, start: dt.datetime, days: int) -> dt.datetime:
        """Return the same wall time `days` business days on, at the worst the next opening after it."""
        at = self.after(start, ZERO).astimezone(self.zone)
        day = at.date()
        while days:
            day += dt.timedelta(days=1)
            days -= self.opens_on(day)
        wall = dt.datetime.combine(day, at.time(), self.zone)
        there = wall.astimezone(dt.UTC)
        if there.astimezone(self.zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
            # A wall time that does not exist means the first instant after the gap.
            there = next(
                there - dt.timedelta(minutes=180 - n)
                for n in range(361)
                if (there - dt.timedelta(minutes=180 - n)).astimezone(self.zone).replace(tzinfo=None)
                >= wall.replace(tzinfo=None)
            )
        before = there - dt.timedelta(microseconds=1)
        return there if self.between(before, there) else self.after(there, ZERO)


@cache
def opening(mapping_text: str) -> Opening:
    """Return the hours of a JSON text, laid out once per process."""
    return Opening(json.loads(mapping_text))


@cache
def _chunk(mapping_text: str, number: int) -> tuple[Window, ...]:
    start = _EPOCH + number * _CHUNK
    minute = dt.timedelta(minutes=1)
    windows: list[list[dt.datetime]] = []
    for at, is_open in open_minutes(json.loads(mapping_text), start, start + _CHUNK):
        if is_open:
            if windows and windows[-1][1] == at:
                windows[-1][1] = at + minute
            else:
                windows.append([at, at + minute])
    return tuple((opens, closes) for opens, closes in windows)
