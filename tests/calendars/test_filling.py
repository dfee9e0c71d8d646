"""Holidays of countries: which days, what they change in a calendar, and when they run out."""

import datetime as dt

import pytest

from calendars.filling import countries, days_of, offer_of
from calendars.models import Calendar
from calendars.operations import (
    BuiltInCalendar,
    CalendarNeverOpens,
    NoSuchCalendar,
    fill_holidays,
    publish_calendar,
)
from calendars.rules import BadHours, Hours, as_mapping, parse
from calendars.rules.filling import Source, candidates, last_filled, runs_out
from core.errors import Refused

WEEK = {"mon": [["09:00", "17:00"]], "fri": [["09:00", "17:00"]]}
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
BAVARIA = Source("DE", "BY", ("public",), "de")


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def calendar(**more: object) -> Calendar:
    hours = parse({"tz": "Europe/Berlin", "week": WEEK, **more})
    return publish_calendar(calendar_id=None, name="Munich", hours=hours, actor_name="Ada", now=NOW).calendar


# --- the library --------------------------------------------------------------------------------------------------


def test_a_part_of_a_country_has_more_days_than_the_whole() -> None:
    whole, part = days_of(Source("DE", language="de"), range(2026, 2027)), days_of(BAVARIA, range(2026, 2027))
    assert whole[day("2026-10-03")] == "Tag der Deutschen Einheit"
    assert part.items() > whole.items()
    assert part[day("2026-01-06")] == "Heilige Drei Könige"


def test_only_the_years_asked_for_come() -> None:
    # New Year's Day of 2028 is observed on the last day of 2027 in the United States.
    found = days_of(Source("US"), range(2026, 2029))
    assert {one.year for one in found} == {2026, 2027, 2028}
    assert day("2027-12-31") not in days_of(Source("US"), range(2028, 2029))


def test_names_come_in_the_language_asked_for() -> None:
    christmas = day("2026-12-25")
    assert days_of(Source("FR", language="fr"), range(2026, 2027))[christmas] == "Noël"
    assert days_of(Source("FR", language="en_US"), range(2026, 2027))[christmas] == "Christmas Day"


def test_every_country_of_the_list_has_kinds_of_days_and_a_language() -> None:
    found = {code: offer_of(code) for code, _ in countries()}
    assert len(found) > 200
    for code, offer in found.items():
        assert offer.categories, code
        assert offer.default_language in (*offer.languages, ""), code
        assert offer.first_year < offer.last_year, code


@pytest.mark.parametrize(
    ("source", "years", "field"),
    [
        (Source("XX"), range(2026, 2027), "country"),
        (Source("DE", "XX"), range(2026, 2027), "subdivision"),
        (Source("DE", categories=("bank",)), range(2026, 2027), "categories"),
        (Source("DE", categories=()), range(2026, 2027), "categories"),
        (Source("DE", language="tlh"), range(2026, 2027), "language"),
        (Source("DE"), range(2026, 9999), "until"),
        (Source("DE"), range(2027, 2027), "until"),
    ],
)
def test_what_a_country_does_not_have_is_refused_by_name(source: Source, years: range, field: str) -> None:
    with pytest.raises(Refused) as refused:
        days_of(source, years)
    assert refused.value.field == field
    assert refused.value.mend


# --- rules --------------------------------------------------------------------------------------------------------


def test_a_candidate_says_whether_it_is_new_and_what_it_changes() -> None:
    hours = parse(
        {
            "tz": "Europe/Berlin",
            "week": WEEK,
            "holidays": ["2026-12-25"],
            "date_overrides": {"2026-12-28": [["10:00", "12:00"]]},
        }
    )
    days = {day(d): d for d in ("2026-12-28", "2026-12-25", "2026-12-26", "2027-01-01")}
    assert [(str(c.day), c.is_new, c.note) for c in candidates(hours, days)] == [
        ("2026-12-25", False, ""),
        ("2026-12-26", True, "closed"),
        ("2026-12-28", True, "other hours"),
        ("2027-01-01", True, ""),
    ]


@pytest.mark.parametrize(
    ("days", "until", "today", "last", "warns"),
    [
        ([], None, "2026-11-25", None, False),
        (["2026-12-25"], None, "2026-11-01", 2026, True),
        (["2026-12-25"], None, "2026-10-31", 2026, False),
        (["2026-12-25"], 2028, "2026-11-25", 2028, False),
        (["2025-01-01"], None, "2026-11-25", 2025, True),
    ],
)
def test_holidays_run_out_sixty_days_before_their_last_year_ends(
    days: list[str], until: int | None, today: str, last: int | None, warns: bool
) -> None:
    found = last_filled([day(text) for text in days], until)
    assert found == last
    assert runs_out(found, day(today)) == warns


def test_names_are_stored_with_the_hours_and_absent_where_there_are_none() -> None:
    given = {"tz": "UTC", "week": WEEK, "holidays": ["2026-12-25"]}
    assert "holiday_names" not in as_mapping(parse(given))
    named = parse({**given, "holiday_names": {"2026-12-25": "Noël"}})
    assert as_mapping(named)["holiday_names"] == {"2026-12-25": "Noël"}
    assert parse(as_mapping(named)) == named


@pytest.mark.parametrize(
    "names", [{"2026-12-26": "Boxing Day"}, {"2026-12-25": ""}, {"2026-12-25": "a\nb"}, {"2026-12-25": 3}, []]
)
def test_a_name_belongs_to_a_holiday_and_is_one_line(names: object) -> None:
    with pytest.raises(BadHours) as bad:
        parse({"tz": "UTC", "week": WEEK, "holidays": ["2026-12-25"], "holiday_names": names})
    assert bad.value.field.startswith("holiday_names")


# --- the operation ------------------------------------------------------------------------------------------------


def fill(calendar: Calendar, days: dict[str, str], until: int = 2028) -> Hours:
    version = fill_holidays(
        calendar_id=calendar.pk,
        days={day(text): name for text, name in days.items()},
        source=BAVARIA,
        until=until,
        actor_name="Ada",
        now=NOW,
    )
    return parse(version.hours)


def test_filled_days_are_a_new_version_and_the_source_is_remembered(db: None) -> None:
    munich = calendar(holidays=["2026-12-25"], holiday_names={"2026-12-25": "Xmas"})
    found = fill(munich, {"2026-12-25": "Erster Weihnachtstag", "2027-01-01": "Neujahr"})
    munich.refresh_from_db()
    assert munich.current is not None
    assert (munich.current.number, munich.holidays_until) == (2, 2028)
    assert munich.holiday_source == {
        "country": "DE",
        "subdivision": "BY",
        "categories": ["public"],
        "language": "de",
    }
    assert dict(found.holiday_names) == {day("2026-12-25"): "Xmas", day("2027-01-01"): "Neujahr"}


def test_filling_twice_makes_one_version(db: None) -> None:
    munich = calendar()
    fill(munich, {"2027-01-01": "Neujahr"})
    fill(munich, {"2027-01-01": "Neujahr"}, until=2027)
    munich.refresh_from_db()
    assert munich.current is not None
    assert (munich.current.number, munich.holidays_until) == (2, 2028)


def test_what_was_there_without_a_name_gets_one(db: None) -> None:
    found = fill(calendar(holidays=["2027-01-01"]), {"2027-01-01": "Neujahr"})
    assert found.holiday_names == ((day("2027-01-01"), "Neujahr"),)


def test_days_that_would_close_it_for_ever_are_refused_and_nothing_is_kept(db: None) -> None:
    munich = calendar()
    always = {str(NOW.date() + dt.timedelta(days=n)): "Closed" for n in range(1, 6000)}
    with pytest.raises(CalendarNeverOpens):
        fill(munich, always)
    munich.refresh_from_db()
    assert munich.holidays_until is None


def test_the_built_in_calendar_and_one_that_is_not_there_are_refused(db: None) -> None:
    with pytest.raises(BuiltInCalendar):
        fill(Calendar.objects.get(is_built_in=True), {"2027-01-01": "Neujahr"})
    with pytest.raises(NoSuchCalendar):
        fill(Calendar(pk=0), {"2027-01-01": "Neujahr"})
