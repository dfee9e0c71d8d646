"""The engine's laws, one test each, on random histories (DESIGN 3); and that it does what the model says.

tests/model/laws.py says what each law looks at, tests/model/model.py is the second telling of the rules.
"""

import os

import pytest

from tests.model.exploring import explore, hold, shrink
from tests.model.histories import History
from tests.model.judging import AGREE, Verdict, judge
from tests.model.real import Names

# How many histories the long proof plays, and how many of them in one test.
MANY = int(os.environ.get("BELAY_HISTORIES", "750"))
OF_A_CHUNK = 25

# What chance seldom brings about, and has told something once.
KEPT = {
    "finished while it waited, reopened, then another severity": History(
        beginning=0,
        variants=(0, 0, 0, 0),
        steps=(
            ("open", 1, 0, 0),
            ("hop", 2),
            ("park", 0, 0),
            ("hop", 3),
            ("status", 0, 3, 0),
            ("hop", 3),
            ("status", 0, 0, 0),
            ("severity", 0, 1),
        ),
    ),
    "a new clock is due at the very claim that starts it": History(
        beginning=2,
        variants=(0, 0, 0, 0),
        steps=(("open", 3, 0, 0), ("hop", 0), ("hop", 0), ("hop", 2), ("tick", 0), ("run", 1, 0)),
    ),
    "reopened under an incident where nobody would be told later": History(
        beginning=0,
        variants=(0, 0, 0, 0),
        steps=(
            ("open", 0, 0, 0),
            ("open", 2, 0, 1),
            ("link", 0, 1, 0, 0),
            ("status", 1, 3, 0),
            ("status", 1, 0, 0),
            ("hop", 3),
            ("unlink", 0, 0, 0),
            ("run", 2, 0),
        ),
    ),
    "linked in the middle of a wait": History(
        beginning=2,
        variants=(0, 0, 0, 0),
        steps=(
            ("open", 1, 0, 0),
            ("open", 1, 0, 0),
            ("hand_up", 1, 0),
            ("hop", 1),
            ("link", 0, 1, 0, 0),
            ("hop", 3),
            ("unlink", 0, 0, 0),
            ("run", 3, 0),
        ),
    ),
    "merged into one that is linked to an incident, which is updated, and over": History(
        beginning=2,
        variants=(0, 0, 0, 0),
        steps=(
            ("open", 0, 0, 0),
            ("open", 0, 0, 0),
            ("open", 2, 1, 0),
            ("hop", 1),
            ("link", 0, 1, 0, 0),
            ("merge", 1, 0, 0, 0),
            ("incident", 0, 0, 0),
            ("hop", 1),
            ("tick", 0),
            ("incident", 0, 4, 0),
            ("run", 3, 0),
        ),
    ),
}


@pytest.mark.parametrize("history", KEPT.values(), ids=KEPT.keys())
def test_kept_histories_break_no_law(names: Names, history: History) -> None:
    for law, script in judge(names, history).broken.items():
        pytest.fail(f"{law}\n{script}")


def test_engine_and_model_agree_on_every_history(request: pytest.FixtureRequest) -> None:
    hold(request, AGREE)


def test_seq_rises_by_one(request: pytest.FixtureRequest) -> None:
    hold(request, "seq rises by one")


def test_acknowledged_before_the_claim_means_nobody_else_is_told(request: pytest.FixtureRequest) -> None:
    hold(request, "acknowledged before the claim means nobody else is told")


def test_no_step_is_silent(request: pytest.FixtureRequest) -> None:
    hold(request, "no step is silent")


def test_no_ticket_is_without_a_clock_and_a_next_person_waiting_or_not(
    request: pytest.FixtureRequest,
) -> None:
    hold(request, "no ticket without a clock and a next person")


def test_one_step_per_claim_however_many_clocks_are_due(request: pytest.FixtureRequest) -> None:
    hold(request, "one step per claim")


def test_automatic_steps_are_bounded(request: pytest.FixtureRequest) -> None:
    hold(request, "automatic steps are bounded")


def test_pause_and_resume_conserve_the_budget(request: pytest.FixtureRequest) -> None:
    hold(request, "pauses conserve the budget")


def test_edits_never_move_running_clocks(request: pytest.FixtureRequest) -> None:
    hold(request, "edits move no running clock")


def test_every_outbox_row_ends_in_a_final_state(request: pytest.FixtureRequest) -> None:
    hold(request, "every outbox row ends")


def test_a_merged_ticket_is_at_rest_and_its_survivor_takes_over(request: pytest.FixtureRequest) -> None:
    hold(request, "merged tickets rest, survivors take over")


def test_a_linked_ticket_stands_still_while_its_incident_goes_on(request: pytest.FixtureRequest) -> None:
    hold(request, "linked tickets stand still")


def test_an_update_of_an_incident_reaches_every_requester_once(request: pytest.FixtureRequest) -> None:
    hold(request, "an update reaches every requester once")


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(-(-MANY // OF_A_CHUNK)))
def test_every_law_holds_on_many_more_histories(names: Names, chunk: int) -> None:
    number, total = 1000 + chunk, Verdict()
    explore(number, OF_A_CHUNK, lambda history: total.add(judge(names, history)))
    print(f"{OF_A_CHUNK} histories (seed {number}): {dict(total.applied)}")
    for law, script in total.broken.items():
        shrink(names, law, number, OF_A_CHUNK)
        pytest.fail(f"{law} (seed {number}), not the same when played again:\n{script}")
