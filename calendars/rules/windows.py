"""Windows of wall time, and what keeps them from being opening hours. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date, time
from itertools import pairwise
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

Window: TypeAlias = tuple[time, time]
"""Opening and closing wall time; closing at 00:00 is midnight at the end of the day, written "24:00"."""
DatedWindows: TypeAlias = tuple[tuple[date, tuple[Window, ...]], ...]
"""Windows by date, sorted by date."""

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT: Final = time(0)


class BadHours(Exception):
    """Say which field of opening hours is wrong, what it held, and how to mend it."""

    def __init__(self, field: str, value: object, mend: str) -> None:
        super().__init__(field, value, mend)
        self.field = field
        self.value = value
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r} will not do: {self.mend}"


def zone_named(tz: object) -> ZoneInfo:
    """Return the zone of a name. Raises BadHours."""
    mend = "give a name of the tz database such as Europe/Berlin"
    if not isinstance(tz, str) or not tz:
        raise BadHours("tz", tz, mend)
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown; not a name; a folder such as "Europe"
        near = difflib.get_close_matches(tz, available_timezones(), n=1)
        raise BadHours("tz", tz, f"{mend}; is it {near[0]}?" if near else mend) from None


def check_windows(field: str, windows: Sequence[Window]) -> None:
    """Raise BadHours unless windows are sorted, disjoint, and end after they start. They may touch."""
    for opens, closes in windows:
        if opens.tzinfo or closes.tzinfo or opens.microsecond or closes.microsecond:
            raise BadHours(field, f"{opens}-{closes}", "give wall times in whole seconds, without a zone")
        if closes != MIDNIGHT and closes <= opens:
            mend = (
                "end after the start; let an overnight window end at 24:00 and go on at 00:00 of the next day"
            )
            raise BadHours(field, written_windows([(opens, closes)])[0], mend)
    for (_, closes), (opens, _) in pairwise(windows):
        if closes == MIDNIGHT or opens < closes:
            mend = "join windows that overlap (the end of an overnight window falls on the next day)"
            raise BadHours(field, written_windows(windows), mend)


def written_windows(windows: Sequence[Window]) -> list[list[str]]:
    return [[_time_text(opens), _time_text(closes, closing=True)] for opens, closes in windows]


def _time_text(at: time, *, closing: bool = False) -> str:
    if closing and at == MIDNIGHT:
        return "24:00"
    return at.isoformat("seconds" if at.second else "minutes")
