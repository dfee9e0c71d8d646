"""A change of open tickets beside the engine, beside itself and beside a click: two real connections at a time."""

import threading

import pytest
from django.db import connection, transaction

from core.db import database_now
from escalation import kinds, recomputing
from escalation.engine import tick
from escalation.models import Clock, Escalation, PathVersion, Standing
from escalation.operations.recomputing import stop_job
from tests.escalation.looking import due, fresh
from tests.escalation.test_recomputing import begun, longer, on_version
from tests.helpers import race
from tests.house import MIN, House, build_house
from tickets.models import Event, Ticket
from tickets.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(transactional_db: None) -> House:
    return build_house()


def test_the_engine_and_the_change_decide_each_ticket_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(recomputing, "BATCH", 3)
    start = database_now() - 31 * MIN
    tickets = [house.open(at=start) for _ in range(24)]
    second = longer(house)
    job = begun(house)

    race(lambda: recomputing.run(job.pk), tick, tick)

    job.refresh_from_db()
    assert (job.state, job.moved, job.failed) == ("done", 24, 0)
    assert on_version(second) == 24
    for ticket in tickets:
        seqs = list(Escalation.objects.filter(ticket=ticket).values_list("seq", flat=True).order_by("seq"))
        found = fresh(ticket)
        # Climbed before it was reached, or given its 50 minutes: one or the other.
        assert (seqs, found.tier) in (([0, 1], 2), ([0], 1))
        if found.tier == 1:
            assert due(ticket, "tier_time") == start + 50 * MIN
        steps = Clock.objects.filter(ticket=ticket, state="running", seq__isnull=False)
        assert set(steps.values_list("step", flat=True)) == {Standing.objects.get(ticket=ticket).step_id}
    assert list(verify()) == []


def test_two_workers_at_one_job_change_each_ticket_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(recomputing, "BATCH", 2)
    for _ in range(12):
        house.open()
    longer(house)
    job = begun(house)

    race(lambda: recomputing.run(job.pk), lambda: recomputing.run(job.pk))

    job.refresh_from_db()
    assert (job.state, job.moved) == ("done", 12)
    assert Event.objects.filter(kind=kinds.APPLIED).count() == 12


def test_a_click_on_stop_waits_for_the_batch_and_ends_it(house: House) -> None:
    for _ in range(3):
        house.open()
    longer(house)
    job = begun(house)
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Ticket.objects.select_for_update().first()
            holding.set()
            done.wait(10)
        connection.close()

    def work() -> None:
        recomputing.run(job.pk)
        connection.close()

    holder, worker = threading.Thread(target=hold), threading.Thread(target=work)
    holder.start()
    assert holding.wait(10)
    worker.start()
    done.set()
    stop_job(job_id=job.pk, actor=house.admin, now=house.now)
    holder.join()
    worker.join()

    job.refresh_from_db()
    assert job.state in ("stopped", "done")
    assert on_version(house.path or PathVersion()) in (0, 3)
    assert job.moved == on_version(house.path or PathVersion())
