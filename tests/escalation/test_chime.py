"""The engine comes at the instant when something is due, not half a second later."""

import datetime as dt
import threading
import time
from collections.abc import Iterator

import pytest

from core.db import database_now
from escalation import chime, engine, tasks
from escalation.chime import Chime, seconds_until_due
from escalation.models import Clock
from escalation.rules.pace import SMALLEST
from tests.house import MIN, House


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    rung: list[float] = []
    monkeypatch.setattr(chime, "ring", lambda *_: rung.append(time.monotonic()))
    yield rung
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(2)


def test_it_rings_once_at_the_earliest_of_what_it_was_asked_for(rings: list[float]) -> None:
    bell, began = Chime(), time.monotonic()

    for seconds in (0.6, 0.2, 0.4):
        assert bell.set(seconds)
    time.sleep(0.8)

    assert len(rings) == 1
    assert 0.2 <= rings[0] - began < 0.4


def test_after_it_has_rung_it_can_be_set_again(rings: list[float]) -> None:
    bell = Chime()

    bell.set(0.1)
    time.sleep(0.3)
    bell.set(0.1)
    time.sleep(0.3)

    assert len(rings) == 2


def test_what_beat_looks_for_in_time_is_left_to_beat(rings: list[float]) -> None:
    bell = Chime()

    assert not bell.set(None)
    assert not bell.set(1.0)
    assert not bell.set(3600.0)


def test_many_deadlines_in_a_row_are_taken_together(rings: list[float]) -> None:
    bell, began = Chime(), time.monotonic()

    bell.set(0.001)
    time.sleep(0.3)

    assert rings[0] - began >= chime.NEAREST


def test_the_next_deadline_is_told_in_seconds_and_what_is_over_is_not(house: House) -> None:
    now = database_now()
    ticket = house.open(at=now)
    assert seconds_until_due(after=now + dt.timedelta(days=9)) is None

    Clock.objects.filter(ticket=ticket, kind="tier_time").update(fires_at=now + dt.timedelta(seconds=5))
    seconds = seconds_until_due(after=now)

    assert seconds is not None
    assert 4 < seconds <= 5
    # A clock that is due and that somebody holds is no reason to ring ten times a second.
    assert seconds_until_due(after=now + dt.timedelta(seconds=5)) != seconds


@pytest.mark.django_db(transaction=True)
def test_a_tick_sets_the_chime_for_what_is_due_within_the_second(
    transactional_db: None, rings: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.house import build_house

    monkeypatch.setattr(chime, "chime", Chime())
    ticket = build_house().open(at=database_now())
    due = database_now() + dt.timedelta(seconds=0.5)
    Clock.objects.filter(ticket=ticket, kind="tier_time").update(
        fires_at=due, due_at=due, warned_at=due - 5 * MIN
    )

    left = (due - database_now()).total_seconds()
    asked = time.monotonic()
    tasks.tick()
    time.sleep(0.8)

    assert len(rings) == 1
    # At the instant it is due, give or take what this machine is late.
    assert left - 0.05 <= rings[0] - asked <= left + 0.25


@pytest.mark.parametrize(("due", "asked"), [(SMALLEST, 1), (3, 0)])
def test_a_tick_with_much_to_do_asks_others_to_share_it(
    house: House, monkeypatch: pytest.MonkeyPatch, due: int, asked: int
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(engine, "wake", woken.append)
    for _ in range(due):
        house.open()

    report = engine.tick(now=house.now + 30 * MIN)

    assert report.tickets == due
    assert len(woken) == asked
