"""Business time as pure functions: the hours, the arithmetic, and the form they are stored in (DESIGN 3, clocks)."""

from calendars.rules.business_time import (
    CountedWindow,
    NaiveDatetime,
    NeverOpen,
    due_at,
    due_business_days,
    elapsed,
    explain,
    instant_of,
    is_open,
    next_opening,
    open_intervals,
)
from calendars.rules.hours import ALWAYS, Hours, as_mapping
from calendars.rules.stored import parse
from calendars.rules.windows import WEEKDAYS, BadHours, Window

__all__ = [
    "ALWAYS",
    "WEEKDAYS",
    "BadHours",
    "CountedWindow",
    "Hours",
    "NaiveDatetime",
    "NeverOpen",
    "Window",
    "as_mapping",
    "due_at",
    "due_business_days",
    "elapsed",
    "explain",
    "instant_of",
    "is_open",
    "next_opening",
    "open_intervals",
    "parse",
]
