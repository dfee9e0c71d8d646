"""What keeps a path from being published, and what is doubtful about it; pure."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from escalation.rules.lint import EntryFacts, FallbackFacts, ListFacts, implies, lint, telling_time
from escalation.rules.problems import problems_of
from escalation.rules.specs import PathSpec, PromiseSpec, StepSpec

MIN = dt.timedelta(minutes=1)
ALL = (1, 2, 3, 4)
LISTS = {
    7: ListFacts("On call", (EntryFacts("Ilse", reachable=True), EntryFacts("Tomas", reachable=True))),
    8: ListFacts("Nobody home", (EntryFacts("Gone", reachable=False),)),
}
PROVEN = FallbackFacts("Ilse", is_person=True, proven_methods=2)


def step(**changes: Any) -> StepSpec:
    values: dict[str, Any] = {
        "name": "Network",
        "tier": 2,
        "team_id": 1,
        "contact_list_ids": (7,),
        "wait": 2 * MIN,
        "rounds": 2,
        "targets": dict.fromkeys(ALL, (10 * MIN, 60 * MIN)),
    }
    return StepSpec(**{**values, **changes})


def path(**changes: Any) -> PathSpec:
    desk = step(name="Desk", tier=1, contact_list_ids=())
    values: dict[str, Any] = {
        "name": "Network",
        "calendar_id": 1,
        "fallback_contact_id": 1,
        "steps": (desk, step()),
        "promises": dict.fromkeys(ALL, PromiseSpec(resolution=240 * MIN)),
    }
    return PathSpec(**{**values, **changes})


def doubts(spec: PathSpec, **changes: Any) -> list[tuple[str, str]]:
    facts: dict[str, Any] = {"lists": LISTS, "fallback": PROVEN, **changes}
    return [(doubt.code, doubt.field) for doubt in lint(spec, **facts)]


def test_a_sound_path_has_neither_problems_nor_doubts() -> None:
    assert problems_of(path()) == ()
    assert doubts(path()) == []


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "  "}, "name", "needs a name"),
        ({"steps": ()}, "steps", "at least one step"),
        ({"calendar_id": None}, "calendar_id", "needs a calendar"),
        ({"fallback_contact_id": None}, "fallback_contact_id", "fallback"),
        ({"is_default": True, "is_active": False}, "is_active", "can't be switched off"),
        ({"warn_percent": 100}, "warn_percent", "100 %"),
        ({"follow_up_days": 0}, "follow_up_days", "business days"),
        ({"on_resolution_due": "shrug"}, "on_resolution_due", "shrug"),
        ({"conditions": {"colours": ["red"]}}, "conditions.colours", "no condition"),
        ({"conditions": {"severities": [5]}}, "conditions.severities", "severities"),
        ({"conditions": {"services": ["VPN"]}}, "conditions.services", "services"),
        ({"conditions": {"vip": "perhaps"}}, "conditions.vip", "perhaps"),
        ({"steps": (step(tier=3), step(name="Below"))}, "steps.2.tier", "tiers never fall"),
        ({"steps": (step(tier=9),)}, "steps.1.tier", "no tier"),
        ({"steps": (step(name=""),)}, "steps.1.name", "Step 1 needs a name"),
        ({"steps": (step(wait=0 * MIN),)}, "steps.1.wait", "longer than nothing"),
        ({"steps": (step(rounds=0),)}, "steps.1.rounds", "rounds"),
        ({"steps": (step(contact_list_ids=(7, 7)),)}, "steps.1.contact_list_ids", "twice"),
        ({"steps": (step(skip_when={"moon": ["full"]}),)}, "steps.1.skip_when.moon", "no condition"),
        (
            {"steps": (step(targets={2: (-MIN, None)}),)},
            "steps.1.targets.2.acknowledge_within",
            "Step 1 “Network”, SEV2",
        ),
        (
            {"steps": (step(targets={2: (None, dt.timedelta(days=4000))}),)},
            "steps.1.targets.2.work_within",
            "five years",
        ),
        ({"promises": {3: PromiseSpec(resolution=0 * MIN)}}, "promises.3.resolution", "SEV3"),
    ],
)
def test_a_problem_names_its_place_and_says_what_to_do(
    changes: dict[str, Any], field: str, words: str
) -> None:
    (problem,) = problems_of(path(**changes))
    assert problem.field == field
    assert words in problem.message
    assert problem.mend


def test_all_problems_are_found_at_once() -> None:
    spec = path(name="", steps=(step(tier=2, name=""), step(tier=1, wait=-MIN)))
    assert [problem.field for problem in problems_of(spec)] == [
        "name",
        "steps.1.name",
        "steps.2.wait",
        "steps.2.tier",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"steps": (step(targets=dict.fromkeys((1, 2, 3), (10 * MIN, 60 * MIN))),)},
            [
                ("severity_without_targets", "steps.1.targets.4.work_within"),
                ("top_without_work_time", "steps.1.targets.4.work_within"),
            ],
        ),
        (
            {"promises": dict.fromkeys((1, 2, 3), PromiseSpec(resolution=MIN))},
            [("severity_without_promise", "promises.4.first_response")],
        ),
        ({"steps": (step(team_id=None),)}, [("step_without_team", "steps.1.team_id")]),
        (
            {"steps": (step(contact_list_ids=(), targets={}), step())},
            [("step_nobody_answers", "steps.1.contact_list_ids")],
        ),
        (
            {"steps": (step(contact_list_ids=(8,)),)},
            [
                ("step_nobody_answers", "steps.1.contact_list_ids"),
                ("contact_without_method", "steps.1.contact_list_ids"),
            ],
        ),
        (
            {"steps": (step(targets={**dict.fromkeys(ALL, (10 * MIN, 60 * MIN)), 2: (90 * MIN, 60 * MIN)}),)},
            [("acknowledge_beyond_work", "steps.1.targets.2.acknowledge_within")],
        ),
        (
            {
                "steps": (
                    step(
                        rounds=6,
                        targets={**dict.fromkeys(ALL, (60 * MIN, 60 * MIN)), 1: (10 * MIN, 60 * MIN)},
                    ),
                )
            },
            [("rounds_do_not_fit", "steps.1.targets.1.acknowledge_within")],
        ),
        ({"steps": (step(), step(name="Core", skip_when={}))}, [("step_unreachable", "steps.2.skip_when")]),
        (
            {"conditions": {"severities": [1]}, "steps": (step(skip_when={"severities": [1, 2]}), step())},
            [("step_unreachable", "steps.1.skip_when")],
        ),
        ({"steps": (step(skip_when={"severities": [1]}), step())}, []),
        ({"is_default": True, "conditions": {"vip": True}}, [("default_conditions", "conditions")]),
    ],
)
def test_a_doubt_names_its_exact_place(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert doubts(path(**changes)) == expected


def test_severities_that_the_path_never_takes_need_no_targets() -> None:
    only_worst = step(targets={1: (10 * MIN, 60 * MIN)})
    spec = path(
        conditions={"severities": [1]}, steps=(only_worst,), promises={1: PromiseSpec(resolution=MIN)}
    )
    assert doubts(spec) == []


def test_a_list_that_reaches_nobody_at_one_severity_is_told_with_that_severity() -> None:
    only_worst = {
        7: ListFacts("On call", (EntryFacts("Ilse", reachable=True, severities=frozenset({1, 2, 3})),))
    }
    (doubt,) = lint(path(), lists=only_worst, fallback=PROVEN)
    assert (doubt.code, doubt.step, doubt.severity) == ("step_nobody_answers", 2, 4)
    assert "at SEV4" in doubt.message


def test_an_entry_told_only_after_the_last_round_reaches_nobody() -> None:
    late = {7: ListFacts("On call", (EntryFacts("Ilse", reachable=True, from_round=5),))}
    assert ("step_nobody_answers", "steps.2.contact_list_ids") in doubts(path(), lists=late)


def test_telling_in_turn_takes_a_wait_for_every_contact_of_every_round() -> None:
    entries = (
        EntryFacts("A", reachable=True),
        EntryFacts("B", reachable=True, from_round=2),
        EntryFacts("C", reachable=False),
    )
    in_turn = step(telling="in_turn", rounds=3, wait=2 * MIN)
    assert telling_time(in_turn, entries, 1) == 4 * 2 * MIN
    assert telling_time(replace(in_turn, telling="all"), entries, 1) == 2 * 2 * MIN
    assert telling_time(in_turn, entries[2:], 1) is None


@pytest.mark.parametrize(
    ("fallback", "codes"),
    [
        (FallbackFacts("Ilse", is_person=True, proven_methods=1), ["fallback_unproven"]),
        (FallbackFacts("Room", is_person=False, proven_methods=2), ["fallback_no_person"]),
    ],
)
def test_a_fallback_is_a_person_with_two_proven_methods(fallback: FallbackFacts, codes: list[str]) -> None:
    assert [code for code, _ in doubts(path(), fallback=fallback)] == codes


def test_a_path_behind_one_that_takes_everything_is_never_reached() -> None:
    behind = path(conditions={"services": [3]})
    assert doubts(behind, before=[("Greedy", {})]) == [("path_unreachable", "position")]
    assert doubts(behind, before=[("Other", {"services": [4]})]) == []
    assert doubts(replace(behind, is_active=False), before=[("Greedy", {})]) == []


@pytest.mark.parametrize(
    ("narrow", "wide", "verdict"),
    [
        ({}, {}, True),
        ({"severities": [1]}, {"severities": [1, 2]}, True),
        ({"severities": [1, 3]}, {"severities": [1, 2]}, False),
        ({}, {"severities": [1, 2]}, False),
        ({"vip": True, "tags": ["a"]}, {"vip": True}, True),
        ({"vip": False}, {"vip": True}, False),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, True),
    ],
)
def test_one_condition_implies_another_only_when_no_ticket_escapes(
    narrow: dict[str, Any], wide: dict[str, Any], verdict: bool
) -> None:
    assert implies(narrow, wide) is verdict
