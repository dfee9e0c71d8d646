"""Laws of on call: schedules partition time, handoffs fall on wall time, overrides compose, quiet lasts to its end."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.rules.oncall import (
    Away,
    Override,
    Schedule,
    Span,
    gaps,
    on_call,
    on_call_at,
    override,
    shifts_of,
)
from notifications.rules.quiet import quiet_until
from notifications.rules.rotation import DAILY, HOURLY, MONTHLY, UNITS, WEEKLY, Rotation, Window
from tests.calendars.test_laws import TURNS

unhurried = settings(deadline=None, max_examples=60)

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
INSTANT = dt.timedelta(microseconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
Turn = tuple[str, dt.date]

people = st.sampled_from("ABCDE")
times = st.integers(0, 95).map(lambda quarter: dt.time(quarter // 4, quarter % 4 * 15))
days = st.frozensets(st.integers(0, 6), min_size=1)
moments = st.timedeltas(-4 * DAY, 4 * DAY)
# Few and round: overrides are to meet, and shifts to end together.
rounds = st.integers(-16, 16).map(lambda count: count * 6 * HOUR)


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


def wall(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def at(text: str, zone: ZoneInfo = BERLIN) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(dt.UTC)


@st.composite
def rotations(draw: st.DrawFn, turn: Turn, *, open_ended: bool = False) -> Rotation[str]:
    """Draw a rotation that hands over near a turn of its zone's clocks."""
    zone, day = turn
    unit = draw(st.sampled_from(UNITS))
    windows = draw(st.lists(st.builds(Window, times, times, days), max_size=2))
    start = dt.datetime.combine(day + draw(st.integers(-40, 3)) * DAY, draw(times))
    until = None if open_ended else draw(st.none() | st.timedeltas(DAY, 50 * DAY).map(lambda by: start + by))
    return Rotation(
        groups=tuple(draw(st.lists(st.lists(people, max_size=2, unique=True).map(tuple), max_size=4))),
        unit=unit,
        length=draw(st.integers(1, 3)),
        start=start,
        zone=ZoneInfo(zone),
        windows=tuple(windows),
        aligned=draw(st.booleans()),
        until=until,
        level=draw(st.integers(1, 3)),
    )


@st.composite
def overrides_near(draw: st.DrawFn, middle: dt.datetime) -> Override[str]:
    first, last = sorted((draw(rounds), draw(rounds.map(lambda by: by + 3 * HOUR))))
    comes, goes = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    comer, goer = draw(st.lists(people, min_size=2, max_size=2, unique=True))
    instead = comes and not goes and draw(st.booleans())
    return Override(
        middle + first, middle + last, comer if comes else None, goer if goes else None, instead=instead
    )


@st.composite
def away_near(draw: st.DrawFn, middle: dt.datetime) -> Away[str]:
    first, last = sorted((draw(rounds), draw(rounds.map(lambda by: by + 3 * HOUR))))
    person, substitute = draw(st.lists(people, min_size=2, max_size=2, unique=True))
    return Away(person, middle + first, middle + last, draw(st.sampled_from([None, substitute])))


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule[str], dt.datetime, dt.datetime]:
    """Draw a schedule and a range of up to eight days around a turn of its clocks."""
    turn = draw(st.sampled_from(TURNS))
    middle = noon(turn[1])
    schedule = Schedule(
        tuple(draw(st.lists(rotations(turn), max_size=3))),
        tuple(draw(st.lists(overrides_near(middle), max_size=4))),
        tuple(draw(st.lists(away_near(middle), max_size=3))),
    )
    first, last = sorted((draw(moments), draw(moments)))
    return schedule, middle + first, middle + last + HOUR


# --- a schedule partitions time -------------------------------------------------------------------------------------


@unhurried
@given(schedules(), st.lists(moments, max_size=8))
def test_each_instant_has_one_answer_and_nobody_is_an_answer(
    drawn: tuple[Schedule[str], dt.datetime, dt.datetime], offsets: list[dt.timedelta]
) -> None:
    schedule, begin, end = drawn
    spans = on_call(schedule, begin, end)

    assert (spans[0].begin, spans[-1].end) == (begin, end)
    for before, after in pairwise(spans):
        assert before.end == after.begin
        assert before.people != after.people
    assert gaps(schedule, begin, end) == tuple((one.begin, one.end) for one in spans if not one.people)
    middle = begin + (end - begin) / 2
    for span in spans:
        assert span.begin < span.end
        assert len(set(span.people)) == len(span.people)
        assert on_call_at(schedule, span.begin) == on_call_at(schedule, span.end - INSTANT) == span.people
    for instant in (middle + offset for offset in offsets):
        if begin <= instant < end:
            span = next(one for one in spans if one.begin <= instant < one.end)
            assert on_call_at(schedule, instant) == span.people


@unhurried
@given(schedules(), st.floats(0, 1))
def test_a_range_may_be_split_at_any_instant(
    drawn: tuple[Schedule[str], dt.datetime, dt.datetime], share: float
) -> None:
    schedule, begin, end = drawn
    cut = begin + (end - begin) * share
    joined: list[Span[str]] = []
    for span in (*on_call(schedule, begin, cut), *on_call(schedule, cut, end)):
        if joined and joined[-1].people == span.people:
            joined[-1] = Span(joined[-1].begin, span.end, span.people)
        else:
            joined.append(span)
    assert tuple(joined) == on_call(schedule, begin, end)


@unhurried
@given(schedules())
def test_shifts_say_the_same_as_spans(drawn: tuple[Schedule[str], dt.datetime, dt.datetime]) -> None:
    spans = on_call(*drawn)
    shifts = shifts_of(spans)
    for span in spans:
        there = {person for person, begin, end in shifts if begin <= span.begin and span.end <= end}
        assert there == set(span.people)
    for person, begin, end in shifts:
        # None of them could be longer.
        assert not any(one == person and since == end for one, since, _ in shifts)
        assert begin < end


def test_an_empty_range_has_no_spans_and_an_empty_schedule_is_one_gap() -> None:
    begin = noon(dt.date(2026, 7, 1))
    empty: Schedule[str] = Schedule()
    assert on_call(empty, begin, begin) == ()
    assert gaps(empty, begin, begin + DAY) == ((begin, begin + DAY),)


# --- handoffs -------------------------------------------------------------------------------------------------------


@unhurried
@given(st.data(), st.sampled_from(TURNS), st.integers(-9, 9), moments)
def test_turns_follow_one_another_and_know_their_handoffs(
    data: st.DataObject, near: Turn, number: int, offset: dt.timedelta
) -> None:
    rotation = data.draw(rotations(near))
    instant = noon(near[1]) + offset

    turn = rotation.turn_at(instant)
    begin, end = rotation.shift_at(instant)

    assert begin <= instant < end
    assert (begin, end) == (rotation.handoff(turn), rotation.handoff(turn + 1))
    for one in range(turn + number, turn + number + 3):
        assert rotation.handoff(one) <= rotation.handoff(one + 1)
        # One that lies in the gap of a changing clock lasts no time, and is nobody's.
        if rotation.handoff(one) < rotation.handoff(one + 1):
            assert rotation.turn_at(rotation.handoff(one)) == one
            assert rotation.turn_at(rotation.handoff(one + 1) - INSTANT) == one


@unhurried
@given(st.data(), st.sampled_from(TURNS), st.integers(-60, 60))
def test_days_weeks_and_months_hand_over_at_the_same_time_on_the_wall(
    data: st.DataObject, near: Turn, number: int
) -> None:
    rotation = data.draw(rotations(near))
    if rotation.unit == HOURLY:
        return
    handoff = rotation.handoff(number)
    local = handoff.astimezone(rotation.zone)
    if local.time() == rotation.start.time():
        # Twice on the wall: the first of both is meant.
        assert local.fold == 0
    else:
        # Only because that time does not exist on that day: just before it is earlier, now it is later.
        before = (handoff - INSTANT).astimezone(rotation.zone).replace(tzinfo=None)
        wanted = dt.datetime.combine(before.date(), rotation.start.time())
        later = wanted if wanted > before else wanted + DAY
        assert before < later < local.replace(tzinfo=None)


@unhurried
@given(st.data(), st.sampled_from(TURNS))
def test_shifts_tile_the_time_from_the_start_on_where_there_are_no_windows(
    data: st.DataObject, near: Turn
) -> None:
    rotation = data.draw(rotations(near, open_ended=True))
    rotation = Rotation(
        (("A",), ("B",)), rotation.unit, rotation.length, rotation.start, rotation.zone, (), rotation.aligned
    )
    begin, end = noon(near[1]) - 5 * DAY, noon(near[1]) + 5 * DAY
    spans = list(rotation.spans(begin, end))
    started = max(begin, next(iter(rotation.spans(begin - 60 * DAY, end)))[0])
    assert (spans[0][0], spans[-1][1]) == (started, end)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@unhurried
@given(st.data(), st.sampled_from(TURNS))
def test_within_its_windows_somebody_is_on_call_and_nobody_outside(data: st.DataObject, near: Turn) -> None:
    drawn = data.draw(rotations(near, open_ended=True))
    window = Window(data.draw(times), data.draw(times), data.draw(days))
    start = drawn.start - 70 * DAY
    rotation = Rotation((("A",),), drawn.unit, drawn.length, start, drawn.zone, (window,), drawn.aligned)
    begin, end = noon(near[1]) - 4 * DAY, noon(near[1]) + 4 * DAY
    spans = [(opens, closes) for opens, closes, _ in rotation.spans(begin, end)]
    for offset in range(8 * 24 * 4):
        instant = begin + offset * HOUR / 4
        local = instant.astimezone(drawn.zone).date()
        opened = any(
            found is not None and found[0] <= instant < found[1]
            for found in (window.on(local + by * DAY, drawn.zone) for by in (-2, -1, 0, 1))
        )
        assert any(opens <= instant < closes for opens, closes in spans) == opened


@unhurried
@given(days, st.integers(1, 3), st.integers(0, 6), st.integers(-9, 30))
def test_a_daily_rotation_counts_only_its_days(
    wanted: frozenset[int], length: int, first: int, number: int
) -> None:
    start = dt.datetime.combine(dt.date(2026, 6, 1) + first * DAY, dt.time(8))
    window = Window(dt.time(8), dt.time(18), wanted)
    rotation = Rotation((("A",), ("B",), ("C",)), DAILY, length, start, BERLIN, (window,))

    begin = rotation.handoff(number).astimezone(BERLIN).date()
    end = rotation.handoff(number + 1).astimezone(BERLIN).date()

    assert begin.weekday() in wanted
    counted = [begin + by * DAY for by in range((end - begin).days) if (begin + by * DAY).weekday() in wanted]
    assert len(counted) == length


# --- overrides and time off -----------------------------------------------------------------------------------------

whenever = (dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC))
words = st.builds(
    lambda pair, kind: Override(
        *whenever, pair[0] if kind != "goes" else None, pair[1] if kind != "comes" else None
    ),
    st.lists(people, min_size=2, max_size=2, unique=True),
    st.sampled_from(["comes", "goes", "both"]),
)


def comes(person: str) -> Override[str]:
    return Override(*whenever, comes=person)


def goes(person: str) -> Override[str]:
    return Override(*whenever, goes=person)


def takes_over(comer: str, goer: str) -> Override[str]:
    return Override(*whenever, comer, goer)


def alone(person: str) -> Override[str]:
    return Override(*whenever, comes=person, instead=True)


@unhurried
@given(st.lists(people, unique=True), st.lists(words, max_size=5), st.randoms())
def test_overrides_are_independent_of_their_order_and_may_be_said_twice(
    base: list[str], said: list[Override[str]], random: object
) -> None:
    shuffled = list(said)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert set(override(base, shuffled)) == set(override(base, said))
    assert set(override(base, said + said)) == set(override(base, said))


@pytest.mark.parametrize(
    ("base", "said", "expected"),
    [
        ("A", [], "A"),
        ("AB", [takes_over("B", "A"), takes_over("A", "B")], "AB"),
        ("A", [takes_over("B", "A"), takes_over("A", "B")], "B"),
        ("A", [takes_over("B", "A"), takes_over("C", "B")], "C"),
        ("A", [takes_over("B", "A"), takes_over("C", "B"), takes_over("D", "C")], "D"),
        ("A", [takes_over("B", "A"), goes("B")], ""),
        ("B", [takes_over("C", "A")], "B"),
        ("A", [goes("A"), comes("A")], "A"),
        ("AB", [goes("A"), comes("C")], "BC"),
        ("AB", [alone("C")], "C"),
        ("AB", [alone("C"), comes("D")], "CD"),
        # Who came by a word hands on by the next: taking over a shift does not depend on how the other came to it.
        ("AB", [alone("C"), takes_over("D", "C")], "D"),
        ("A", [comes("C"), takes_over("D", "C")], "AD"),
        ("A", [comes("B"), takes_over("A", "B")], "A"),
        ("A", [alone("C"), takes_over("D", "C"), goes("D")], ""),
        ("", [comes("B")], "B"),
        ("", [goes("B")], ""),
    ],
)
def test_overrides_compose(base: str, said: list[Override[str]], expected: str) -> None:
    assert "".join(sorted(override(base, said))) == expected
    assert "".join(sorted(override(base, said[::-1]))) == expected


def test_a_shift_that_was_swapped_is_the_others() -> None:
    week = Rotation((("A",), ("B",)), WEEKLY, 1, wall("2026-06-01T09:00"), BERLIN)
    begin, end = at("2026-06-01T09:00"), at("2026-06-15T09:00")
    swap = (Override(begin, end, "B", "A"), Override(begin, end, "A", "B"))
    found = on_call(Schedule((week,), swap), begin, end)
    assert [span.people for span in found] == [("B",), ("A",)]


@pytest.mark.parametrize(
    ("away", "expected"),
    [
        ({"A": "B"}, "B"),
        ({"A": None}, ""),
        ({"A": "B", "B": "C"}, "C"),
        ({"A": "B", "B": None}, ""),
        ({"A": "B", "B": "A"}, ""),
        ({"A": "B", "B": "C", "C": "B"}, ""),
        ({"B": "C"}, "A"),
    ],
)
def test_time_off_brings_the_substitute(away: dict[str, str | None], expected: str) -> None:
    week = Rotation((("A",),), WEEKLY, 1, wall("2026-06-01T09:00"), BERLIN)
    times_off = tuple(Away(person, *whenever, substitute) for person, substitute in away.items())
    assert "".join(on_call_at(Schedule((week,), away=times_off), at("2026-06-03T12:00"))) == expected


def test_time_off_comes_before_levels_and_overrides_after_them() -> None:
    begin, end = at("2026-06-01T00:00"), at("2026-06-02T00:00")
    start = wall("2026-06-01T00:00")
    above = Rotation((("A",),), WEEKLY, 1, start, BERLIN, level=2)
    below = Rotation((("B",),), WEEKLY, 1, start, BERLIN, level=1)
    everything = Schedule((above, below))
    assert on_call_at(everything, begin) == ("A",)
    # Whoever is away leaves the level empty, and the one below answers.
    gone = Schedule((above, below), away=(Away("A", begin, end),))
    assert on_call_at(gone, begin) == ("B",)
    assert on_call_at(gone, end) == ("A",)
    # Taken off by a word, the level stays the one that answers: nobody is what was said.
    assert on_call_at(Schedule((above, below), (Override(begin, end, goes="A"),)), begin) == ()
    # A substitute is overridden under their own name, and whoever is away can be overridden by theirs.
    replaced = (Override(begin, end, "C", "A"),)
    assert on_call_at(Schedule((above,), replaced, (Away("A", begin, end, "B"),)), begin) == ("C",)
    replaced = (Override(begin, end, "C", "B"),)
    assert on_call_at(Schedule((above,), replaced, (Away("A", begin, end, "B"),)), begin) == ("C",)


# --- tricky cases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "start", "zone", "turn", "begins", "hours"),
    [
        # A night that lasts an hour less, and one that lasts an hour more.
        (DAILY, "2026-03-28T09:00", "Europe/Berlin", 0, "2026-03-28T08:00", 23),
        (DAILY, "2026-10-24T09:00", "Europe/Berlin", 0, "2026-10-24T07:00", 25),
        # Half past two does not exist: three o'clock; where it exists twice, the first.
        (DAILY, "2026-03-28T02:30", "Europe/Berlin", 1, "2026-03-29T01:00", 23.5),
        (DAILY, "2026-10-24T02:30", "Europe/Berlin", 1, "2026-10-25T00:30", 25),
        # Half an hour of summer time.
        (DAILY, "2026-04-04T12:00", "Australia/Lord_Howe", 0, "2026-04-04T01:00", 24.5),
        # A day that was left out lasts no time.
        (DAILY, "2011-12-29T00:00", "Pacific/Apia", 1, "2011-12-30T10:00", 0),
        # Midnight that does not exist.
        (DAILY, "2017-10-14T00:00", "America/Sao_Paulo", 1, "2017-10-15T03:00", 23),
        (WEEKLY, "2026-03-23T09:00", "Europe/Berlin", 0, "2026-03-23T08:00", 167),
        # The last of a month that has no such day, and the right day again after it.
        (MONTHLY, "2026-01-31T09:00", "UTC", 1, "2026-02-28T09:00", 31 * 24),
        (MONTHLY, "2026-01-31T09:00", "UTC", 2, "2026-03-31T09:00", 30 * 24),
        (MONTHLY, "2026-01-31T09:00", "UTC", -2, "2025-11-30T09:00", 31 * 24),
        (HOURLY, "2026-03-29T00:00", "Europe/Berlin", 2, "2026-03-29T01:00", 0),
        (HOURLY, "2026-10-25T00:00", "Europe/Berlin", 2, "2026-10-25T00:00", 2),
    ],
)
def test_handoffs_that_are_odd(
    unit: str, start: str, zone: str, turn: int, begins: str, hours: float
) -> None:
    rotation = Rotation((("A",), ("B",)), unit, 1, wall(start), ZoneInfo(zone))
    begin, end = rotation.handoff(turn), rotation.handoff(turn + 1)
    assert begin == at(begins, ZoneInfo("UTC"))
    assert end - begin == hours * HOUR


def test_aligned_turns_begin_on_mondays_and_on_the_first() -> None:
    week = Rotation((("A",), ("B",)), WEEKLY, 1, wall("2026-06-03T09:00"), BERLIN, aligned=True)
    month = Rotation((("A",), ("B",)), MONTHLY, 1, wall("2026-06-17T09:00"), BERLIN, aligned=True)
    assert week.shift_at(at("2026-06-05T12:00")) == (at("2026-06-01T09:00"), at("2026-06-08T09:00"))
    assert month.shift_at(at("2026-06-20T12:00")) == (at("2026-06-01T09:00"), at("2026-07-01T09:00"))
    # Before its start nobody is on call, though the first turn has begun by the calendar.
    assert gaps(Schedule((week,)), at("2026-06-01T09:00"), at("2026-06-04T09:00")) == (
        (at("2026-06-01T09:00"), at("2026-06-03T09:00")),
    )


def test_clocks_that_go_back_over_midnight_take_nothing_from_the_next_day() -> None:
    # Given: from 00:01 on the 29th back to 23:01 of the 28th
    zone = ZoneInfo("America/St_Johns")
    midnight = at("2006-10-29T00:00", zone)
    evening_again = midnight + HOUR / 2
    assert evening_again.astimezone(zone).day == 28

    # Then: the Sunday has begun
    sundays = Rotation(
        (("A",),), DAILY, 1, wall("2006-10-01T00:00"), zone, (Window(dt.time(), dt.time(), frozenset({6})),)
    )
    assert on_call_at(Schedule((sundays,)), evening_again) == ("A",)
    found = on_call(Schedule((sundays,)), midnight, midnight + HOUR / 2)
    assert [span.people for span in found] == [("A",)]
    assert quiet_until(evening_again, zone, begins=None, ends=None, days=(6,)) == at("2006-10-30T00:00", zone)


# --- quiet ----------------------------------------------------------------------------------------------------------


@unhurried
@given(
    st.sampled_from(TURNS),
    moments,
    st.none() | st.tuples(times, times),
    st.frozensets(st.integers(0, 6), max_size=5),
)
def test_quiet_is_until_its_end(
    near: Turn, offset: dt.timedelta, hours: tuple[dt.time, dt.time] | None, quiet_days: frozenset[int]
) -> None:
    zone, instant = ZoneInfo(near[0]), noon(near[1]) + offset
    begins, ends = hours or (None, None)

    def until(moment: dt.datetime) -> dt.datetime | None:
        return quiet_until(moment, zone, begins=begins, ends=ends, days=quiet_days)

    end = until(instant)
    if end is None:
        return
    assert end > instant
    if end - instant > 8 * DAY:
        # Quiet for good, with hours that are the whole day: then the search ends.
        return
    assert until(end) is None
    for share in (0.2, 0.5, 0.9):
        assert until(instant + (end - instant) * share) == end
    assert until(end - INSTANT) == end


@pytest.mark.parametrize(
    ("instant", "begins", "ends", "quiet_days", "expected"),
    [
        ("2026-06-03T12:00", "22:00", "07:00", (), None),
        ("2026-06-03T23:00", "22:00", "07:00", (), "2026-06-04T07:00"),
        ("2026-06-03T06:59", "22:00", "07:00", (), "2026-06-03T07:00"),
        ("2026-06-03T07:00", "22:00", "07:00", (), None),
        # The night joins on to a quiet weekend, and that to the night after it.
        ("2026-06-05T23:00", "22:00", "07:00", (5, 6), "2026-06-08T07:00"),
        ("2026-06-06T12:00", None, None, (5,), "2026-06-07T00:00"),
        # A night with an hour less, ending at a time that does not exist.
        ("2026-03-29T01:30", "22:00", "02:30", (), "2026-03-29T03:00"),
    ],
)
def test_quiet_hours(
    instant: str, begins: str | None, ends: str | None, quiet_days: tuple[int, ...], expected: str | None
) -> None:
    found = quiet_until(
        at(instant),
        BERLIN,
        begins=dt.time.fromisoformat(begins) if begins else None,
        ends=dt.time.fromisoformat(ends) if ends else None,
        days=quiet_days,
    )
    assert found == (at(expected) if expected else None)
