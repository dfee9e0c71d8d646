"""What senders do between two messages: several are served by one statement, and nobody pays for another's trouble."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from core.db import database_now
from notifications import leasing
from notifications.desk import Desk
from notifications.leasing import Hold, Leased, Outcome
from notifications.models import Notification
from notifications.operations import withdraw
from tests.helpers import race
from tests.notifications.cast import queued

pytestmark = pytest.mark.django_db(transaction=True)

State = Notification.State


def lease(count: int) -> list[Leased]:
    for number in range(count):
        queued(f"person{number}@example.org")
    token = uuid.uuid4()
    return leasing.load(leasing.claim(token=token, now=database_now()), token)


def sent(leased: Leased) -> Outcome:
    return Outcome(leased, State.SENT, "250 OK")


def states(rows: Sequence[Leased]) -> list[str]:
    return [Notification.objects.get(pk=leased.row.pk).state for leased in rows]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For how many outcomes each statement at the desk was."""
    counts: list[int] = []
    exchange = leasing.exchange

    def watched(outcomes: Sequence[Outcome], wanted: Sequence[Leased], **more: Any) -> Any:
        counts.append(len(outcomes))
        return exchange(outcomes, wanted, **more)

    monkeypatch.setattr(leasing, "exchange", watched)
    return counts


def together(desk: Desk, *visits: tuple[Outcome | None, Leased | None]) -> list[Any]:
    """Let several come while somebody is being served, so that the first of them finds all of them waiting."""

    def call(outcome: Outcome | None, wanted: Leased | None) -> Callable[[], Any]:
        return lambda: desk.visit(outcome, wanted)

    def open_up() -> None:
        deadline = time.monotonic() + 5
        while len(desk._queue) < len(visits):
            assert time.monotonic() < deadline, "they did not come"
            time.sleep(0.005)
        desk._serving.release()

    desk._serving.acquire()
    return race(*(call(*visit) for visit in visits), open_up)[:-1]


def test_who_waits_together_is_served_by_one_statement(served: list[int]) -> None:
    first, second, third, next_one = rows = lease(4)

    held = together(Desk(), (sent(first), None), (sent(second), next_one), (sent(third), None))

    assert served == [3]
    assert states(rows) == [State.SENT, State.SENT, State.SENT, State.SENDING]
    assert held == [None, Hold.OURS, None]
    assert [leased.row.deliveries.count() for leased in rows] == [1, 1, 1, 0]


def test_a_row_that_somebody_has_locked_holds_up_only_its_own_sender(served: list[int]) -> None:
    locked, free = lease(2)
    desk, ready, done = Desk(), threading.Event(), threading.Event()

    def hold_lock() -> None:
        with transaction.atomic():
            Notification.objects.select_for_update().get(pk=locked.row.pk)
            ready.set()
            assert done.wait(5), "the other sender was held up"

    def come() -> list[Any]:
        assert ready.wait(5)
        return together(desk, (sent(locked), None), (sent(free), None))

    def watch() -> None:
        assert ready.wait(5)
        deadline = time.monotonic() + 4
        while states([free]) != [State.SENT]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        done.set()

    outcome = race(hold_lock, come, watch)

    assert outcome == [None, [None, None], None]
    assert states([locked, free]) == [State.SENT, State.SENT]
    # Both at once, then the one that was locked alone.
    assert served == [2, 1]


def test_an_outcome_that_cant_be_written_costs_only_its_own_sender() -> None:
    broken, fine = lease(2)

    results = together(Desk(), (Outcome(broken, "nonsense", ""), None), (sent(fine), None))

    assert isinstance(results[0], IntegrityError)
    assert results[1] is None
    assert states([broken, fine]) == [State.SENDING, State.SENT]


def test_a_lost_database_is_told_and_the_next_visit_works() -> None:
    first, second = lease(2)
    desk = Desk()

    def cut_off() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        race(lambda: _end(pid))
        desk.visit(sent(first), second)

    (error,) = race(cut_off)
    held = desk.visit(sent(first), second)

    assert isinstance(error, Exception)
    assert held is Hold.OURS
    assert states([first, second]) == [State.SENT, State.SENDING]


def _end(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_what_was_sent_is_settled_whatever_became_of_the_next() -> None:
    first, lost, second, gone = lease(4)
    Notification.objects.filter(pk=lost.row.pk).update(lease_token=uuid.uuid4())
    Notification.objects.filter(pk=gone.row.pk).update(group="telling:1:0")
    withdraw(groups=["telling:1:0"], now=database_now())
    desk = Desk()

    held = [desk.visit(sent(first), lost), desk.visit(sent(second), gone)]

    assert held == [Hold.LOST, Hold.WITHDRAWN]
    assert states([first, second]) == [State.SENT, State.SENT]


def test_a_lease_that_was_lost_settles_nothing() -> None:
    (lost,) = lease(1)
    other = uuid.uuid4()
    Notification.objects.filter(pk=lost.row.pk).update(lease_token=other)

    Desk().visit(sent(lost), None)

    row = Notification.objects.get(pk=lost.row.pk)
    assert (row.state, row.lease_token, row.deliveries.count()) == (State.SENDING, other, 0)
