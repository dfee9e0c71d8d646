"""Durations are read as people write them and written so that they can be read again."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.durations import parse_duration, spoken, written
from core.errors import Refused

S, MIN, HOUR, DAY = (dt.timedelta(seconds=n) for n in (1, 60, 3600, 86400))
whole_seconds = st.integers(0, 20 * 365 * 86400).map(lambda n: dt.timedelta(seconds=n))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30 * MIN),
        ("30 min", 30 * MIN),
        ("30m", 30 * MIN),
        ("45s", 45 * S),
        ("1h 30m", 90 * MIN),
        ("1H30MIN", 90 * MIN),
        ("1.5h", 90 * MIN),
        ("2 h 06", 126 * MIN),
        ("2h 6", 126 * MIN),
        ("3 d 4 h", 3 * DAY + 4 * HOUR),
        ("2w", 14 * DAY),
        ("  15 min ", 15 * MIN),
        ("0", 0 * S),
        ("", None),
        ("  ", None),
        ("-", None),
        ("–", None),
    ],
)
def test_a_duration_is_read(text: str, expected: dt.timedelta | None) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "-5 min",
        "5 parsecs",
        "1h and a bit",
        "1,5h",
        "h",
        "²",
        "2 h 100",
        "1h-30min",
        "min 5",
        "5 months",
    ],
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_duration(text, field="acknowledge_within")

    assert (refusal.value.field, refusal.value.value) == ("acknowledge_within", text)
    assert "1 h 30 min" in refusal.value.mend


@pytest.mark.parametrize("text", ["9" * 15 + "w", "9" * 400, "9" * 400 + "d"])
def test_a_duration_beyond_all_calendars_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="far too long"):
        parse_duration(text)


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        found = parse_duration(text)
    except Refused:
        return
    assert found is None or found >= dt.timedelta(0)


@given(whole_seconds)
def test_what_is_written_is_read_as_the_same(duration: dt.timedelta) -> None:
    assert parse_duration(written(duration)) == duration


def test_no_duration_is_written_as_nothing_and_read_as_none() -> None:
    assert written(None) == ""
    assert parse_duration(written(None)) is None


@given(whole_seconds)
def test_what_is_spoken_is_read_as_the_same_less_what_was_left_unsaid(duration: dt.timedelta) -> None:
    unsaid = duration - (parse_duration(spoken(duration)) or dt.timedelta(0))

    smallest = S if duration < MIN else MIN if duration < DAY else HOUR
    assert dt.timedelta(0) <= unsaid < smallest


@given(whole_seconds)
def test_late_is_spoken_like_early(duration: dt.timedelta) -> None:
    assert spoken(-duration) == spoken(duration)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (0 * S, "0 s"),
        (45 * S, "45 s"),
        (59.9 * S, "59 s"),
        (MIN, "1 min"),
        (HOUR - S, "59 min"),
        (HOUR, "1 h"),
        (2 * HOUR + 6 * MIN, "2 h 06"),
        (DAY, "1 d"),
        (3 * DAY + 4 * HOUR + 59 * MIN, "3 d 4 h"),
    ],
)
def test_a_duration_is_spoken_in_the_two_units_that_matter(duration: dt.timedelta, words: str) -> None:
    assert spoken(duration) == words
