"""However many workers take the work, and in whatever order, the trace is that of one (DESIGN 3, exactly once)."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction

from escalation.engine import tick
from tests import databases
from tests.helpers import race
from tests.model import world
from tests.model.exploring import explore
from tests.model.histories import History, Play
from tests.model.model import Model
from tests.model.real import Names, Real, build_world


def trace(names: Names, history: History, split: int | None) -> list[Any]:
    """Return all that a history leaves behind, its ticks made in batches (`split`) or by one worker."""
    with transaction.atomic():
        play = Play(history, Model(world.BEGINNINGS[history.beginning]), Real(names), split=split)
        left: list[Any] = [
            (
                moment.name,
                sorted(moment.after.events, key=repr),
                sorted(moment.after.outbox, key=repr),
                moment.after.tickets,
            )
            for moment in play.run()
        ]
        transaction.set_rollback(True)
    return left


def batches_give_the_trace_of_one(
    names: Names, number: int, many: int, splits: Sequence[int] = (1, 5)
) -> None:
    def look(history: History) -> None:
        one = trace(names, history, split=0)
        for split in splits:
            assert trace(names, history, split) == one, repr(history)

    explore(number, many, look)


def test_batches_in_any_order_give_the_trace_of_one_worker(names: Names) -> None:
    batches_give_the_trace_of_one(names, number=7, many=2)


class Racing(Real):
    """The same, but every tick is made by several workers at once, each on a connection of its own."""

    workers = 3

    def tick(self, now: Any, parts: Any = ()) -> None:
        outcomes = race(*[lambda: tick(now=now)] * self.workers)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes


def workers_give_the_trace_of_one(number: int, many: int) -> None:
    def look(history: History) -> None:
        databases.renew()
        opens = tuple(("open", n, n % 2, 0) for n in range(4))
        crowded = History(history.beginning, history.variants, (*opens, *history.steps))
        play = Play(crowded, Model(world.BEGINNINGS[history.beginning]), Racing(build_world()))
        for _ in play.run():
            pass
        assert not play.parted, play.told(play.parted)

    explore(number, many, look)


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_give_the_trace_of_one() -> None:
    workers_give_the_trace_of_one(number=1, many=2)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(6))
def test_batches_in_any_order_give_the_trace_of_one_worker_on_more_histories(
    names: Names, chunk: int
) -> None:
    batches_give_the_trace_of_one(names, number=2000 + chunk, many=6, splits=(1, 3, 4, 5))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(5))
@pytest.mark.django_db(transaction=True)
def test_workers_at_once_give_the_trace_of_one_on_more_histories(chunk: int) -> None:
    workers_give_the_trace_of_one(number=3000 + chunk, many=6)
