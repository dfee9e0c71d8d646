"""The broker is stopped, frozen, wiped and restarted: ticks go on, clicks do not wait, nothing happens twice."""

import datetime as dt
import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from celery import Celery
from django.conf import settings
from knox.models import AuthToken

from notifications.models import TickRecord
from tests.chaos.counting import Prove, climbed, open_due, outcome, wait_until_climbed, wait_until_sent
from tests.chaos.installation import Installation, wait_for
from tests.house import House
from tickets.models import Entry

SECOND = dt.timedelta(seconds=1)
# The pacemaker looks every second and steps in after three; then comes the tick itself, on a busy machine.
LATEST_BY_PACEMAKER = 7.0
# A ring gives up after one; the rest is the click itself, on a busy machine.
LONGEST_CLICK = 2.5


def queue_length(installation: Installation, queue: str) -> int:
    """Count what waits in one of Celery's queues."""
    return int(installation.broker().llen(f"{installation.environment['BELAY_PREFIX']}{queue}"))  # type: ignore[arg-type]


@dataclass
class Clicker:
    """Somebody who replies on a ticket twice a second, by the API of the web process."""

    port: int
    token: str
    ticket: int
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def click(self) -> None:
        """Reply once; note how long it took."""
        began = time.monotonic()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = json.dumps({"body": "Still nothing."})
            head = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
            link.request("POST", f"/api/v1/tickets/{self.ticket}/reply/", body, head)
            answer = link.getresponse()
            said = answer.read(400)
            if answer.status != 201:
                self.failed.append(f"{answer.status} {said!r}")
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(repr(error))
        finally:
            link.close()
        self.took.append(time.monotonic() - began)

    def start(self) -> None:
        def go_on() -> None:
            while not self._stop.wait(0.5):
                self.click()

        self._thread = threading.Thread(target=go_on)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(40)


def clicker(installation: Installation, house: House) -> Clicker:
    """Return somebody signed in, with a ticket of their own; the web process answers them."""
    _, token = AuthToken.objects.create(house.requester)
    one = Clicker(installation.port, token, house.open().pk)

    def answered() -> bool:
        one.failed.clear()
        one.click()
        return not one.failed

    wait_for("the web process", answered, 40)
    one.took.clear()
    return one


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


def celery_ticks_again(seconds: float) -> float:
    """Return after how many seconds both engines have ticked three times, with no pacemaker to do it."""
    runs = dict(TickRecord.objects.values_list("name", "runs"))
    began = time.monotonic()

    def risen() -> bool:
        return all(row.runs >= runs[row.name] + 3 for row in TickRecord.objects.all())

    wait_for("Celery's return", risen, seconds)
    return time.monotonic() - began


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
        app.send_task("tickets.seal", producer=producer)
    app.close()
    waiting = {queue: queue_length(installation, queue) for queue in ("engine", "delivery", "bulk")}
    ids = open_due(house, 40)

    began = time.monotonic()
    installation.start("engine", "delivery", "beat")
    wait_until_climbed(ids, 40)
    wait_until_sent(60)
    seconds = time.monotonic() - began

    counted = outcome(installation, ids)
    left = {queue: queue_length(installation, queue) for queue in ("engine", "delivery", "bulk")}
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
    assert left["bulk"] == 1


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
    assert counted.latest < LATEST_BY_PACEMAKER
    assert person.failed == []
    assert max(person.took) < LONGEST_CLICK
    # One of them was there before: each reply was written once.
    assert replies == len(person.took) + 1
