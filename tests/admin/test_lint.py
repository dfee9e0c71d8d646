"""What keeps a path from being published, and what is doubtful about it; pure."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from escalation.rules.lint import (
    CalendarFacts,
    Doubt,
    EntryFacts,
    FallbackFacts,
    ListFacts,
    at_least,
    implies,
    lint,
    schedule,
)
from escalation.rules.problems import problems_of
from escalation.rules.specs import PathSpec, PromiseSpec, StepSpec

MIN = dt.timedelta(minutes=1)
ALL = (1, 2, 3, 4)
LISTS = {
    7: ListFacts("On call", (EntryFacts("Ilse", reachable=True), EntryFacts("Tomas", reachable=True))),
    8: ListFacts("Nobody home", (EntryFacts("Gone", reachable=False),)),
}
PROVEN = FallbackFacts("Omar", is_person=True, proven_methods=2)


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
            [("severity_without_targets", "steps.1.targets.4.work_within")],
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
        # Skipping says where a ticket starts: what lies above is climbed to all the same.
        ({"steps": (step(), step(name="Core", skip_when={}), step(name="Top"))}, []),
        (
            {"steps": (step(skip_when={}), step(name="Core", skip_when={}), step(name="Top"))},
            [("step_unreachable", "steps.1.skip_when"), ("step_unreachable", "steps.2.skip_when")],
        ),
        # Somebody has to be the last one, skipped or not.
        ({"steps": (step(skip_when={}),)}, []),
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


def only(**changes: Any) -> Doubt:
    """Return the one doubt about a path of a desk and the step that is changed."""
    facts: dict[str, Any] = {
        "lists": changes.pop("lists", LISTS),
        "fallback": changes.pop("fallback", PROVEN),
    }
    (doubt,) = lint(path(**changes), **facts)
    return doubt


@pytest.mark.parametrize(
    ("acknowledge", "level", "words"),
    [
        (10 * MIN, "warning", "from round 5 on."),
        (None, "error", "from round 5 on: the fallback contact is told instead."),
    ],
)
def test_an_entry_told_only_after_the_last_round_is_never_told_as_planned(
    acknowledge: dt.timedelta | None, level: str, words: str
) -> None:
    late = {7: ListFacts("On call", (EntryFacts("Ilse", reachable=True, from_round=5),))}
    steps = (step(tier=1), step(targets=dict.fromkeys(ALL, (acknowledge, 60 * MIN))))
    doubts_found = lint(path(steps=steps), lists=late, fallback=PROVEN)
    last = doubts_found[-1]
    assert (last.code, last.level, last.field) == ("entry_beyond_rounds", level, "steps.2.rounds")
    assert last.message.endswith(words)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((), "its contact lists are empty"),
        (
            (EntryFacts("Ilse", reachable=True, failing=True),),
            "what is sent to those on its contact lists fails",
        ),
        ((EntryFacts("Ilse", reachable=False),), "no entry of its contact lists can be told"),
    ],
)
def test_a_step_that_reaches_nobody_says_why_and_who_is_told_instead(
    entries: tuple[EntryFacts, ...], words: str
) -> None:
    found = lint(path(), lists={7: ListFacts("On call", entries)}, fallback=PROVEN)
    assert (found[0].code, found[0].level) == ("step_nobody_answers", "error")
    assert words in found[0].message
    assert "The fallback “Omar” is told instead." in found[0].message
    gone = replace(PROVEN, unreachable="is switched off")
    found = lint(path(), lists={7: ListFacts("On call", entries)}, fallback=gone)
    assert "The fallback “Omar” is not there either." in found[0].message


def test_an_empty_list_beside_one_with_people_is_told_once() -> None:
    spec = path(steps=(step(contact_list_ids=(9, 7)), step(name="Top", contact_list_ids=(7, 9))))
    found = lint(spec, lists={**LISTS, 9: ListFacts("Empty", ())}, fallback=PROVEN)
    assert [(doubt.code, doubt.level, doubt.field) for doubt in found] == [
        ("list_empty", "warning", "steps.1.contact_list_ids")
    ]


@pytest.mark.parametrize(
    ("entry", "code", "words"),
    [
        (
            EntryFacts("Lead of Core", reachable=False, why="Core has no lead", mend="Name one."),
            "contact_without_method",
            "Lead of Core on “On call” can't be told: Core has no lead.",
        ),
        (
            EntryFacts("Ann", reachable=True, failing=True, why="every message fails, since 1 May 2026"),
            "contact_failing",
            "Ann on “On call” can't be told: every message fails, since 1 May 2026.",
        ),
    ],
)
def test_somebody_who_cannot_be_told_is_named_with_the_reason(
    entry: EntryFacts, code: str, words: str
) -> None:
    lists = {7: ListFacts("On call", (EntryFacts("Tomas", reachable=True), entry))}
    doubt = only(lists=lists)
    assert (doubt.code, doubt.level, doubt.message) == (code, "warning", words)
    assert doubt.mend == entry.mend


# --- a loop of fallbacks ------------------------------------------------------------------------------------------

OMAR = EntryFacts("Omar", reachable=True)
ILSE = EntryFacts("Ilse", reachable=True)


@pytest.mark.parametrize(
    ("entries", "loops"),
    [
        ((OMAR,), True),
        # Whoever can't be told is no help beside him.
        ((OMAR, EntryFacts("Gone", reachable=False)), True),
        ((OMAR, EntryFacts("Deaf", reachable=True, failing=True)), True),
        # A role that is Omar himself today.
        ((EntryFacts("Lead of Core", reachable=True, person="Omar"), OMAR), True),
        ((OMAR, ILSE), False),
        ((OMAR, replace(ILSE, from_round=2)), False),
        ((ILSE,), False),
        ((replace(OMAR, reachable=False),), False),
    ],
)
def test_a_fallback_is_a_loop_where_everybody_it_stands_in_for_is_itself(
    entries: tuple[EntryFacts, ...], loops: bool
) -> None:
    spec = path(steps=(step(), step(name="Top", contact_list_ids=(9,))))
    found = lint(
        spec, lists={7: ListFacts("On call", entries), 9: ListFacts("Top", (ILSE,))}, fallback=PROVEN
    )
    assert [(d.level, d.field) for d in found if d.code == "fallback_loop"] == (
        [("error", "steps.1.contact_list_ids")] if loops else []
    )


def test_a_loop_at_the_top_is_less_bad_because_the_admins_are_told_too() -> None:
    doubt = only(lists={7: ListFacts("On call", (OMAR,))})
    assert (doubt.code, doubt.level, doubt.step) == ("fallback_loop", "warning", 2)


def test_a_loop_at_one_severity_is_told_with_that_severity() -> None:
    lists = {7: ListFacts("On call", (OMAR, replace(ILSE, severities=frozenset({1, 2, 3}))))}
    doubt = only(lists=lists)
    assert (doubt.code, doubt.severity) == ("fallback_loop", 4)
    assert "at SEV4 reaches only Omar" in doubt.message


# --- where a ticket would stay ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_due", "promise", "level", "words"),
    [
        ("climb", PromiseSpec(resolution=MIN), "warning", "only a missed service target moves a ticket on"),
        ("tell_lead", PromiseSpec(resolution=MIN), "error", "stays until somebody moves it"),
        ("climb", PromiseSpec(first_response=MIN), "error", "stays until somebody moves it"),
    ],
)
def test_a_step_without_any_time_holds_tickets_for_ever(
    on_due: str, promise: PromiseSpec, level: str, words: str
) -> None:
    desk = step(name="Desk", tier=1, contact_list_ids=(), targets=dict.fromkeys((1, 2, 3), (None, 60 * MIN)))
    doubt = only(steps=(desk, step()), promises=dict.fromkeys(ALL, promise), on_resolution_due=on_due)
    assert (doubt.code, doubt.level, doubt.field) == (
        "step_without_clock",
        level,
        "steps.1.targets.4.work_within",
    )
    assert words in doubt.message


def test_a_severity_that_skips_a_step_needs_no_time_there() -> None:
    desk = step(
        name="Desk",
        tier=1,
        contact_list_ids=(),
        skip_when={"severities": [1]},
        targets=dict.fromkeys((2, 3, 4), (None, 60 * MIN)),
    )
    assert doubts(path(steps=(desk, step()))) == []


@pytest.mark.parametrize(
    ("last", "code", "level"),
    [
        ({"contact_list_ids": ()}, "top_tells_nobody", "error"),
        ({"targets": dict.fromkeys(ALL, (10 * MIN, None))}, "top_without_work_time", "warning"),
        (
            {"targets": {**dict.fromkeys((1, 2, 3), (10 * MIN, 60 * MIN)), 4: (None, None)}},
            "top_without_work_time",
            "error",
        ),
    ],
)
def test_the_last_step_must_go_on_telling_somebody(last: dict[str, Any], code: str, level: str) -> None:
    doubt = only(steps=(step(), step(name="Top", **last)))
    assert (doubt.code, doubt.level) == (code, level)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # 0, 2, 4, 6 and 8 min fit into ten; the sixth round does not.
        ({"rounds": 6}, "its last round begins only after 10 min, as the step begins anew after 10 min"),
        (
            {"telling": "in_turn", "wait": 10 * MIN},
            "Tomas is never told, as the step begins anew after 10 min",
        ),
    ],
)
def test_rounds_beyond_the_time_to_acknowledge_say_who_is_not_told(
    changes: dict[str, Any], words: str
) -> None:
    doubt = only(steps=(step(**changes),))
    assert (doubt.code, doubt.severity) == ("rounds_do_not_fit", None)
    assert words in doubt.message
    assert "SEV1, SEV2, SEV3 and SEV4" in doubt.message


# --- nights -------------------------------------------------------------------------------------------------------

OFFICE, ALWAYS = CalendarFacts("Office hours", always=False), CalendarFacts("24x7", always=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("sev1_waits_for_morning", "sev1_round_the_clock")]),
        ({"sev1_round_the_clock": True}, []),
        ({"conditions": {"severities": [2, 3]}}, []),
        ({"calendar_id": 2}, []),
        # Nobody is there by night at any step: the house wants it so.
        ({"steps": (step(), step(name="Top"))}, []),
    ],
)
def test_a_sev1_of_the_night_must_not_wait_below_people_who_are_there(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    spec = path(
        **{"sev1_round_the_clock": False, "steps": (step(), step(name="Top", calendar_id=2)), **changes}
    )
    assert doubts(spec, calendars={1: OFFICE, 2: ALWAYS}) == expected


def test_every_doubt_says_what_to_do_and_levels_are_in_order() -> None:
    spec = path(steps=(step(contact_list_ids=(8,)), step(targets={})), promises={})
    found = lint(spec, lists=LISTS, fallback=FallbackFacts("Room", is_person=False, proven_methods=0))
    assert len(found) > 5
    assert all(doubt.mend.endswith(".") and doubt.message.endswith(".") for doubt in found)
    errors = at_least(found, "error")
    assert 0 < len(errors) < len(at_least(found, "warning")) == len(found)


def test_telling_in_turn_takes_a_wait_for_every_contact_of_every_round() -> None:
    entries = (
        EntryFacts("A", reachable=True),
        EntryFacts("B", reachable=True, from_round=2),
        EntryFacts("C", reachable=False),
    )
    in_turn = step(telling="in_turn", rounds=3, wait=2 * MIN)
    assert schedule(in_turn, entries, 1)[-1][0] == 4 * 2 * MIN
    assert schedule(replace(in_turn, telling="all"), entries, 1)[-1][0] == 2 * 2 * MIN
    assert schedule(in_turn, entries[2:], 1) == []


@pytest.mark.parametrize(
    ("fallback", "codes"),
    [
        (FallbackFacts("Ilse", is_person=True, proven_methods=1), ["fallback_unproven"]),
        (FallbackFacts("Room", is_person=False, proven_methods=2), ["fallback_no_person"]),
        (
            FallbackFacts("Lead", is_person=False, proven_methods=0, unreachable="is a role"),
            ["fallback_unreachable"],
        ),
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
