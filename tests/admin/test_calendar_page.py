"""Opening hours in the admin: written as people write them, published as versions."""

from typing import Any

import pytest
from django.test import Client

from calendars.models import Calendar
from core.db import database_now
from tests.admin.conftest import House
from tests.admin.pages import Fields, read_form

LIST = "/admin/calendars/calendar/"


def address(calendar: Calendar) -> str:
    return f"{LIST}{calendar.pk}/change/"


def form_of(client: Client, calendar: Calendar) -> Fields:
    return read_form(client.get(address(calendar)), "calendar-form")


def hours(calendar: Calendar) -> dict[str, Any]:
    calendar.refresh_from_db()
    assert calendar.current is not None
    found: dict[str, Any] = calendar.current.hours
    return found


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_hours_are_written_as_people_write_them(house: House, admin: Client) -> None:
    form = form_of(admin, house.calendar) | {
        "mon": ["9-12, 13:00–17:30"],
        "fri": ["22:00-06:00"],
        "sun": ["closed"],
        "holidays": ["2026-12-25 Christmas\n\n2027-01-01"],
        "date_overrides": ["2026-12-24 09:00-12:00\n2026-12-27"],
        "breaks": ["2026-06-05 14:00-16:00"],
        "tz": ["America/New_York"],
    }
    answer = admin.post(address(house.calendar), form, follow=True)
    assert told(answer) == [
        "Version 2 is in force. Clocks that run already keep the hours they started with."
    ]
    written = hours(house.calendar)
    assert written["tz"] == "America/New_York"
    assert written["week"]["mon"] == [["09:00", "12:00"], ["13:00", "17:30"]]
    assert written["week"]["fri"] == [["22:00", "24:00"]]
    assert written["week"]["sat"] == [["00:00", "06:00"]]
    assert written["holidays"] == ["2026-12-25", "2027-01-01"]
    assert written["holiday_names"] == {"2026-12-25": "Christmas"}
    assert written["date_overrides"] == {"2026-12-24": [["09:00", "12:00"]], "2026-12-27": []}
    assert written["breaks"] == {"2026-06-05": [["14:00", "16:00"]]}
    page = answer.content.decode()
    assert "Monday 09:00-17:00 → 09:00-12:00, 13:00-17:30" in page
    assert "holiday 2026-12-25 Christmas added" in page
    assert read_form(answer, "calendar-form")["holidays"] == ["2026-12-25 Christmas\n2027-01-01"]


def test_saving_the_page_untouched_makes_no_version(house: House, admin: Client) -> None:
    before = hours(house.calendar)
    answer = admin.post(address(house.calendar), form_of(admin, house.calendar), follow=True)
    assert told(answer) == ["Saved; the hours are the same, so there is no new version."]
    assert hours(house.calendar) == before
    assert house.calendar.versions.count() == 1


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"mon": ["nine to five"]}, "mon", "is no window"),
        ({"mon": ["09:00-25:00"]}, "mon", "00:00 to 24:00"),
        ({"mon": ["09:00-12:00, 11:00-13:00"]}, "mon", "overlap"),
        ({"tz": ["Europe/Berlyn"]}, "tz", "is it Europe/Berlin"),
        ({"holidays": ["2026-02-30"]}, "holidays", "2026-02-30"),
        ({"holidays": ["Christmas"]}, "holidays", "YYYY-MM-DD"),
        ({"holidays": ["2026-12-25 " + "x" * 201]}, "holidays", "1 to 200 printable characters"),
        ({"breaks": ["2026-06-05 14:00"]}, "breaks", "is no window"),
        ({"date_overrides": ["2026-06-05 9-10\n2026-06-05 11-12"]}, "date_overrides", "stands twice"),
        ({"always": ["on"]}, "always", "Leave it empty"),
        ({"name": [""]}, "name", "required"),
    ],
)
def test_what_is_wrong_stands_beside_its_line_and_nothing_typed_is_lost(
    house: House, admin: Client, typed: Fields, field: str, words: str
) -> None:
    answer = admin.post(address(house.calendar), form_of(admin, house.calendar) | typed)
    page = answer.content.decode()
    assert words in page
    assert answer.context["form"].errors.keys() == {field}
    again = read_form(answer, "calendar-form")
    assert {name: again[name] for name in typed} == typed
    assert house.calendar.versions.count() == 1


def test_a_calendar_that_never_opens_is_refused(house: House, admin: Client) -> None:
    form = form_of(admin, house.calendar) | {day: [""] for day in ("mon", "tue", "wed", "thu", "fri")}
    answer = admin.post(address(house.calendar), form)
    assert "This calendar is never open." in answer.content.decode()
    assert house.calendar.versions.count() == 1


def test_the_page_shows_the_next_open_windows_in_the_calendars_own_zone(house: House, admin: Client) -> None:
    answer = admin.get(address(house.calendar))
    windows = answer.context["preview"]
    assert len(windows) == 10
    for opens, closes in windows:
        assert opens.tzname() in {"CET", "CEST"}
        assert closes > database_now()
        assert closes.hour == 17
    assert [opens for opens, _ in windows] == sorted(opens for opens, _ in windows)


def test_a_new_calendar_is_created_and_made_the_default(house: House, admin: Client) -> None:
    form = read_form(admin.get(f"{LIST}add/"), "calendar-form") | {
        "name": [f"Madrid {house.mark}"],
        "tz": ["Europe/Madrid"],
        "mon": ["08:00-15:00"],
        "is_default": ["on"],
    }
    admin.post(f"{LIST}add/", form)
    made = Calendar.objects.get(name=f"Madrid {house.mark}")
    assert made.is_default
    assert Calendar.objects.filter(is_default=True).count() == 1
    assert made.current is not None
    assert made.current.created_by_name == "Ada Admin"


def test_whoever_saves_second_is_warned(house: House, admin: Client) -> None:
    mine = form_of(admin, house.calendar) | {"mon": ["10:00-11:00"]}
    admin.post(address(house.calendar), form_of(admin, house.calendar) | {"tue": ["10:00-11:00"]})
    answer = admin.post(address(house.calendar), mine)
    assert "Somebody else has published these hours" in answer.content.decode()
    kept = read_form(answer, "calendar-form")
    assert kept["mon"] == ["10:00-11:00"]
    admin.post(address(house.calendar), kept)
    assert house.calendar.versions.count() == 3


def test_the_built_in_calendar_cannot_be_changed(house: House, admin: Client) -> None:
    built_in = Calendar.objects.get(is_built_in=True)
    assert '<form method="post" id="calendar-form"' not in admin.get(address(built_in)).content.decode()
    form = form_of(admin, house.calendar) | {
        "name": [built_in.name],
        "seen": [str(built_in.current_id)],
        "is_default": ["on"],
    }
    answer = admin.post(address(built_in), form)
    assert "24x7 is built in" in str(answer.context["form"].errors)
    assert built_in.versions.count() == 1
