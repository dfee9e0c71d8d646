"""Workers and beat are killed, doubled and left dead: nothing is lost, nothing decided twice, nobody waits."""

import datetime as dt
import os
import signal
import time

import pytest

from escalation.models import Escalation
from notifications.engine import SENDERS
from tests.chaos.counting import Prove, climbed, open_due, outcome, wait_until_climbed, wait_until_sent
from tests.chaos.faults import kill_before_commit, kill_pool, wait_for_commit
from tests.chaos.installation import Installation, children_of, wait_for
from tests.helpers import patience
from tests.house import House

SECOND = dt.timedelta(seconds=1)
# The pacemaker looks every second and steps in after three; then comes the tick itself.
LATEST_BY_PACEMAKER = 6.0


@pytest.mark.slow
def test_a_pool_killed_before_and_after_its_commits_loses_and_repeats_nothing(
    installation: Installation, house: House, prove: Prove
) -> None:
    engine, *_ = installation.start("engine", "delivery", "beat")
    installation.wait_for_ticks()
    ids: list[int] = []
    before = after = 0

    began = time.monotonic()
    for _ in range(6):
        wave = open_due(house, 50, ago=-SECOND / 2)
        before += kill_before_commit(installation, wave, lambda: kill_pool(engine.pid))
        ids += wave
        wait_until_climbed(wave, 30)
        wave = open_due(house, 50)
        wait_for_commit(wave)
        after += kill_pool(engine.pid)
        ids += wave
    wait_until_climbed(ids, 60)
    seconds = time.monotonic() - began
    wait_until_sent(120)

    counted = outcome(installation, ids)
    prove(
        "kill -9 of the engine's pool",
        f"{before} batches cut off before commit, {after} processes killed after one, {len(ids)} due",
        counted,
        f"{climbed(ids)}/{len(ids)} within {seconds:.0f} s",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0


@pytest.mark.slow
def test_a_worker_killed_whole_is_covered_and_started_again(
    installation: Installation, house: House, prove: Prove
) -> None:
    supervisor = installation.supervise("engine", "delivery", "beat", "pacemaker")
    installation.wait_for_ticks()
    ids: list[int] = []
    waits: list[float] = []
    killed: list[int] = []

    def kill() -> None:
        worker = wait_for("the engine's worker", lambda: installation.pid_of(supervisor, "engine"))
        killed.append(worker)
        os.killpg(worker, signal.SIGKILL)

    for number in range(6):
        wave = open_due(house, 40, ago=-SECOND)
        if number % 2:
            wait_for_commit(wave)
            kill()
        else:
            kill_before_commit(installation, wave, kill)
        ids += wave
        waits.append(wait_until_climbed(wave, 20))
        # The next one is to hit a worker again, not the pacemaker that stands in for it.
        wait_for(
            "the worker's return", lambda: installation.pid_of(supervisor, "engine") not in (None, killed[-1])
        )
        wait_for("its pool", lambda: len(children_of(installation.pid_of(supervisor, "engine") or 0)) == 2)
    wait_until_sent(120)

    counted = outcome(installation, ids)
    prove(
        "kill -9 of the whole engine worker",
        f"{len(killed)} kills (before and after commit) over {len(ids)} due",
        counted,
        f"all climbed at most {max(waits):.1f} s after the kill",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert max(waits) < patience(LATEST_BY_PACEMAKER + 3)


@pytest.mark.slow
@pytest.mark.parametrize("dead", [("beat",), ("engine",), ("beat", "engine", "delivery")])
def test_the_pacemaker_ticks_while_beat_or_workers_are_dead(
    installation: Installation, house: House, prove: Prove, dead: tuple[str, ...]
) -> None:
    installation.start("engine", "delivery", "beat", "pacemaker")
    installation.wait_for_ticks()
    ids = [pk for number in range(10) for pk in open_due(house, 10, ago=-(3 + number) * SECOND)]

    began = time.monotonic()
    for one in installation.running:
        if one.name in dead:
            one.kill()
    wait_until_climbed(ids, 40)
    seconds = time.monotonic() - began
    installation.start(*dead)
    wait_until_sent(90)
    time.sleep(3)

    counted = outcome(installation, ids)
    prove(
        f"{' and '.join(dead)} dead",
        f"{len(dead)} killed and not started again, {len(ids)} due meanwhile",
        counted,
        f"{climbed(ids)}/{len(ids)} within {seconds:.0f} s",
    )
    assert counted.holds, counted
    # What delivery had on the wire when it was killed.
    assert counted.duplicates <= (SENDERS if "delivery" in dead else 0)
    assert counted.latest < patience(LATEST_BY_PACEMAKER)


@pytest.mark.slow
def test_three_beats_four_workers_and_two_pacemakers_decide_everything_once(
    installation: Installation, house: House, prove: Prove
) -> None:
    ids = open_due(house, 400, ago=-15 * SECOND)
    installation.start("beat", "beat", "beat", "engine", "engine", "engine", "delivery", "delivery")
    installation.start("pacemaker", "pacemaker")
    installation.wait_for_ticks(60)
    for number in range(10):
        ids += open_due(house, 20, ago=-number * SECOND)

    seconds = wait_until_climbed(ids, 60)
    wait_until_sent(120)

    counted = outcome(installation, ids)
    prove(
        "three beats at once",
        f"3 beats, 3 engine and 2 delivery workers, 2 pacemakers, {len(ids)} due",
        counted,
        f"{climbed(ids)}/{len(ids)} within {seconds:.0f} s",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert Escalation.objects.filter(ticket__in=ids, seq__gt=1).count() == 0
