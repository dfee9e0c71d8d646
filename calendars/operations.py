"""Every change to calendars."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

from django.db import IntegrityError, transaction

from calendars.models import LONGEST_NAME, Calendar, CalendarVersion
from calendars.rules import ALWAYS, Hours, NeverOpen, as_mapping, next_opening, parse
from calendars.rules.filling import Source
from calendars.rules.hours import LONGEST_HOLIDAY_NAME
from core.errors import Conflict, Refused

ROUND_THE_CLOCK = "24x7"
ROUND_THE_CLOCK_DESCRIPTION = "Round the clock, every day of the year. Comes with Belay."


class NoSuchCalendar(Refused):
    """Say that no calendar has this id."""

    status = 404


class CalendarNameTaken(Conflict):
    """Say that another calendar has this name."""


class BuiltInCalendar(Refused):
    """Say that the built-in 24x7 calendar stays as it is."""


class CalendarNeverOpens(Refused):
    """Say that no clock in these hours would ever be due."""


def publish_calendar(
    *,
    calendar_id: int | None,
    name: str,
    hours: Hours,
    actor_name: str,
    now: dt.datetime,
    description: str | None = None,
) -> CalendarVersion:
    """Create a calendar (`calendar_id` None) or give an existing one new hours; return its current version.

    The same hours again make no new version; a running clock keeps the version it started with (DESIGN 3). A
    description of None leaves it as it is. Locks the calendar's row. Raises NoSuchCalendar,
    CalendarNameTaken, BuiltInCalendar, CalendarNeverOpens, and Refused when the name is empty or too long.
    """
    name = _checked_name(name)
    _check_opens(hours, now)
    try:
        with transaction.atomic():
            if calendar_id is None:
                calendar = Calendar.objects.create(name=name, description=description or "")
            else:
                calendar = _locked(calendar_id)
                _check_not_built_in(calendar)
                calendar.name = name
                calendar.description = calendar.description if description is None else description
                calendar.save(update_fields=["name", "description"])
            return _publish(calendar, hours, actor_name, now)
    except IntegrityError as error:
        if "calendar_name" not in str(error):
            raise
        raise CalendarNameTaken(
            f"There is another calendar “{name}”.",
            field="name",
            value=name,
            mend="Choose another name, or edit that one.",
        ) from error


def fill_holidays(
    *,
    calendar_id: int,
    days: Mapping[dt.date, str],
    source: Source,
    until: int,
    actor_name: str,
    now: dt.datetime,
) -> CalendarVersion:
    """Close a calendar on more days, each with its name, and remember where they are from; return its current version.

    Days that are there already keep the name they have, or get one. `until` is the last year filled in. Nothing new
    makes no new version. Locks the calendar's row. Raises NoSuchCalendar, BuiltInCalendar, CalendarNeverOpens, and
    Refused when the calendar has no hours yet.
    """
    with transaction.atomic():
        calendar = _locked(calendar_id)
        _check_not_built_in(calendar)
        if calendar.current is None:
            raise Refused(
                f"{calendar.name} has no hours yet.",
                field="calendar",
                value=calendar.name,
                mend="Publish its hours first.",
            )
        hours = parse(calendar.current.hours)
        names = {day: name[:LONGEST_HOLIDAY_NAME].strip() for day, name in days.items()}
        filled = replace(
            hours,
            holidays=hours.holidays | days.keys(),
            holiday_names=tuple(sorted((names | dict(hours.holiday_names)).items())),
        )
        _check_opens(filled, now)
        calendar.holiday_source = source.as_mapping()
        calendar.holidays_until = max(until, calendar.holidays_until or until)
        calendar.save(update_fields=["holiday_source", "holidays_until"])
        return _publish(calendar, filled, actor_name, now)


def set_default_calendar(*, calendar_id: int) -> Calendar:
    """Make a calendar the one that new paths start with.

    Locks all calendars, in id order. Raises NoSuchCalendar.
    """
    with transaction.atomic():
        # All, and they are few: who waits for the old default alone finds it no default when its turn comes,
        # and goes on holding nothing in common with the next.
        calendars = {row.pk: row for row in Calendar.objects.select_for_update(no_key=True).order_by("pk")}
        if calendar_id not in calendars:
            raise _no_such(calendar_id)
        Calendar.objects.filter(is_default=True).exclude(pk=calendar_id).update(is_default=False)
        Calendar.objects.filter(pk=calendar_id).update(is_default=True)
        calendars[calendar_id].is_default = True
        return calendars[calendar_id]


def ensure_round_the_clock(*, now: dt.datetime, using: str | None = None) -> CalendarVersion:
    """Return the version of the built-in 24x7 calendar, made where it is missing; harmless twice, or at once.

    Locks the calendar's row.
    """
    with transaction.atomic(using=using):
        calendars = Calendar.objects.using(using)
        calendar, _ = calendars.get_or_create(
            is_built_in=True,
            defaults={
                "name": ROUND_THE_CLOCK,
                "description": ROUND_THE_CLOCK_DESCRIPTION,
                "is_default": not calendars.filter(is_default=True).exists(),
            },
        )
        calendar = calendars.select_for_update(no_key=True).get(pk=calendar.pk)
        return _publish(calendar, ALWAYS, "Belay", now, using)


def _publish(
    calendar: Calendar, hours: Hours, actor_name: str, now: dt.datetime, using: str | None = None
) -> CalendarVersion:
    """Return the current version when it has these hours, else a new one. The calendar is locked or new."""
    mapping = as_mapping(hours)
    current = calendar.current
    if current is not None and current.hours == mapping:
        return current
    version = CalendarVersion(
        calendar=calendar,
        number=current.number + 1 if current else 1,
        hours=mapping,
        created_at=now,
        created_by_name=actor_name,
    )
    version.save(using=using, force_insert=True)
    calendar.current = version
    calendar.save(using=using, update_fields=["current"])
    return version


def _locked(calendar_id: int) -> Calendar:
    calendar = Calendar.objects.select_for_update(no_key=True).filter(pk=calendar_id).first()
    if calendar is None:
        raise _no_such(calendar_id)
    return calendar


def _check_not_built_in(calendar: Calendar) -> None:
    if calendar.is_built_in:
        raise BuiltInCalendar(
            f"{calendar.name} is built in.",
            field="calendar",
            value=calendar.name,
            mend="Make one of your own.",
        )


def _no_such(calendar_id: int) -> NoSuchCalendar:
    return NoSuchCalendar(
        f"There is no calendar {calendar_id}.",
        field="calendar",
        value=calendar_id,
        mend="Choose one of the list.",
    )


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Refused(
            "A calendar needs a name." if not name else "The name is too long.",
            field="name",
            value=name,
            mend=f"Give a name of 1 to {LONGEST_NAME} characters.",
        )
    return name


def _check_opens(hours: Hours, now: dt.datetime) -> None:
    # A clock in such a calendar would never run out: its ticket would be dropped.
    try:
        next_opening(hours, now)
    except NeverOpen as error:
        raise CalendarNeverOpens(
            "This calendar is never open.",
            field="hours",
            value=as_mapping(hours),
            mend="Give at least one weekday a window that holidays and breaks leave open.",
        ) from error
