"""Reads about calendars that other apps ask for."""

from collections.abc import Iterable
from functools import cache

from django.db import connection

from calendars.models import CalendarVersion
from calendars.rules import Hours, parse

# Versions are immutable, and a primary key is never given twice: what is read once holds for the process's
# life.
_hours: dict[int, Hours] = {}

# Past the ORM: the engine asks in each of its batches.
_CURRENT = (
    "SELECT id, current_id FROM calendars_calendar WHERE id = ANY(%s::bigint[]) AND current_id IS NOT NULL"
)


def hours_of(version_id: int) -> Hours:
    """Return the hours of a calendar version; a query the first time only.

    Raises CalendarVersion.DoesNotExist.
    """
    known = _hours.get(version_id)
    return known if known is not None else hours_of_many([version_id])[version_id]


def hours_of_many(version_ids: Iterable[int]) -> dict[int, Hours]:
    """Return the hours of many calendar versions, in at most one query.

    Raises CalendarVersion.DoesNotExist.
    """
    wanted = set(version_ids)
    unknown = wanted - _hours.keys()
    if unknown:
        rows = CalendarVersion.objects.filter(pk__in=unknown).values_list("pk", "hours")
        found = {pk: parse(mapping) for pk, mapping in rows}
        if missing := unknown - found.keys():
            raise CalendarVersion.DoesNotExist(f"No calendar version has the id {sorted(missing)}.")
        _hours.update(found)
    return {version_id: _hours[version_id] for version_id in wanted}


def current_version_ids(calendar_ids: Iterable[int]) -> dict[int, int]:
    """Return the current version of each calendar that has one, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT, [list(set(calendar_ids))])
        return dict(cursor.fetchall())


@cache
def round_the_clock_version_id() -> int:
    """Return the version of the built-in 24x7 calendar; a query the first time only.

    Raises CalendarVersion.DoesNotExist when the migrations have not run.
    """
    return CalendarVersion.objects.filter(calendar__is_built_in=True).earliest("number").pk


def forget_round_the_clock() -> None:
    """Look the built-in calendar up anew: a flush of a test database has put it back under another id."""
    round_the_clock_version_id.cache_clear()
