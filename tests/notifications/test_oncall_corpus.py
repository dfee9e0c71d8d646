"""Every case of the corpus of rotations: what GoAlert's and Grafana OnCall's suites expect of theirs."""

import datetime as dt
import json
from string import ascii_uppercase
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from notifications.rules.oncall import Override, Schedule, on_call, override, shifts_of
from notifications.rules.rotation import DAILY, Rotation, Window
from tests.conftest import CORPORA

Case = dict[str, Any]

PATH = CORPORA / "oncall" / "rotations.json"
CASES: list[Case] = json.loads(PATH.read_text())["cases"] if PATH.exists() else []
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def cases(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["kind"] == kind]


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def window_of(rule: Case) -> Window:
    days = DAYS if rule["days"] == "all" else rule["days"]
    # Grafana writes SU, GoAlert sun.
    wanted = frozenset(DAYS.index(next(day for day in DAYS if day.startswith(name.lower()))) for name in days)
    return Window(dt.time.fromisoformat(rule["start"]), dt.time.fromisoformat(rule["end"]), wanted)


def daily_rule(rule: Case, zone: ZoneInfo, person: str = "somebody") -> Rotation[str]:
    """A rule of GoAlert's: one person in a window, for ever."""
    return Rotation(((person,),), DAILY, 1, dt.datetime(2000, 1, 1), zone, (window_of(rule),))  # noqa: DTZ001 wall time


def test_the_corpus_is_there_and_every_case_is_of_a_kind_we_run() -> None:
    if not CASES:
        pytest.skip(f"NOT RUN: the corpus of rotations is not at {PATH}; set BELAY_CORPORA to its folder")
    assert len(CASES) >= 41
    assert {case["kind"] for case in CASES} == {
        "shift_end",
        "rule_active",
        "shifts",
        "override_map",
        "daily_roster",
    }


@pytest.mark.parametrize("case", cases("shift_end"))
def test_a_shift_ends_when_the_corpus_says(case: Case) -> None:
    # Given
    zone = ZoneInfo(case["tz"])
    at = instant(case.get("at") or case["start"])
    start = (
        instant(case["rotation_start_wall"])
        if "rotation_start_wall" in case
        else at.astimezone(zone).replace(tzinfo=None)
    )
    rotation = Rotation((("a",), ("b",)), case["type"], case["length"], start, zone)

    # When
    begin, end = rotation.shift_at(at)

    # Then
    assert end == instant(case["end"])
    assert begin <= at
    if "hours" in case:
        assert begin == at
        assert end - begin == dt.timedelta(hours=case["hours"])


@pytest.mark.parametrize("case", cases("rule_active"))
def test_a_window_is_open_when_the_corpus_says(case: Case) -> None:
    # Given
    rotation = daily_rule(case["rule"], ZoneInfo(case["tz"]))

    # When
    found = [
        [
            text,
            any(rotation.spans(instant(text), instant(text) + dt.timedelta(microseconds=1))),
        ]
        for text, _ in case["checks"]
    ]

    # Then
    assert found == case["checks"]


@pytest.mark.parametrize("case", cases("shifts"))
def test_a_schedule_has_the_shifts_that_the_corpus_says(case: Case) -> None:
    # Given
    zone = ZoneInfo(case["tz"])
    overrides = [
        Override(instant(one["start"]), instant(one["end"]), one.get("add"), one.get("remove"))
        for one in case.get("overrides", ())
    ]
    for one in case.get("temporary_schedules", ()):
        overrides.append(Override(instant(one["start"]), instant(one["end"]), instead=True))
        overrides += [Override(instant(begin), instant(end), who) for who, begin, end in one["shifts"]]
    rotations = tuple(daily_rule(rule, zone, rule["user"]) for rule in case["rules"])
    begin, end = map(instant, case["window"])

    # When
    spans = on_call(Schedule(rotations, tuple(overrides)), begin, end)

    # Then
    expected = sorted((who, instant(start), instant(stop)) for who, start, stop in case["expect"])
    assert sorted(shifts_of(spans)) == expected


@pytest.mark.parametrize("case", cases("override_map"))
def test_overrides_leave_the_people_that_the_corpus_says(case: Case) -> None:
    # Given
    begin, end = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)
    overrides = [Override(begin, end, one.get("add"), one.get("remove")) for one in case["overrides"]]

    # When
    people = override(case["users"], overrides)

    # Then
    assert sorted(people) == sorted(case["expect"])


@pytest.mark.parametrize("case", cases("daily_roster"))
def test_a_roster_by_days_names_whom_the_corpus_says(case: Case) -> None:
    # Given
    zone = ZoneInfo(case.get("tz", "UTC"))
    groups = tuple(
        (letter,) * bool(size) for letter, size in zip(ascii_uppercase, case["users_per_group"], strict=False)
    )
    whole = {"days": case["days"], "start": "00:00", "end": "00:00"}
    first = dt.date.fromisoformat(case["shift_start"])
    rotation = Rotation(
        groups,
        case["frequency"],
        case["interval"],
        dt.datetime.combine(first, dt.time()),
        zone,
        (window_of(whole),),
        aligned=True,
    )
    begin = dt.datetime.combine(first, dt.time(), zone)
    end = begin + dt.timedelta(days=case["total_days"])

    # When
    found = {}
    for opens, closes, group in rotation.spans(begin, end):
        day = opens.astimezone(zone)
        while day < closes:
            found[day.date().isoformat()] = "".join(group)
            day += dt.timedelta(days=1)

    # Then
    assert found == case["expect"]
