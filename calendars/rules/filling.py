"""Holidays filled in by the year: where they are from, which are new, and when they run out. Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from calendars.rules.hours import Hours

# So long before the last filled year ends somebody is told.
WARN_WITHIN: Final = dt.timedelta(days=60)
YEARS_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Source:
    """Whose holidays: a country, maybe a part of it, and which kinds; names in `language` ("" is the country's own)."""

    country: str
    subdivision: str = ""
    categories: tuple[str, ...] = ("public",)
    language: str = ""

    def as_mapping(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "country": self.country,
            "subdivision": self.subdivision,
            "categories": list(self.categories),
            "language": self.language,
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A day that could be filled in, and what it would change."""

    day: dt.date
    name: str
    is_new: bool
    # "other hours" are set for the day and win over the holiday; the weekday is "closed" anyway.
    note: str = ""


def candidates(hours: Hours, days: Mapping[dt.date, str]) -> tuple[Candidate, ...]:
    """Return what filling in these days would do to a calendar, in order."""
    return tuple(
        Candidate(day, days[day], is_new=day not in hours.holidays, note=_note(hours, day))
        for day in sorted(days)
    )


def _note(hours: Hours, day: dt.date) -> str:
    if day in hours.overrides_by_date:
        return "other hours"
    return "" if hours.always or hours.week[day.weekday()] else "closed"


def last_filled(days: Iterable[dt.date], until: int | None) -> int | None:
    """Return the last year that has holidays, or was filled in; None for a calendar without any."""
    years = {day.year for day in days}
    return max(years | ({until} if until is not None else set()), default=None)


def runs_out(last_year: int | None, today: dt.date) -> bool:
    """Tell whether the last filled year is over, or will be within WARN_WITHIN."""
    return last_year is not None and dt.date(last_year, 12, 31) - today <= WARN_WITHIN
