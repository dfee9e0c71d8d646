"""Instants and what is left of them as pages write them; the page's script keeps them fresh."""

import datetime as dt

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from core.durations import spoken

# From this share of its budget on a clock counts as soon (DESIGN 3: paths warn at 75 % unless they say otherwise).
SOON = 0.75
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def exact_text(value: dt.datetime, zone: dt.tzinfo) -> str:
    """Return the exact instant in `zone`, as it stands in titles: "Sun 22 Nov 2026, 08:14:05 CET"."""
    # By hand: a list writes eighty of them, and Django's formatter looks up the language for each part of each.
    local = value.astimezone(zone)
    day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}"
    return f"{day}, {local.hour:02d}:{local.minute:02d}:{local.second:02d} {local.tzname()}"


def ago_text(value: dt.datetime, now: dt.datetime) -> str:
    """Return "just now", "2 h ago" or "in 24 min"."""
    passed = now - value
    if abs(passed) < dt.timedelta(seconds=45):
        return "just now"
    return f"{spoken(passed)} ago" if passed > dt.timedelta(0) else f"in {spoken(passed)}"


def left_text(left: dt.timedelta) -> str:
    """Return "24 min left" or "12 min late"."""
    return f"{spoken(left)} {'late' if left < dt.timedelta(0) else 'left'}"


def heat(left: dt.timedelta | None, share: float | None) -> str:
    """Return how urgent a deadline is as a class: "late", "soon" or ""."""
    if left is not None and left < dt.timedelta(0):
        return "late"
    return "soon" if share is not None and share >= SOON else ""


def ago_html(value: dt.datetime, style: str = "ago", *, now: dt.datetime, zone: dt.tzinfo) -> SafeString:
    """Return an instant relative to now, with the exact one as its title; style "since" is the bare duration."""
    text = spoken(now - value) if style == "since" else ago_text(value, now)
    return _time(value, exact_text(value, zone), f'data-time="{escape(style)}"', text)


def left_html(due: dt.datetime, share: float | None, *, now: dt.datetime, zone: dt.tzinfo) -> SafeString:
    """Return the time left until `due`, coloured by the share of its budget that is spent (0..1)."""
    remaining = due - now
    text, title = left_text(remaining), "Due " + exact_text(due, zone)
    return _time(due, title, 'data-time="left"', text, f'class="left {heat(remaining, share)}" ')


def _time(value: dt.datetime, title: str, data: str, text: str, start: str = "") -> SafeString:
    instant = value.astimezone(dt.UTC).isoformat(timespec="seconds")
    # A zone's name is all that somebody may have made up; all else is written here.
    return mark_safe(f'<time {start}datetime="{instant}" title="{escape(title)}" {data}>{text}</time>')  # noqa: S308
