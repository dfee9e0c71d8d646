"""The rules of escalation, by table and by property; no database."""

import datetime as dt
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendars.rules import ALWAYS
from escalation.rules.clocks import share_used, timing, used_until
from escalation.rules.conditions import Facts, matches
from escalation.rules.deciding import PUNCTUAL, Due, begin_at, decide
from escalation.rules.paths import PathRule, StepRule, choose, entry_step, return_step

NOW = dt.datetime(2026, 3, 3, 12, 0, tzinfo=dt.UTC)
MIN = dt.timedelta(minutes=1)


def step(
    position: int, tier: int, *, transfers: bool = True, skip: dict[str, object] | None = None
) -> StepRule:
    return StepRule(
        id=position * 10,
        position=position,
        name=f"step {position}",
        tier=tier,
        team_id=None,
        transfers=transfers,
        calendar_id=None,
        list_ids=(1,),
        in_turn=False,
        wait=MIN,
        rounds=2,
        skip_when=skip,
    )


def path(
    *steps: StepRule, climbs: tuple[str, ...] = (), conditions: dict[str, object] | None = None
) -> PathRule:
    return PathRule(
        version_id=1,
        path_id=1,
        name="path",
        number=1,
        calendar_id=1,
        sev1_round_the_clock=True,
        fallback_id=1,
        hold_pauses=False,
        follow_up_days=3,
        warn_percent=75,
        climbs_on=MappingProxyType(dict.fromkeys(climbs, True)),
        conditions=conditions or {},
        steps=steps,
        promises=MappingProxyType({}),
    )


LADDER = path(step(1, 1), step(2, 2), step(3, 3), step(4, 4, transfers=False), climbs=("resolution",))


def facts(**more: object) -> Facts:
    values: dict[str, object] = {
        "severity": 3,
        "category": 1,
        "service": 2,
        "criticality": 1,
        "organisation": 5,
        "vip": False,
        "tags": frozenset({"vpn"}),
        "impact": 2,
        "complexity": 2,
        "source": "email",
    }
    return Facts(**(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, True),
        ({"severities": [3]}, True),
        ({"severities": [1, 2]}, False),
        ({"severities": []}, True),
        ({"services": [2], "severities": [3]}, True),
        ({"services": [2], "severities": [1]}, False),
        ({"vip": True}, False),
        ({"vip": False}, True),
        ({"vip": None}, True),
        ({"tags": ["vpn", "wifi"]}, True),
        ({"tags": ["wifi"]}, False),
        ({"criticalities": [1]}, True),
        ({"organisations": [6]}, False),
        ({"sources": ["monitoring"]}, False),
    ],
)
def test_conditions(conditions: dict[str, object], expected: bool) -> None:
    assert matches(conditions, facts()) is expected


def test_an_unknown_condition_is_an_error_not_a_match() -> None:
    with pytest.raises(KeyError, match="colour"):
        matches({"colour": ["red"]}, facts())


def test_a_ticket_without_a_service_matches_no_list_of_services() -> None:
    assert not matches({"services": [2]}, facts(service=None))


def test_the_first_matching_path_is_taken_and_the_last_one_when_none_matches() -> None:
    first, second = (
        path(step(1, 1), conditions={"severities": [1]}),
        path(step(1, 1), conditions={"vip": True}),
    )

    assert choose([first, second], facts(severity=1)) is first
    assert choose([first, second], facts(severity=2)) is second
    with pytest.raises(LookupError):
        choose([], facts())


@pytest.mark.parametrize(
    ("severity", "at_least", "expected"), [(3, 1, 1), (1, 1, 3), (3, 2, 2), (1, 4, 4), (3, 4, 4)]
)
def test_where_a_ticket_enters(severity: int, at_least: int, expected: int) -> None:
    skip = {"severities": [1]}
    rule = path(step(1, 1, skip=skip), step(2, 2, skip=skip), step(3, 3), step(4, 4))

    assert entry_step(rule, facts(severity=severity), at_least).position == expected


@pytest.mark.parametrize(("current", "expected"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_a_reopened_ticket_returns_to_the_last_step_that_transfers(current: int, expected: int) -> None:
    assert return_step(LADDER, LADDER.step(current)).position == expected


def due(kind: str, minutes: int, *, missed: int = 0, warned: bool = True) -> Due:
    at = NOW + minutes * MIN
    return Due(clock_id=1, kind=kind, due_at=at, warn_at=at - 5 * MIN, warned=warned, missed=missed)


@pytest.mark.parametrize(
    ("position", "dues", "to", "again", "trigger", "others"),
    [
        (1, ["tier_time"], 2, False, "tier_time", []),
        (2, ["acknowledge"], 3, False, "acknowledge", []),
        (4, ["tier_time"], None, True, "tier_time", []),
        (4, ["acknowledge"], None, True, "acknowledge", []),
        (2, ["tier_time", "acknowledge"], 3, False, "tier_time", ["acknowledge"]),
        (2, ["resolution"], 3, False, "resolution", []),
        (4, ["resolution"], None, False, None, []),
        (2, ["first_response"], None, False, None, []),
        (2, ["follow_up"], None, False, None, []),
        (1, ["request"], 2, False, "request", []),
        (3, ["request"], None, False, None, []),
        (2, ["next_telling"], None, False, None, []),
        (2, ["question"], None, False, None, []),
        (4, ["question"], None, False, None, []),
        (2, ["question", "tier_time"], 3, False, "tier_time", []),
    ],
)
def test_decisions(
    position: int, dues: list[str], to: int | None, again: bool, trigger: str | None, others: list[str]
) -> None:
    decision = decide(LADDER, LADDER.step(position), tuple(due(kind, 0) for kind in dues), NOW)

    assert (decision.to.position if decision.to else None) == to
    assert decision.again is again
    assert (decision.trigger.kind if decision.trigger else None) == trigger
    assert [cause.kind for cause in decision.co_triggers] == others


@pytest.mark.parametrize(
    ("missed", "position", "owner", "lead", "to"),
    [
        (0, 3, True, False, None),
        (1, 3, False, True, None),
        (2, 3, False, False, 4),
        (2, 1, False, True, None),
    ],
)
def test_an_overdue_update_goes_to_owner_then_lead_then_a_step_that_involves(
    missed: int, position: int, owner: bool, lead: bool, to: int | None
) -> None:
    dues = (due("stakeholder_update", 0, missed=missed),)

    decision = decide(LADDER, LADDER.step(position), dues, NOW)

    assert bool(decision.tell_owner) is owner
    assert bool(decision.tell_lead) is lead
    assert (decision.to.position if decision.to else None) == to


@pytest.mark.parametrize(
    ("kind", "lead", "hold"),
    [
        ("tier_time", False, True),
        ("acknowledge", False, True),
        ("next_telling", False, True),
        ("stakeholder_update", False, True),
        ("resolution", False, False),
        ("first_response", True, False),
        ("next_response", True, False),
        ("request", True, False),
        ("follow_up", False, False),
        ("question", False, False),
    ],
)
@pytest.mark.parametrize("position", [1, 2, 4])
def test_what_is_due_while_a_major_incident_goes_on_for_the_ticket_moves_nothing(
    kind: str, lead: bool, hold: bool, position: int
) -> None:
    climbs = path(*LADDER.steps, climbs=("resolution", "first_response", "next_response"))

    decision = decide(climbs, climbs.step(position), (due(kind, 0),), NOW, suspended=True)

    assert (decision.to, decision.again, decision.trigger, decision.tell_next) == (None, False, None, False)
    assert decision.tell_lead == ((kind,) if lead else ())
    assert decision.hold == ((kind,) if hold else ())
    assert decision.fired == (() if hold else (kind,))


def test_the_warning_of_a_suspended_resolution_is_recorded_only() -> None:
    dues = (due("resolution", 3, warned=False), due("first_response", 3, warned=False))

    decision = decide(LADDER, LADDER.step(2), dues, NOW, suspended=True)

    assert decision.warn == ("resolution", "first_response")
    assert decision.quiet == ("resolution",)


def test_the_clock_that_was_due_first_is_the_trigger() -> None:
    dues = (due("tier_time", -1), due("acknowledge", -3), due("resolution", -2))

    decision = decide(LADDER, LADDER.step(2), dues, NOW)

    assert decision.trigger is not None
    assert decision.trigger.kind == "acknowledge"
    assert [cause.kind for cause in decision.co_triggers] == ["resolution", "tier_time"]
    assert decision.late_by == 3 * MIN


@given(st.integers(0, 600))
def test_what_follows_a_deadline_begins_at_it_only_if_the_engine_was_punctual(late: int) -> None:
    begin = begin_at(NOW - dt.timedelta(seconds=late), NOW)

    assert begin == (NOW - dt.timedelta(seconds=late) if late <= PUNCTUAL.total_seconds() else NOW)


KINDS = [
    "tier_time",
    "acknowledge",
    "resolution",
    "first_response",
    "stakeholder_update",
    "request",
    "follow_up",
    "question",
]


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(-90, 30), st.integers(0, 3)), unique_by=lambda x: x[0]
    ),
)
def test_never_more_than_one_step_and_every_due_clock_is_accounted_for(
    position: int, drawn: list[tuple[str, int, int]]
) -> None:
    dues = tuple(due(kind, minutes, missed=missed) for kind, minutes, missed in drawn)

    decision = decide(LADDER, LADDER.step(position), dues, NOW)

    if decision.to is not None:
        assert decision.to.position == position + 1
    assert set(decision.fired) == {d.kind for d in dues if d.due_at <= NOW}
    causes = {c.kind for c in decision.co_triggers} | ({decision.trigger.kind} if decision.trigger else set())
    heard = causes | set(decision.tell_lead) | set(decision.tell_owner)
    assert set(decision.fired) <= heard | ({"follow_up"} if decision.follow_up else set()) | (
        {"question"} if decision.pursue_question else set()
    )
    if decision.trigger is None:
        assert decision.to is None
        assert not decision.again


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 99))
def test_a_clock_warns_before_it_is_due_and_keeps_its_budget_over_pauses(
    budget_seconds: int, used_seconds: int, percent: int
) -> None:
    budget = dt.timedelta(seconds=budget_seconds)
    used = min(dt.timedelta(seconds=used_seconds), budget)

    when = timing("tier_time", ALWAYS, since=NOW, budget=budget, used=used, warn_percent=percent)

    assert when.due_at == NOW + budget - used
    assert when.warn_at is None or NOW < when.warn_at < when.due_at
    assert when.fires_at == (when.warn_at or when.due_at)
    assert used_until(ALWAYS, since=NOW, used=used, at=when.due_at) == budget
    assert 0 <= share_used(used, budget) <= 1
