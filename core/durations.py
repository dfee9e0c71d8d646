"""Durations as people read and write them."""

import datetime as dt
import re

from core.errors import Refused

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(w|d|h|min|m|s)(?![a-z])", re.IGNORECASE)
# "2 h 06", as `spoken` says it: what people read they also write.
_AFTER_HOURS = re.compile(r"(?<=h)\s*(\d{1,2})$", re.IGNORECASE)


def spoken(duration: dt.timedelta) -> str:
    """Return a duration in the two units that matter: "45 s", "24 min", "2 h 06", "3 d 4 h"."""
    seconds = int(abs(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d}" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def written(duration: dt.timedelta | None) -> str:
    """Return a duration exactly, in the form `parse_duration` reads: "1 h 30 min", "" for none."""
    if duration is None:
        return ""
    seconds = int(duration.total_seconds())
    parts = []
    for unit in ("d", "h", "min", "s"):
        count, seconds = divmod(seconds, _UNITS[unit])
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 min"


def parse_duration(text: str, *, field: str = "duration") -> dt.timedelta | None:
    """Read "30 min", "1 h 30 min", "1h 30m", "2 h 06", "2d", or a bare number of minutes; "" and "-" mean none.

    Raises Refused naming `field`, the value and what would be accepted.
    """
    value = text.strip()
    if value in ("", "-", "–"):
        return None
    if value.isdecimal():
        value += "min"
    value = _AFTER_HOURS.sub(r" \1min", value)
    parts = _PART.findall(value)
    if not parts or _PART.sub("", value).strip():
        raise Refused(
            f"“{text}” is no duration.",
            field=field,
            value=text,
            mend="Write it like 45 min, 1 h 30 min or 2 d.",
        )
    try:
        return dt.timedelta(seconds=sum(float(number) * _UNITS[unit.lower()] for number, unit in parts))
    except OverflowError as error:
        raise Refused(
            f"“{text}” is far too long.",
            field=field,
            value=text,
            mend="Write it like 45 min, 1 h 30 min or 2 d.",
        ) from error
