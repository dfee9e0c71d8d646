"""PostgreSQL is restarted in the midst of work: processes reconnect by themselves, everything is decided once."""

import time
from collections.abc import Callable

import pytest

from notifications.engine import SENDERS
from tests.chaos.counting import (
    Prove,
    celery_ticks_again,
    climbed,
    open_due,
    outcome,
    wait_until_climbed,
    wait_until_sent,
)
from tests.chaos.faults import crash, stop_fast
from tests.chaos.installation import Ground, Installation, wait_for
from tests.chaos.people import clicker
from tests.house import House


@pytest.mark.slow
@pytest.mark.parametrize("stop", [stop_fast, crash])
def test_a_restart_of_the_database_amid_the_drain_costs_seconds_and_nothing_else(
    durable: Installation, house: House, prove: Prove, stop: Callable[[Ground], None]
) -> None:
    durable.start("web", "engine", "delivery", "beat")
    (pacemaker,) = durable.start("pacemaker")
    durable.wait_for_ticks(60)
    person = clicker(durable, house)
    ids: list[int] = []
    restarts = 3
    # Of the worker, and of the pacemaker that steps in for it.
    on_the_wire = restarts * 2 * SENDERS

    began = time.monotonic()
    for _ in range(restarts):
        wave = open_due(house, 120)
        ids += wave
        wait_for("the first of them", lambda wave=wave: climbed(wave))
        stop(durable.ground)
        person.click()
        time.sleep(1)
        durable.ground.start_postgres(durable=True)
    assert len(person.failed) == restarts
    wait_until_climbed(ids, 60)
    seconds = time.monotonic() - began
    pacemaker.kill()
    back = celery_ticks_again(60)
    # What the dead sessions had leased comes back when the lease runs out.
    wait_until_sent(150)
    person.failed.clear()
    for _ in range(10):
        person.click()

    counted = outcome(durable, ids)
    prove(
        f"PostgreSQL: {'fast restart' if stop is stop_fast else 'kill -9, crash recovery'}",
        f"{restarts} amid {len(ids)} due, at most {on_the_wire} mails on the wire",
        counted,
        f"{climbed(ids)}/{len(ids)} within {seconds:.0f} s, Celery's own ticks {back:.0f} s later",
    )
    assert counted.holds, counted
    # At most what was on the wire at each cut.
    assert counted.duplicates <= on_the_wire
    assert person.failed == []
