"""Opening hours: boundaries, daylight saving, overnight windows, and what is refused and why."""

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from calendars.rules import (
    ALWAYS,
    BadHours,
    CountedWindow,
    Hours,
    NaiveDatetime,
    NeverOpen,
    as_mapping,
    due_at,
    due_business_days,
    elapsed,
    explain,
    is_open,
    next_opening,
    open_intervals,
    parse,
)

WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
NINE_TO_FIVE = parse({"tz": "UTC", "week": {day: [["09:00", "17:00"]] for day in WORKDAYS}})
WITH_LUNCH = parse({"tz": "UTC", "week": {day: [["09:00", "12:00"], ["13:00", "17:00"]] for day in WORKDAYS}})


def at(text: str) -> dt.datetime:
    """Read an instant, in UTC unless it says otherwise."""
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def every_day(tz: str, *windows: tuple[str, str], **more: Any) -> Hours:
    week = {day: [list(window) for window in windows] for day in (*WORKDAYS, "sat", "sun")}
    return parse({"tz": tz, "week": week, **more})


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


# 2026-03-02 is a Monday.
@pytest.mark.parametrize(
    ("start", "budget", "due"),
    [
        pytest.param("2026-03-02T10:00", hours(1), "2026-03-02T11:00", id="inside one window"),
        pytest.param(
            "2026-03-02T11:00", hours(1), "2026-03-02T12:00", id="ends exactly at closing: due at closing"
        ),
        pytest.param("2026-03-02T11:00", hours(2), "2026-03-02T14:00", id="jumps the lunch break"),
        pytest.param("2026-03-02T12:00", hours(1), "2026-03-02T14:00", id="starts at closing"),
        pytest.param("2026-03-02T12:30", hours(0), "2026-03-02T13:00", id="zero while closed: next opening"),
        pytest.param("2026-03-02T12:00", hours(0), "2026-03-02T13:00", id="zero at closing: next opening"),
        pytest.param("2026-03-02T13:00", hours(0), "2026-03-02T13:00", id="zero at opening: at once"),
        pytest.param("2026-03-02T10:00", hours(0), "2026-03-02T10:00", id="zero while open: at once"),
        pytest.param("2026-03-06T16:00", hours(1), "2026-03-06T17:00", id="Friday closing, not Monday"),
        pytest.param("2026-03-06T16:00", hours(1.5), "2026-03-09T09:30", id="over the weekend"),
        pytest.param("2026-03-07T10:00", hours(7), "2026-03-09T17:00", id="a whole day from a Saturday"),
        pytest.param("2026-03-02T00:00", hours(35), "2026-03-06T17:00", id="a whole week"),
        pytest.param(
            "2026-03-02T09:00+02:00", hours(1), "2026-03-02T10:00", id="any zone comes in, UTC goes out"
        ),
    ],
)
def test_a_budget_counts_open_time_only(start: str, budget: dt.timedelta, due: str) -> None:
    found = due_at(WITH_LUNCH, at(start), budget)

    assert found == at(due)
    assert found.tzinfo is dt.UTC


@pytest.mark.parametrize(
    ("budget", "pauses", "due"),
    [
        pytest.param(hours(2), [("10:00", "10:30")], "11:30", id="one pause"),
        pytest.param(
            hours(2), [("10:30", "11:00"), ("10:00", "10:45")], "12:00", id="overlapping, out of order"
        ),
        pytest.param(
            hours(1), [("10:00", "11:00")], "10:00", id="ends exactly as the pause starts: due then"
        ),
        pytest.param(hours(0), [("08:00", "10:00")], "10:00", id="zero while paused: as the pause ends"),
        pytest.param(hours(0), [("09:00", "10:00")], "10:00", id="paused from the start"),
        pytest.param(hours(1), [("09:30", "09:30"), ("10:00", "09:00")], "10:00", id="empty pauses are none"),
        pytest.param(
            hours(1), [("07:00", "08:00"), ("18:00", "19:00")], "10:00", id="pauses while closed cost nothing"
        ),
    ],
)
def test_pauses_stop_the_count(budget: dt.timedelta, pauses: list[tuple[str, str]], due: str) -> None:
    stretches = [(at(f"2026-03-02T{since}"), at(f"2026-03-02T{until}")) for since, until in pauses]

    assert due_at(NINE_TO_FIVE, at("2026-03-02T09:00"), budget, stretches) == at(f"2026-03-02T{due}")


@pytest.mark.parametrize(
    ("tz", "window", "day", "opens", "closes"),
    [
        # Clocks go forward over 02:00 to 03:00 at 01:00 UTC, and back from 03:00 to 02:00 at 01:00 UTC.
        pytest.param(
            "Europe/Berlin", ("00:00", "24:00"), "2026-03-29", "03-28T23:00", "03-29T22:00", id="23 hours"
        ),
        pytest.param(
            "Europe/Berlin", ("00:00", "24:00"), "2026-10-25", "10-24T22:00", "10-25T23:00", id="25 hours"
        ),
        pytest.param(
            "Europe/Berlin", ("02:30", "04:00"), "2026-03-29", "03-29T01:00", "03-29T02:00", id="opens in gap"
        ),
        pytest.param(
            "Europe/Berlin",
            ("01:00", "02:30"),
            "2026-03-29",
            "03-29T00:00",
            "03-29T01:00",
            id="closes in gap",
        ),
        pytest.param("Europe/Berlin", ("02:10", "02:50"), "2026-03-29", "", "", id="swallowed by the gap"),
        pytest.param(
            "Europe/Berlin", ("02:30", "04:00"), "2026-10-25", "10-25T00:30", "10-25T03:00", id="first 02:30"
        ),
        pytest.param(
            "Europe/Berlin",
            ("01:00", "02:30"),
            "2026-10-25",
            "10-24T23:00",
            "10-25T00:30",
            id="closes at first",
        ),
        pytest.param(
            "Europe/Berlin", ("02:15", "02:45"), "2026-10-25", "10-25T00:15", "10-25T00:45", id="once only"
        ),
        pytest.param(
            "America/New_York", ("01:00", "04:00"), "2026-03-08", "03-08T06:00", "03-08T08:00", id="NY spring"
        ),
        pytest.param(
            "America/New_York", ("01:30", "02:00"), "2026-11-01", "11-01T05:30", "11-01T07:00", id="NY autumn"
        ),
        # Half an hour: forward over 02:00 to 02:30 at 15:30 UTC the day before, back from 02:00 to 01:30.
        pytest.param(
            "Australia/Lord_Howe", ("02:15", "03:00"), "2026-10-04", "10-03T15:30", "10-03T16:00", id="LH gap"
        ),
        pytest.param(
            "Australia/Lord_Howe",
            ("01:00", "03:00"),
            "2026-04-05",
            "04-04T14:00",
            "04-04T16:30",
            id="LH fold",
        ),
        # 2011-12-30 was left out: the date line moved.
        pytest.param(
            "Pacific/Apia", ("09:00", "17:00"), "2011-12-29", "12-29T19:00", "12-30T03:00", id="Apia before"
        ),
        pytest.param("Pacific/Apia", ("09:00", "17:00"), "2011-12-30", "", "", id="Apia: no such day"),
        pytest.param(
            "Pacific/Apia", ("09:00", "17:00"), "2011-12-31", "12-30T19:00", "12-31T03:00", id="Apia after"
        ),
        # Forward at midnight: 2017-10-15 starts at 01:00; back at midnight: 2018-02-17 has 23:00 twice.
        pytest.param(
            "America/Sao_Paulo",
            ("00:00", "02:00"),
            "2017-10-15",
            "10-15T03:00",
            "10-15T04:00",
            id="no midnight",
        ),
        pytest.param(
            "America/Sao_Paulo",
            ("22:00", "24:00"),
            "2017-10-14",
            "10-15T01:00",
            "10-15T03:00",
            id="closes there",
        ),
        pytest.param(
            "America/Sao_Paulo",
            ("22:00", "24:00"),
            "2018-02-17",
            "02-18T00:00",
            "02-18T03:00",
            id="23:00 twice",
        ),
        pytest.param(
            "Asia/Beirut", ("00:00", "03:00"), "2022-03-27", "03-26T22:00", "03-27T00:00", id="Beirut"
        ),
    ],
)
def test_wall_times_that_do_not_exist_or_exist_twice(
    tz: str, window: tuple[str, str], day: str, opens: str, closes: str
) -> None:
    on_that_day = parse({"tz": tz, "date_overrides": {day: [list(window)]}})
    midday = at(f"{day}T12:00")

    found = list(open_intervals(on_that_day, midday - dt.timedelta(days=3), midday + dt.timedelta(days=3)))

    year = day[:4]
    assert found == ([(at(f"{year}-{opens}"), at(f"{year}-{closes}"))] if opens else [])


@pytest.mark.parametrize(
    ("day", "length"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)],
    ids=["spring", "autumn", "plain"],
)
def test_a_round_the_clock_week_counts_physical_hours(day: str, length: int) -> None:
    berlin = every_day("Europe/Berlin", ("00:00", "24:00"))
    midnight = at(f"{day}T00:00+0{2 if length == 25 or day[5:7] == '06' else 1}:00")

    assert due_at(berlin, midnight, hours(length)).astimezone(berlin.zone).strftime("%H:%M") == "00:00"
    assert due_at(berlin, midnight, hours(24)) == due_at(ALWAYS, midnight, hours(24)) == midnight + hours(24)


def test_windows_that_meet_are_one_interval_over_midnight_and_over_months() -> None:
    start, end = at("2026-01-01T00:30"), at("2026-12-01T00:00")

    assert list(open_intervals(every_day("Europe/Berlin", ("00:00", "24:00")), start, end)) == [(start, end)]
    assert list(open_intervals(ALWAYS, start, end)) == [(start, end)]
    assert list(open_intervals(ALWAYS, end, start)) == []
    touching = every_day("UTC", ("09:00", "12:00"), ("12:00", "17:00"))
    assert list(open_intervals(touching, at("2026-03-02"), at("2026-03-03"))) == [
        (at("2026-03-02T09:00"), at("2026-03-02T17:00"))
    ]


def test_the_opening_instant_is_open_and_the_closing_instant_is_not() -> None:
    moment = dt.timedelta(microseconds=1)
    opening, closing = at("2026-03-02T09:00"), at("2026-03-02T17:00")

    assert [
        is_open(NINE_TO_FIVE, when) for when in (opening - moment, opening, closing - moment, closing)
    ] == [
        False,
        True,
        True,
        False,
    ]
    assert next_opening(NINE_TO_FIVE, closing - moment) == closing - moment
    assert next_opening(NINE_TO_FIVE, closing) == at("2026-03-03T09:00")


def test_an_overnight_window_is_split_at_midnight() -> None:
    night_shift = parse({"tz": "UTC", "week": {"mon": [["22:00", "06:00"]], "sun": [["20:00", "00:00"]]}})

    assert as_mapping(night_shift)["week"]["mon"] == [["22:00", "24:00"]]
    assert as_mapping(night_shift)["week"]["tue"] == [["00:00", "06:00"]]
    assert as_mapping(night_shift)["week"]["sun"] == [["20:00", "24:00"]]
    assert due_at(night_shift, at("2026-03-02T23:00"), hours(3)) == at("2026-03-03T02:00")


def test_an_overnight_break_cuts_into_the_next_date() -> None:
    found = every_day("UTC", ("00:00", "24:00"), breaks={"2026-03-02": [["22:00", "06:00"]]})

    assert elapsed(found, at("2026-03-02T00:00"), at("2026-03-04T00:00")) == hours(40)
    assert not is_open(found, at("2026-03-03T05:59"))


def test_a_date_override_outranks_a_holiday_and_a_break_cuts_both() -> None:
    found = every_day(
        "UTC",
        ("09:00", "17:00"),
        holidays=["2026-12-24", "2026-12-25"],
        date_overrides={"2026-12-24": [["09:00", "13:00"]], "2026-12-26": []},
        breaks={"2026-12-24": [["10:00", "11:00"]]},
    )

    assert list(open_intervals(found, at("2026-12-24"), at("2026-12-28"))) == [
        (at("2026-12-24T09:00"), at("2026-12-24T10:00")),
        (at("2026-12-24T11:00"), at("2026-12-24T13:00")),
        (at("2026-12-27T09:00"), at("2026-12-27T17:00")),
    ]


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        pytest.param("2026-03-02T10:00", 0, "2026-03-02T10:00", id="zero while open"),
        pytest.param("2026-03-02T18:00", 0, "2026-03-03T09:00", id="zero while closed"),
        pytest.param("2026-03-02T10:00", 3, "2026-03-05T10:00", id="three days"),
        pytest.param("2026-03-05T10:00", 3, "2026-03-10T10:00", id="over the weekend"),
        pytest.param("2026-03-02T12:30", 1, "2026-03-03T13:00", id="in the lunch break: as it ends"),
        pytest.param(
            "2026-03-02T17:00", 1, "2026-03-04T09:00", id="from closing on: the next day counts as the first"
        ),
        pytest.param("2026-03-02T17:01", 1, "2026-03-04T09:00", id="after closing"),
        pytest.param("2026-03-02T06:00", 1, "2026-03-03T09:00", id="before opening"),
        pytest.param(
            "2026-03-07T10:00", 1, "2026-03-10T09:00", id="from a Saturday: as from Monday's opening"
        ),
        pytest.param(
            "2026-03-08T22:00", 1, "2026-03-10T09:00", id="from a Sunday: never sooner than from Saturday"
        ),
    ],
)
def test_business_days_keep_the_time_of_day(start: str, days: int, due: str) -> None:
    assert due_business_days(WITH_LUNCH, at(start), days) == at(due)


def test_a_business_day_that_ends_exactly_at_closing_is_due_then() -> None:
    shorter_tuesday = parse({"tz": "UTC", "week": {"mon": [["09:00", "17:00"]], "tue": [["09:00", "16:00"]]}})

    assert due_business_days(shorter_tuesday, at("2026-03-02T16:00"), 1) == at("2026-03-03T16:00")
    assert due_business_days(shorter_tuesday, at("2026-03-02T16:01"), 1) == at("2026-03-09T09:00")


def test_business_days_skip_holidays_and_days_that_never_were() -> None:
    with_holiday = every_day("UTC", ("09:00", "17:00"), holidays=["2026-03-03"])
    apia = every_day("Pacific/Apia", ("09:00", "17:00"))
    apia_always = parse({"tz": "Pacific/Apia", "always": True})

    assert due_business_days(with_holiday, at("2026-03-02T10:00"), 1) == at("2026-03-04T10:00")
    # The day after 29 December 2011 was the 31st.
    start, next_day = at("2011-12-29T10:00-10:00"), at("2011-12-31T10:00+14:00")
    assert due_business_days(apia, start, 1) == due_business_days(apia_always, start, 1) == next_day
    # The wall time stays over a change of offset, so that the physical distance does not.
    berlin = parse({"tz": "Europe/Berlin", "always": True})
    assert due_business_days(berlin, at("2026-03-28T12:00+01:00"), 1) == at("2026-03-29T12:00+02:00")
    assert due_business_days(WITH_LUNCH, at("2026-03-02T10:00"), 2600) == at("2036-02-18T10:00")


def test_explain_lists_windows_and_what_each_gave() -> None:
    start = at("2026-03-02T11:00")
    pauses = [(at("2026-03-02T11:30"), at("2026-03-02T13:30"))]
    due = due_at(WITH_LUNCH, start, hours(2), pauses)

    assert explain(WITH_LUNCH, start, due, pauses) == (
        CountedWindow(start, at("2026-03-02T12:00"), taken=hours(0.5), paused=hours(0.5)),
        CountedWindow(at("2026-03-02T13:00"), at("2026-03-02T15:00"), taken=hours(1.5), paused=hours(0.5)),
    )


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"tz": "UTC"}, id="no windows"),
        pytest.param(
            {"tz": "UTC", "date_overrides": {"2020-01-01": [["09:00", "17:00"]]}}, id="only in the past"
        ),
        pytest.param(
            {"tz": "Europe/Berlin", "date_overrides": {"2026-03-29": [["02:10", "02:50"]]}},
            id="only in a gap",
        ),
    ],
)
def test_a_calendar_that_never_opens_says_so_at_once(mapping: dict[str, Any]) -> None:
    never = parse(mapping)
    began = time.perf_counter()

    questions: list[Callable[[], dt.datetime]] = [
        lambda: next_opening(never, at("2026-01-01")),
        lambda: due_at(never, at("2026-01-01"), hours(1)),
        lambda: due_business_days(never, at("2026-01-01"), 1),
    ]
    for ask in questions:
        with pytest.raises(NeverOpen, match="2026-01-01"):
            ask()

    assert time.perf_counter() - began < 1
    assert not is_open(never, at("2026-01-01"))
    assert elapsed(never, at("2026-01-01"), at("2027-01-01")) == hours(0)


def test_a_deadline_no_one_will_see_is_refused() -> None:
    for calendar in (NINE_TO_FIVE, ALWAYS):
        with pytest.raises(NeverOpen, match="a hundred years"):
            due_at(calendar, at("2026-01-01"), dt.timedelta(days=40_000))


def test_a_budget_of_many_years_is_quick() -> None:
    fresh = parse(as_mapping(WITH_LUNCH))
    start = at("2026-03-02T09:00")
    began = time.perf_counter()

    due = due_at(fresh, start, 20 * 260 * hours(7))

    assert time.perf_counter() - began < 1
    assert due == at("2046-02-02T17:00")  # 20 * 260 weekdays on, at the closing of the last
    assert elapsed(fresh, start, due) == 20 * 260 * hours(7)


@pytest.mark.parametrize(
    "ask",
    [
        lambda naive: due_at(NINE_TO_FIVE, naive, hours(1)),
        lambda naive: due_at(NINE_TO_FIVE, at("2026-03-02"), hours(1), [(at("2026-03-02"), naive)]),
        lambda naive: elapsed(NINE_TO_FIVE, naive, at("2026-03-02")),
        lambda naive: open_intervals(NINE_TO_FIVE, naive, at("2026-03-02")),
        lambda naive: is_open(NINE_TO_FIVE, naive),
        lambda naive: next_opening(ALWAYS, naive),
        lambda naive: due_business_days(NINE_TO_FIVE, naive, 1),
        lambda naive: explain(NINE_TO_FIVE, naive, at("2026-03-02")),
    ],
)
def test_a_datetime_without_a_zone_is_refused(ask: Any) -> None:
    with pytest.raises(NaiveDatetime, match="2026-03-02T10:00:00 has no time zone"):
        ask(dt.datetime(2026, 3, 2, 10))  # noqa: DTZ001 - naive on purpose


def test_negative_amounts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        due_at(NINE_TO_FIVE, at("2026-03-02"), hours(-1))
    with pytest.raises(ValueError, match="negative"):
        due_business_days(NINE_TO_FIVE, at("2026-03-02"), -1)


@pytest.mark.parametrize(
    ("mapping", "field", "value", "mend"),
    [
        ([], "hours", [], "object"),
        ({"tz": "UTC", "holiday": []}, "hours", "holiday", "holidays"),
        ({}, "tz", None, "Europe/Berlin"),
        ({"tz": "Europe/Berln"}, "tz", "Europe/Berln", "is it Europe/Berlin?"),
        ({"tz": "Europe"}, "tz", "Europe", "tz database"),
        ({"tz": "../etc/passwd"}, "tz", "../etc/passwd", "tz database"),
        ({"tz": "UTC", "week": []}, "week", [], "object"),
        ({"tz": "UTC", "week": {"monday": []}}, "week", "monday", "mon, tue"),
        ({"tz": "UTC", "week": {"mon": "09:00-17:00"}}, "week.mon", "09:00-17:00", "list of windows"),
        ({"tz": "UTC", "week": {"mon": [["09:00"]]}}, "week.mon", ["09:00"], "pair"),
        ({"tz": "UTC", "week": {"mon": [["9 am", "17:00"]]}}, "week.mon", "9 am", "00:00 to 23:59"),
        ({"tz": "UTC", "week": {"mon": [["24:00", "24:00"]]}}, "week.mon", "24:00", "00:00 to 23:59"),
        ({"tz": "UTC", "week": {"mon": [["09:00", "24:30"]]}}, "week.mon", "24:30", "00:00 to 24:00"),
        ({"tz": "UTC", "week": {"mon": [["09:00", None]]}}, "week.mon", None, "00:00 to 24:00"),
        ({"tz": "UTC", "week": {"mon": [["09:00", "09:00"]]}}, "week.mon", ["09:00", "09:00"], "whole day"),
        (
            {"tz": "UTC", "week": {"mon": [["00:00", "00:00"]]}},
            "week.mon",
            ["00:00", "00:00"],
            "00:00 to 24:00",
        ),
        (
            {"tz": "UTC", "week": {"mon": [["12:00", "17:00"], ["09:00", "13:00"]]}},
            "week.mon",
            [["09:00", "13:00"], ["12:00", "17:00"]],
            "overlap",
        ),
        (
            {"tz": "UTC", "week": {"mon": [["22:00", "06:00"]], "tue": [["05:00", "09:00"]]}},
            "week.tue",
            [["00:00", "06:00"], ["05:00", "09:00"]],
            "overnight",
        ),
        ({"tz": "UTC", "holidays": "2026-12-25"}, "holidays", "2026-12-25", "list"),
        ({"tz": "UTC", "holidays": ["2026-02-30"]}, "holidays", "2026-02-30", "YYYY-MM-DD"),
        ({"tz": "UTC", "holidays": ["20261225"]}, "holidays", "20261225", "YYYY-MM-DD"),
        ({"tz": "UTC", "date_overrides": {"24.12.": []}}, "date_overrides", "24.12.", "YYYY-MM-DD"),
        (
            {"tz": "UTC", "date_overrides": {"2026-12-24": [["22:00", "06:00"]]}},
            "date_overrides.2026-12-24",
            ["22:00", "06:00"],
            "override of its own",
        ),
        (
            {"tz": "UTC", "breaks": {"2026-12-24": [["x", "06:00"]]}},
            "breaks.2026-12-24",
            "x",
            "00:00 to 23:59",
        ),
        ({"tz": "UTC", "always": "yes"}, "always", "yes", "true or false"),
        (
            {"tz": "UTC", "always": True, "holidays": ["2026-12-25"]},
            "holidays",
            ["2026-12-25"],
            "turn `always`",
        ),
    ],
)
def test_bad_hours_name_the_field_the_value_and_the_mend(
    mapping: Any, field: str, value: Any, mend: str
) -> None:
    with pytest.raises(BadHours) as refused:
        parse(mapping)

    assert (refused.value.field, refused.value.value) == (field, value)
    assert mend in refused.value.mend
    assert str(refused.value).startswith(f"{field}: ")


def test_hours_built_by_hand_are_checked_too() -> None:
    backwards = ((dt.time(17), dt.time(9)),)
    with pytest.raises(BadHours, match="end after the start"):
        Hours(tz="UTC", week=(backwards, (), (), (), (), (), ()))
    with pytest.raises(BadHours, match="seven days"):
        Hours(tz="UTC", week=((),) * 6)
    with pytest.raises(BadHours, match="in order"):
        Hours(tz="UTC", breaks=((dt.date(2026, 1, 2), ()), (dt.date(2026, 1, 1), ())))


def test_equal_hours_are_equal_json_whatever_the_order_they_came_in() -> None:
    one = parse(
        {
            "tz": "UTC",
            "week": {"mon": [["13:00", "17:00"], ["9:00", "12:00:30"]]},
            "holidays": ["2026-12-25"] * 2,
        }
    )
    other = parse(
        {
            "tz": "UTC",
            "holidays": ["2026-12-25"],
            "week": {"tue": [], "mon": [["09:00", "12:00:30"], ["13:00", "17:00"]]},
        }
    )

    assert one == other
    assert hash(one) == hash(other)
    assert json.dumps(as_mapping(one)) == json.dumps(as_mapping(other))
    assert as_mapping(one)["week"]["mon"] == [["09:00", "12:00:30"], ["13:00", "17:00"]]
    assert parse(as_mapping(ALWAYS)) == ALWAYS
