"""The broker is stopped, frozen, wiped and restarted: ticks go on, clicks do not wait, nothing happens twice."""

import datetime as dt
import time
from collections.abc import Callable

import pytest
from celery import Celery
from django.conf import settings

from notifications.models import TickRecord
from tests.chaos.counting import (
    Prove,
    celery_ticks_again,
    climbed,
    open_due,
    outcome,
    queue_length,
    queued,
    wait_until_climbed,
    wait_until_sent,
)
from tests.chaos.installation import Installation
from tests.chaos.people import clicker
from tests.helpers import patience
from tests.house import House
from tickets.models import Entry

SECOND = dt.timedelta(seconds=1)
# The pacemaker looks every second and steps in after three; then comes the tick itself.
LATEST_BY_PACEMAKER = 6.0
# A ring gives up after one; the rest is the click itself.
LONGEST_CLICK = 1.5


def stop(one: Installation) -> None:
    one.ground.valkey.stop()


def start(one: Installation) -> None:
    one.ground.valkey.start()


def freeze(one: Installation) -> None:
    one.freeze(one.ground.valkey)


def thaw(one: Installation) -> None:
    one.thaw(one.ground.valkey)


def wipe(one: Installation) -> None:
    one.broker().flushall()


def restart(one: Installation) -> None:
    stop(one)
    start(one)


def nothing(_one: Installation) -> None:
    """Nothing is left to heal."""


@pytest.mark.slow
def test_a_backlog_of_rings_is_harmless(installation: Installation, house: House, prove: Prove) -> None:
    """Beat rings on while no worker lives; an hour of that is 3,600 rings for each queue."""
    backlog = 3600
    environment = installation.environment
    options = {"global_keyprefix": environment["BELAY_PREFIX"]}
    app = Celery("backlog", broker=f"redis+socket://{installation.ground.where.valkey_socket}")
    app.conf.update(broker_transport_options=options, task_routes=settings.CELERY_TASK_ROUTES)
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(backlog):
            for task in ("escalation.tick", "notifications.tick"):
                app.send_task(task, producer=producer)
        kept = app.send_task("tickets.seal", producer=producer).id
    app.close()
    waiting = {queue: queue_length(installation, queue) for queue in ("engine", "delivery", "bulk")}
    ids = open_due(house, 40)

    began = time.monotonic()
    installation.start("engine", "delivery", "beat")
    wait_until_climbed(ids, 40)
    wait_until_sent(60)
    seconds = time.monotonic() - began

    counted = outcome(installation, ids)
    left = {queue: queue_length(installation, queue) for queue in ("engine", "delivery")}
    runs = dict(TickRecord.objects.values_list("name", "runs"))
    prove(
        "a backlog of rings",
        f"{waiting['engine']} and {waiting['delivery']} rings",
        counted,
        f"{climbed(ids)}/{len(ids)} climbed and sent {seconds:.0f} s after the start, with {runs['escalation']} ticks",
    )
    assert waiting == {"engine": backlog, "delivery": backlog, "bulk": 1}
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert max(left["engine"], left["delivery"]) < 10
    # Only what can be missed is dropped.
    assert any(kept in message for message in queued(installation, "bulk"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "break_it", "heal"),
    [
        ("stopped", stop, start),
        ("frozen", freeze, thaw),
        ("wiped", wipe, nothing),
        ("restarted", restart, nothing),
    ],
)
def test_without_its_broker_the_helpdesk_goes_on(
    installation: Installation,
    house: House,
    prove: Prove,
    fault: str,
    break_it: Callable[[Installation], None],
    heal: Callable[[Installation], None],
) -> None:
    installation.start("web", "engine", "delivery", "beat")
    (pacemaker,) = installation.start("pacemaker")
    installation.wait_for_ticks(60)
    person = clicker(installation, house)
    ids = [pk for number in range(12) for pk in open_due(house, 5, ago=-(1 + number) * SECOND)]

    person.start()
    break_it(installation)
    began = time.monotonic()
    wait_until_climbed(ids, 60)
    seconds = time.monotonic() - began
    heal(installation)
    time.sleep(1)
    person.stop()
    pacemaker.kill()
    back = celery_ticks_again(60)
    wait_until_sent(90)

    counted = outcome(installation, ids)
    replies = Entry.objects.filter(ticket=person.ticket, body="Still nothing.").count()
    prove(
        f"broker {fault}",
        f"{fault} for {seconds:.0f} s with {len(ids)} due",
        counted,
        f"{climbed(ids)}/{len(ids)} climbed, {len(person.took)} clicks of at most {max(person.took):.2f} s, "
        f"Celery back {back:.0f} s after the broker",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert counted.latest < patience(LATEST_BY_PACEMAKER)
    assert person.failed == []
    assert max(person.took) < patience(LONGEST_CLICK)
    # One of them was there before: each reply was written once.
    assert replies == len(person.took) + 1
