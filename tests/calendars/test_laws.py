"""Laws of business time, and agreement with the slow reference, on whatever Hypothesis thinks of."""

import datetime as dt
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from calendars.rules import (
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
from tests.calendars.reference import MINUTE, WEEKDAYS, open_minutes

# The first of many examples lays out the calendar, on a machine that may be busy.
unhurried = settings(deadline=None)

ZERO = dt.timedelta()
DAY = dt.timedelta(days=1)

# Each zone with a date near which its clocks do something worth a test.
TURNS = (
    ("Europe/Berlin", dt.date(2026, 3, 29)),
    ("Europe/Berlin", dt.date(2026, 10, 25)),
    ("America/New_York", dt.date(2026, 3, 8)),
    ("America/New_York", dt.date(2026, 11, 1)),
    ("Australia/Lord_Howe", dt.date(2026, 4, 5)),
    ("Australia/Lord_Howe", dt.date(2026, 10, 4)),
    ("America/Sao_Paulo", dt.date(2017, 10, 15)),
    ("America/Sao_Paulo", dt.date(2018, 2, 18)),
    ("Asia/Beirut", dt.date(2022, 3, 27)),
    ("America/St_Johns", dt.date(2006, 10, 29)),  # back from 00:01 to 23:01 of the day before
    ("Pacific/Apia", dt.date(2011, 12, 30)),
    ("UTC", dt.date(2026, 7, 1)),
)


@st.composite
def windows(draw: st.DrawFn, least: int = 0) -> list[list[str]]:
    edges = draw(
        st.lists(
            st.integers(0, 96).map(lambda quarter: quarter * 15), min_size=2 * least, max_size=6, unique=True
        )
    )
    edges = sorted(edges[: len(edges) // 2 * 2])
    texts = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in edges]
    return [list(pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


@st.composite
def calendars(draw: st.DrawFn) -> tuple[dict[str, Any], dt.datetime]:
    """Draw the JSON form of some hours, and midnight of a date near a turn of their zone's clocks."""
    tz, turn = draw(st.sampled_from(TURNS))
    near = st.integers(-4, 4).map(lambda days: (turn + days * DAY).isoformat())
    week = {day: draw(windows()) for day in WEEKDAYS}
    week[draw(st.sampled_from(WEEKDAYS))] = draw(windows(least=1))
    mapping = {
        "tz": tz,
        "week": week,
        "holidays": draw(st.lists(near, max_size=2)),
        "date_overrides": draw(st.dictionaries(near, windows(), max_size=2)),
        "breaks": draw(st.dictionaries(near, windows(), max_size=2)),
    }
    return mapping, dt.datetime.combine(turn, dt.time(), dt.UTC)


offsets = st.timedeltas(-3 * DAY, 3 * DAY)
budgets = st.one_of(
    st.just(ZERO), st.timedeltas(ZERO, 10 * dt.timedelta(hours=1)), st.timedeltas(ZERO, 60 * DAY)
)
stretches = st.lists(st.tuples(offsets, offsets), max_size=3)


def placed(
    turn: dt.datetime, pairs: list[tuple[dt.timedelta, dt.timedelta]]
) -> list[tuple[dt.datetime, dt.datetime]]:
    return [(turn + min(pair), turn + max(pair)) for pair in pairs]


@unhurried
@given(calendars(), offsets, budgets, stretches)
def test_the_time_gone_by_when_due_is_the_budget(
    calendar: tuple[dict[str, Any], dt.datetime],
    offset: dt.timedelta,
    budget: dt.timedelta,
    pairs: list[tuple[dt.timedelta, dt.timedelta]],
) -> None:
    mapping, turn = calendar
    hours, start, pauses = parse(mapping), turn + offset, placed(turn, pairs)

    due = due_at(hours, start, budget, pauses)

    assert due >= start
    assert elapsed(hours, start, due, pauses) == budget
    # No earlier instant will do, unless the budget is zero: then the first open one is meant.
    if budget:
        just_before = due - dt.timedelta(microseconds=1)
        assert elapsed(hours, start, just_before, pauses) < budget
    else:
        assert is_open(hours, due)
    rows = explain(hours, start, due, pauses)
    assert sum((row.taken for row in rows), ZERO) == budget
    assert all(row.closes - row.opens == row.taken + row.paused for row in rows)


@unhurried
@given(calendars(), offsets, budgets, budgets, stretches)
def test_due_grows_with_budget_and_with_start(
    calendar: tuple[dict[str, Any], dt.datetime],
    offset: dt.timedelta,
    budget: dt.timedelta,
    more: dt.timedelta,
    pairs: list[tuple[dt.timedelta, dt.timedelta]],
) -> None:
    mapping, turn = calendar
    hours, start, pauses = parse(mapping), turn + offset, placed(turn, pairs)

    due = due_at(hours, start, budget, pauses)

    # Zero is "the next opening" and a little is "by closing": a start at closing time is where they part.
    if budget or not more:
        assert due <= due_at(hours, start, budget + more, pauses)
    assert due <= due_at(hours, start + more, budget, pauses)


@unhurried
@given(calendars(), offsets, budgets, budgets, stretches)
def test_a_budget_may_be_spent_in_two_parts(
    calendar: tuple[dict[str, Any], dt.datetime],
    offset: dt.timedelta,
    first: dt.timedelta,
    second: dt.timedelta,
    pairs: list[tuple[dt.timedelta, dt.timedelta]],
) -> None:
    mapping, turn = calendar
    hours, start, pauses = parse(mapping), turn + offset, placed(turn, pairs)

    halfway = due_at(hours, start, first, pauses)

    if second:
        assert due_at(hours, halfway, second, pauses) == due_at(hours, start, first + second, pauses)
    else:
        # By convention a budget ends at closing, but zero from there on is the next opening.
        assert due_at(hours, halfway, second, pauses) >= halfway


@unhurried
@given(calendars(), offsets, budgets, st.fractions(0, 1), st.timedeltas(ZERO, 20 * DAY))
def test_waiting_and_resuming_keeps_the_time_used(
    calendar: tuple[dict[str, Any], dt.datetime],
    offset: dt.timedelta,
    budget: dt.timedelta,
    share: Any,
    wait: dt.timedelta,
) -> None:
    mapping, turn = calendar
    hours, start = parse(mapping), turn + offset
    due = due_at(hours, start, budget)
    stopped = start + (due - start) * float(share)
    left = budget - elapsed(hours, start, stopped)
    resumed = stopped + wait

    if left and wait:
        assert due_at(hours, resumed, left) == due_at(hours, start, budget, [(stopped, resumed)])


@unhurried
@given(calendars(), offsets, st.timedeltas(ZERO, 300 * DAY))
def test_open_intervals_are_sorted_disjoint_and_clipped(
    calendar: tuple[dict[str, Any], dt.datetime], offset: dt.timedelta, length: dt.timedelta
) -> None:
    mapping, turn = calendar
    hours, start, end = parse(mapping), turn + offset, turn + offset + length

    found = list(open_intervals(hours, start, end))

    edges = [edge for interval in found for edge in interval]
    assert edges == sorted(set(edges))
    assert not edges or (start <= edges[0] and edges[-1] <= end)
    assert sum((closes - opens for opens, closes in found), ZERO) == elapsed(hours, start, end)
    assert all(
        is_open(hours, opens) and (closes == end or not is_open(hours, closes)) for opens, closes in found
    )


@unhurried
@given(calendars(), offsets, st.integers(0, 30))
def test_business_days_add_up(
    calendar: tuple[dict[str, Any], dt.datetime], offset: dt.timedelta, days: int
) -> None:
    mapping, turn = calendar
    hours, start = parse(mapping), turn + offset

    due = due_business_days(hours, start, days)

    assert due >= next_opening(hours, start) or elapsed(hours, due - MINUTE, due) > ZERO
    assert due <= due_business_days(hours, start, days + 1)
    assert due <= due_business_days(hours, start + dt.timedelta(hours=5), days)


@unhurried
@given(calendars())
def test_the_stored_form_reads_back_as_the_same_hours(calendar: tuple[dict[str, Any], dt.datetime]) -> None:
    hours = parse(calendar[0])

    stored = json.loads(json.dumps(as_mapping(hours)))

    assert parse(stored) == hours
    assert as_mapping(parse(stored)) == as_mapping(hours)


whole_minutes = st.integers(-2 * 1440, 2 * 1440)


@settings(max_examples=60, deadline=None)
@given(
    calendars(),
    whole_minutes,
    st.integers(0, 1500),
    st.lists(st.tuples(whole_minutes, whole_minutes), max_size=2),
)
def test_it_agrees_with_counting_minutes(
    calendar: tuple[dict[str, Any], dt.datetime], offset: int, budget: int, pairs: list[tuple[int, int]]
) -> None:
    mapping, turn = calendar
    hours, start, end = parse(mapping), turn + offset * MINUTE, turn + offset * MINUTE + 4 * DAY
    pauses = [(turn + min(pair) * MINUTE, turn + max(pair) * MINUTE) for pair in pairs]

    slow = [(at, is_open_then) for at, is_open_then in open_minutes(mapping, start, end)]
    counted = [
        at
        for at, is_open_then in slow
        if is_open_then and not any(since <= at < until for since, until in pauses)
    ]

    assert [is_open(hours, at) for at, _ in slow[::7]] == [is_open_then for _, is_open_then in slow[::7]]
    fast = [
        minute for opens, closes in open_intervals(hours, start, end) for minute in minutes(opens, closes)
    ]
    assert fast == [at for at, is_open_then in slow if is_open_then]
    assert elapsed(hours, start, end, pauses) == len(counted) * MINUTE
    if budget == 0 and counted:
        assert due_at(hours, start, ZERO, pauses) == counted[0]
    elif budget and len(counted) >= budget:
        assert due_at(hours, start, budget * MINUTE, pauses) == counted[budget - 1] + MINUTE


def minutes(opens: dt.datetime, closes: dt.datetime) -> list[dt.datetime]:
    return [opens + count * MINUTE for count in range((closes - opens) // MINUTE)]
