"""A schedule with a gap every Sunday, for the tests of the on-call pages."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from core.db import database_now
from notifications.models import Contact, OnCallSchedule
from notifications.operations import Turns, contacts_for, create_schedule, save_rotation
from notifications.rules.rotation import Window
from tests.house import House

ZONE = ZoneInfo("Europe/Berlin")
DAY = dt.timedelta(days=1)
ALL_BUT_SUNDAY = (Window(dt.time(), dt.time(), frozenset(range(6))),)


def person(user: Any) -> Contact:
    return contacts_for([user])[user.pk]


def network_schedule(house: House, **more: Any) -> OnCallSchedule:
    """Aisha and Tomas week by week from Mondays at nine in Berlin, but on Sundays nobody, or by other `windows`."""
    schedule = create_schedule(
        name=more.pop("name", "Network on call"),
        time_zone="Europe/Berlin",
        team=house.network,
        actor=house.lead,
    )
    started = (database_now() - 60 * DAY).astimezone(ZONE).date()
    values: dict[str, Any] = {
        "name": "Weeks",
        "groups": ((person(house.second),), (person(house.third),)),
        "unit": "weekly",
        "starts_on": started,
        "handoff_time": dt.time(9),
        "windows": ALL_BUT_SUNDAY,
        "aligned": True,
    }
    save_rotation(schedule=schedule, turns=Turns(**values | more), actor=house.lead)
    return schedule


def wall(at: dt.datetime) -> str:
    return f"{at.astimezone(ZONE):%Y-%m-%dT%H:%M}"


def next_monday() -> dt.datetime:
    """Return noon of the Monday after the next, in Berlin."""
    today = database_now().astimezone(ZONE).date()
    day = today + (7 - today.weekday() + 7) * DAY
    return dt.datetime.combine(day, dt.time(12), ZONE)
