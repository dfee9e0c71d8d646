"""Rotations, overrides and instants as people say them."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from notifications.models import OnCallOverride, OnCallSchedule, Rotation, RotationWindow

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EVERY = {
    "hourly": ("every hour", "hours"),
    "daily": ("every day", "days"),
    "weekly": ("every week", "weeks"),
    "monthly": ("every month", "months"),
}


def zone_of(schedule: OnCallSchedule) -> ZoneInfo:
    """Return the zone on whose wall clock a schedule hands over."""
    return ZoneInfo(schedule.time_zone)


def when(value: dt.datetime, zone: dt.tzinfo, now: dt.datetime) -> str:
    """Return an instant short: "today 17:00", "Mon 9 Mar, 09:00", with the year where it is another."""
    local, today = value.astimezone(zone), now.astimezone(zone).date()
    clock = f"{local:%H:%M}"
    for by, name in ((0, "today"), (1, "tomorrow"), (-1, "yesterday")):
        if local.date() == today + dt.timedelta(days=by):
            return f"{name} {clock}"
    year = f" {local.year}" if local.year != today.year else ""
    return f"{_DAYS[local.weekday()]} {local.day} {local:%b}{year}, {clock}"


def days_in_words(days: Collection[int]) -> str:
    """Return days as a range where they are one: "every day", "Mon–Fri", "Sat, Sun", "Mon, Wed"."""
    ordered = sorted(days)
    if len(ordered) == 7:
        return "every day"
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{_DAYS[ordered[0]]}–{_DAYS[ordered[-1]]}"
    return ", ".join(_DAYS[day] for day in ordered)


def window_in_words(window: RotationWindow) -> str:
    """Return when a rotation is on call at all."""
    times = (
        "all day" if window.start == window.end == dt.time() else f"{window.start:%H:%M}–{window.end:%H:%M}"
    )
    return f"{days_in_words(window.days)} {times}"


def rotation_in_words(rotation: Rotation) -> str:
    """Return how a rotation hands over, as one sentence."""
    one, many = _EVERY[rotation.unit]
    every = one if rotation.length == 1 else f"every {rotation.length} {many}"
    aligned = {"weekly": " on Mondays", "monthly": " on the first"}.get(rotation.unit, "")
    where = aligned if rotation.aligned else ""
    if rotation.unit == "weekly" and not rotation.aligned:
        where = f" on {rotation.starts_on:%A}s"
    at = "" if rotation.unit == "hourly" else f" at {rotation.handoff_time:%H:%M}"
    until = f" until {_date(rotation.ends_on)}" if rotation.ends_on is not None else ""
    return f"Hands over {every}{where}{at}, from {_date(rotation.starts_on)} on{until}."


def windows_in_words(windows: Iterable[RotationWindow]) -> str:
    """Return when it is on call, "round the clock" without windows."""
    return "; ".join(window_in_words(window) for window in windows) or "Round the clock"


def override_in_words(row: OnCallOverride) -> str:
    """Return what an override does, as one sentence."""
    comes, goes = row.contact, row.replaces
    return {
        "add": f"{comes} is also on call",
        "replace": f"{comes} takes over from {goes}",
        "remove": f"{goes} is not on call",
        "instead": f"{comes} is alone on call",
    }[row.kind]


def _date(day: dt.date) -> str:
    return f"{day.day} {day:%b} {day.year}"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A rotation in words: how it hands over, when it is on call, and who has which turn."""

    row: Rotation
    words: str
    windows: str
    groups: tuple[str, ...]


def rotation(row: Rotation) -> Spoken:
    """Put a rotation into words; its windows and members are read already."""
    groups: dict[int, list[str]] = {}
    for member in sorted(row.members.all(), key=lambda one: (one.position, one.pk)):
        groups.setdefault(member.position, []).append(member.contact.name)
    windows = sorted(row.windows.all(), key=lambda window: window.pk)
    turns = tuple(" and ".join(names) for names in groups.values())
    return Spoken(row, rotation_in_words(row), windows_in_words(windows), turns)
