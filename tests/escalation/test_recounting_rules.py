"""Which step is the same rung, how a clock is counted anew, and what the sum of it says: by table and by property."""

import datetime as dt
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendars.rules import ALWAYS, Hours, due_at, elapsed, parse
from escalation.rules.clocks import timing, used_until
from escalation.rules.conditions import Facts
from escalation.rules.paths import PathRule, StepRule
from escalation.rules.recounting import (
    Shift,
    Snap,
    counterpart,
    landing,
    no_sooner_than,
    shifts,
    used_anew,
)
from escalation.rules.tally import MOST_MOVES, MOST_SAMPLES, NAMED_TICKETS, StepChange, Tally

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
MIN = dt.timedelta(minutes=1)
OFFICE = parse(
    {
        "tz": "Europe/Berlin",
        "week": {d: [["09:00", "12:00"], ["13:00", "17:00"]] for d in ("mon", "tue", "wed", "thu", "fri")},
        "holidays": ["2026-03-06"],
    }
)
SHIFTS = parse({"tz": "America/New_York", "week": {d: [["00:00", "24:00"]] for d in ("mon", "sat", "sun")}})


def path(*steps: tuple[Any, ...], version: int = 1) -> PathRule:
    """Build a version of (name, tier, team, transfers) rungs."""
    return PathRule(
        version_id=version,
        path_id=1,
        name="Standard",
        number=version,
        calendar_id=1,
        sev1_round_the_clock=True,
        fallback_id=1,
        hold_pauses=False,
        follow_up_days=3,
        warn_percent=75,
        climbs_on=MappingProxyType({}),
        conditions=MappingProxyType({}),
        steps=tuple(
            StepRule(
                id=100 * version + place,
                position=place,
                name=name,
                tier=tier,
                team_id=more[0] if more else tier,
                transfers=more[1] if len(more) > 1 else True,
                calendar_id=None,
                list_ids=(),
                in_turn=False,
                wait=MIN,
                rounds=1,
                skip_when=MappingProxyType(more[2]) if len(more) > 2 else None,
            )
            for place, (name, tier, *more) in enumerate(steps, start=1)
        ),
        promises=MappingProxyType({}),
    )


FACTS = Facts(
    severity=2,
    category=None,
    service=None,
    criticality=None,
    organisation=None,
    vip=False,
    tags=frozenset(),
    impact=2,
    complexity=2,
    source="portal",
)
OLD = path(("Desk", 1), ("Network", 2), ("Lead", 2, 9, False), ("Core", 3), ("Board", 4, 4, False))


@pytest.mark.parametrize(
    ("new", "at", "to", "same"),
    [
        # The same name, wherever it stands.
        (path(("Desk", 1), ("Triage", 1), ("network ", 2), ("Core", 3), version=2), 2, 3, True),
        # Renamed where it stood.
        (path(("Desk", 1), ("Networking", 2), ("Lead", 2, 9, False), version=2), 2, 2, True),
        # Another old step now stands at its place: that one is not it.
        (path(("Desk", 1), ("Core", 3), version=2), 2, 2, False),
        # Taken away: the first at its tier, then above.
        (path(("Desk", 1), ("Core", 3), ("Board", 4), version=2), 3, 2, False),
        (path(("Desk", 1), ("Second desk", 1), ("Network", 2), ("Core", 3), version=2), 3, 3, False),
        # Nothing at its tier or above: the last one.
        (path(("Desk", 1), ("Network", 2), version=2), 5, 2, False),
        # Its tier rose: it goes with its step, and that is told.
        (path(("Desk", 1), ("Network", 3), version=2), 2, 2, False),
        # Its tier fell: a ticket never falls by itself.
        (path(("Desk", 1), ("Network", 1), ("Core", 3), version=2), 2, 3, False),
        # Another team takes over: told. Where the people at work stay anyway, it is the same rung.
        (path(("Desk", 1), ("Network", 2, 7), version=2), 2, 2, False),
        (path(("Desk", 1), ("Network", 2, 7, False), version=2), 2, 2, True),
        (path(("Desk", 1), ("Lead", 2, 9, True), version=2), 3, 2, False),
        (path(("Desk", 1), ("Network", 2, None), version=2), 2, 2, True),
        # Steps that its conditions skip are skipped.
        (path(("Desk", 1), ("X", 2, 2, True, {"severities": [2]}), ("Y", 2), version=2), 3, 3, False),
    ],
)
def test_a_step_maps_to_the_same_rung_or_to_its_tier_or_above(
    new: PathRule, at: int, to: int, same: bool
) -> None:
    step = OLD.step(at)
    assert counterpart(OLD, step, new) == (new.step(to) if same else None)
    if not same:
        assert landing(OLD, step, new, FACTS, step.tier) == new.step(to)


@given(st.permutations([step.name for step in OLD.steps]))
def test_every_step_is_its_own_counterpart_however_they_are_ordered(order: list[str]) -> None:
    rungs = {s.name: (s.name, s.tier, s.team_id, s.transfers) for s in OLD.steps}
    new = path(*(rungs[name] for name in order), version=2)
    for step in OLD.steps:
        found = counterpart(OLD, step, new)
        assert found is not None
        assert found.name == step.name


instants = st.timedeltas(dt.timedelta(0), dt.timedelta(days=365)).map(lambda after: NOON + after)
calendars = st.sampled_from([ALWAYS, OFFICE, SHIFTS])
lengths = st.timedeltas(dt.timedelta(minutes=1), dt.timedelta(days=9))


@st.composite
def lives(draw: st.DrawFn) -> tuple[dt.datetime, list[tuple[dt.datetime, dt.datetime]], dt.datetime]:
    """Draw a clock's start, its pauses, and an instant after them."""
    start = at = draw(instants)
    pauses = []
    for _ in range(draw(st.integers(0, 4))):
        begin = at + draw(lengths)
        at = begin + draw(lengths)
        pauses.append((begin, at))
    return start, pauses, at + draw(lengths)


def lived(hours: Hours, start: dt.datetime, pauses: list[Any]) -> tuple[dt.timedelta, dt.datetime]:
    """Pause and resume as the operations do; return what was used, and since when it runs."""
    used, since = dt.timedelta(0), start
    for begin, end in pauses:
        used, since = used_until(hours, since=since, used=used, at=begin), end
    return used, since


@given(calendars, lives())
def test_counting_anew_in_the_same_hours_gives_what_pausing_and_resuming_gave(
    hours: Hours, life: Any
) -> None:
    start, pauses, at = life
    used, since = lived(hours, start, pauses)
    assert used_anew(hours, started_at=start, running_since=since, pauses=pauses, at=at) == used


@given(calendars, calendars, lives(), lengths, lengths)
def test_there_and_back_is_due_when_it_was(
    hours: Hours, other: Hours, life: Any, budget: dt.timedelta, second: dt.timedelta
) -> None:
    start, pauses, at = life
    used, since = lived(hours, start, pauses)
    first = timing("tier_time", hours, since=since, budget=budget, used=used)
    used = used_anew(other, started_at=start, running_since=since, pauses=pauses, at=at)
    timing("tier_time", other, since=since, budget=second, used=used)
    used = used_anew(hours, started_at=start, running_since=since, pauses=pauses, at=at)
    assert timing("tier_time", hours, since=since, budget=budget, used=used) == first


@given(calendars, lives(), lengths)
def test_the_budget_is_conserved(hours: Hours, life: Any, budget: dt.timedelta) -> None:
    start, pauses, at = life
    since = pauses[-1][1] if pauses else start
    used = used_anew(hours, started_at=start, running_since=since, pauses=pauses, at=at)
    if used >= budget:
        return
    due = timing("resolution", hours, since=since, budget=budget, used=used).due_at
    assert elapsed(hours, start, due, pauses) == budget
    assert due == due_at(hours, start, budget, pauses)


@given(calendars, lives())
def test_a_clock_that_stands_still_has_used_what_went_by_until_its_pause(hours: Hours, life: Any) -> None:
    start, pauses, at = life
    begin = pauses[-1][1] if pauses else start
    standing = [*pauses, (at, None)]
    used = used_anew(hours, started_at=start, running_since=None, pauses=standing, at=at + 5 * MIN)
    assert used == used_until(hours, since=begin, used=lived(hours, start, pauses)[0], at=at)


def test_no_deadline_moves_to_before_now_and_none_that_passed_is_made_later() -> None:
    assert no_sooner_than(NOON + MIN, NOON) == NOON
    assert no_sooner_than(NOON - MIN, NOON) == NOON - MIN
    assert no_sooner_than(None, NOON) == NOON


@pytest.mark.parametrize(
    ("was", "now", "outcome", "at_once"),
    [
        (Snap(NOON + 5 * MIN, 5 * MIN), Snap(NOON + 5 * MIN, 5 * MIN), "unchanged", False),
        (Snap(NOON + 5 * MIN, 5 * MIN), Snap(NOON, MIN * 0), "earlier", True),
        (Snap(NOON - MIN, MIN * 0), Snap(NOON - MIN, MIN * 0), "unchanged", False),
        (Snap(NOON - MIN, MIN * 0), Snap(NOON + MIN, MIN), "later", False),
        (Snap(None, 5 * MIN), Snap(None, 3 * MIN), "earlier", False),
        (Snap(None, 5 * MIN), Snap(None, 5 * MIN), "unchanged", False),
        (Snap(None, 5 * MIN), Snap(NOON + 9 * MIN, 9 * MIN), "later", False),
        (None, Snap(NOON + 9 * MIN, 9 * MIN), "started", False),
        (Snap(NOON + MIN, MIN), None, "cancelled", False),
    ],
)
def test_what_became_of_a_clock(was: Snap | None, now: Snap | None, outcome: str, at_once: bool) -> None:
    (found,) = shifts(7, {"tier_time": was} if was else {}, {"tier_time": now} if now else {}, NOON)
    assert (found.outcome, found.at_once) == (outcome, at_once)


def test_a_tally_stays_small_and_names_the_largest_moves() -> None:
    tally = Tally()
    for number in range(1, 301):
        shift = Shift(number, "tier_time", "later", was=NOON, due=NOON + number * MIN)
        still = Shift(number, "resolution", "unchanged", was=NOON, due=NOON)
        tally.add([shift, still], StepChange(number, "Network", "Core") if number % 2 else None)
    tally.add([Shift(301, "tier_time", "unchanged", was=NOON, due=NOON)], None)

    found = tally.as_mapping()

    assert (found["tickets"], found["untouched"], found["moved_steps"]) == (301, 1, 150)
    assert found["kinds"]["tier_time"]["later"] == 300
    assert found["kinds"]["resolution"]["unchanged"] == 300
    assert [move["ticket"] for move in found["largest"]] == list(range(300, 300 - MOST_MOVES, -1))
    assert {move["ticket"] for move in found["sample"]} == set(range(1, MOST_SAMPLES + 1))
    assert found["steps"] == [
        {"from": "Network", "to": "Core", "tickets": 150, "named": [1, 3, 5, 7, 9][:NAMED_TICKETS]}
    ]
