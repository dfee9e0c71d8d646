"""Fill in holidays in the admin: choose a country, look at its days, add them."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from calendars import admin as calendar_admin
from calendars.models import Calendar
from tests.admin.conftest import House, build_house, signed_in
from tests.admin.pages import read_form
from tests.browser_fixtures import pictures

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
BAVARIA = {"of": "DE", "country": "DE", "subdivision": "BY", "categories": "public", "language": "de"}
YEARS = {"since": "2026", "until": "2028"}


def address(calendar: Calendar) -> str:
    return f"/admin/calendars/calendar/{calendar.pk}/holidays/"


def current(calendar: Calendar) -> Any:
    calendar.refresh_from_db()
    assert calendar.current is not None
    return calendar.current


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_admin, "database_now", lambda: NOW)


def test_it_begins_with_the_country_and_three_years(house: House, admin: Client, today: None) -> None:
    page = admin.get(address(house.calendar)).content.decode()
    assert "No holidays are filled in yet." in page
    assert '<option value="DE">Germany</option>' in page

    form = read_form(admin.get(address(house.calendar), {"country": "DE"}), "holiday-choice")

    assert (form["since"], form["until"], form["categories"]) == (["2026"], ["2028"], ["public"])
    assert form["language"] == ["en_US"]


def test_another_country_brings_its_own_parts_and_keeps_none_of_the_ones_before(
    house: House, admin: Client, today: None
) -> None:
    form = read_form(
        admin.get(address(house.calendar), {**BAVARIA, **YEARS, "country": "US"}), "holiday-choice"
    )
    assert (form["country"], form["of"], form["subdivision"]) == (["US"], ["US"], [""])


def test_ticked_days_are_added_with_their_names_as_a_new_version(
    house: House, admin: Client, today: None
) -> None:
    answer = admin.get(address(house.calendar), {**BAVARIA, **YEARS})
    assert "36 days, 36 of them new" in answer.content.decode()
    form = read_form(answer, "holiday-days")
    form["day"].remove("2027-01-06")

    answer = admin.post(address(house.calendar), form, follow=True)

    version = current(house.calendar)
    assert version.number == 2
    assert len(version.hours["holidays"]) == 35
    assert "2027-01-06" not in version.hours["holidays"]
    assert version.hours["holiday_names"]["2028-12-25"] == "Erster Weihnachtstag"
    page = answer.content.decode()
    assert "with the holidays of Germany, Bayern (BY), 2026 to 2028." in page
    assert "35 holidays added, from 2026-01-01 to 2028-12-26" in page
    assert "2028-12-25 Erster Weihnachtstag" in page


def test_the_next_time_it_begins_where_it_ended(house: House, admin: Client, today: None) -> None:
    form = read_form(admin.get(address(house.calendar), {**BAVARIA, **YEARS}), "holiday-days")
    admin.post(address(house.calendar), form)

    answer = admin.get(address(house.calendar))

    assert read_form(answer, "holiday-choice")["subdivision"] == ["BY"]
    assert "36 days, 0 of them new" in answer.content.decode()
    form = read_form(answer, "holiday-days")
    answer = admin.post(address(house.calendar), form, follow=True)
    assert "are there already; no new version was needed." in answer.content.decode()
    assert current(house.calendar).number == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"until": "2040"}, "Take a year from 2026 to 2035."),
        ({"until": "2025"}, "Take a year from 2026 to 2035."),
        ({"since": "1800", "until": "1805"}, "are known from 1991 to 2100"),
        ({"subdivision": "XX"}, "is not one of the available choices"),
        ({"categories": ""}, "is not one of the available choices"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    house: House, admin: Client, today: None, given: dict[str, str], words: str
) -> None:
    page = admin.get(address(house.calendar), {**BAVARIA, **YEARS, **given}).content.decode()
    assert words in page
    assert 'id="holiday-days"' not in page


def test_the_page_of_a_calendar_warns_when_they_run_out(
    house: House, admin: Client, today: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = f"/admin/calendars/calendar/{house.calendar.pk}/change/"
    assert 'id="running-out"' not in admin.get(change).content.decode()
    form = read_form(admin.get(address(house.calendar), {**BAVARIA, **YEARS}), "holiday-days")
    admin.post(address(house.calendar), form)
    assert 'id="running-out"' not in admin.get(change).content.decode()

    monkeypatch.setattr(calendar_admin, "database_now", lambda: NOW.replace(year=2028))

    page = admin.get(change).content.decode()
    assert "Holidays are filled in until the end of 2028 only" in page
    listing = admin.get("/admin/calendars/calendar/").content.decode()
    assert re.search(r"field-holidays_to[^>]*>2028, runs out<", listing)


def test_only_admins_and_only_for_calendars_of_ones_own(house: House, admin: Client) -> None:
    assert signed_in(house.agent).get(address(house.calendar)).status_code in (302, 403)
    assert signed_in(house.agent).post(address(house.calendar), BAVARIA).status_code in (302, 403)
    assert admin.get(address(Calendar.objects.get(is_built_in=True))).status_code == 404
    assert admin.get(address(Calendar(pk=0))).status_code == 404


# --- in the browser -----------------------------------------------------------------------------------------------


def test_by_keyboard_in_both_themes(
    page: Page,
    sign_in: Callable[[Page, Any], None],
    axe: Callable[[Page], None],
    request: Any,
) -> None:
    house = build_house()
    sign_in(page, house.admin)
    folder = request.config.getoption("--screenshots")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"/admin/calendars/calendar/{house.calendar.pk}/change/")
    page.get_by_role("link", name="Fill in holidays…").press("Enter")
    axe(page)
    complaints.clear()
    page.get_by_label("Country").focus()
    page.keyboard.type("Germany")
    expect(page.get_by_label("Part of the country")).to_be_visible()
    page.get_by_label("Part of the country").select_option("BY")
    page.get_by_role("button", name="Show the days").press("Enter")
    expect(page.get_by_role("region", name="The days")).to_contain_text("Epiphany")
    assert complaints == []
    if folder:
        pictures(page, f"{folder}/holidays")
    axe(page)
    page.get_by_role("button", name="Add the ticked days as a new version").press("Enter")
    expect(page.locator(".messagelist")).to_contain_text(
        "Version 2 is in force, with the holidays of Germany"
    )
    if folder:
        pictures(page, f"{folder}/calendar")
