"""Rings are best effort: after the commit, never before, never in anybody's way (DESIGN 4)."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import transaction

from core import wake as waking
from core.wake import live_channel, wake, wake_for
from helpdesk import embedded
from helpdesk.embedded.programs import programs
from helpdesk.environment import BASE_DIR
from tests.helpers import free_port
from tests.settings import KEPT

TASK = "tests.nobody_runs_this"
# What a click may lose to a ring, however the broker is: a thread is told, and may have to be started.
AT_ONCE = 0.05


@pytest.fixture(autouse=True)
def _rested(settings: Any) -> Iterator[None]:
    settings.BELAY_WAKE = True
    _forget()
    yield
    _forget()


def _forget() -> None:
    assert waking.rest(within=5)
    waking.breaker.close()
    waking._producer.cache_clear()
    waking._ringer.cache_clear()


@pytest.fixture
def valkey(settings: Any) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        # Other tests that commit have rung, too.
        client.delete(_queue(settings))
        yield client
        client.delete(_queue(settings))


@pytest.fixture
def rings(valkey: redis.Redis) -> Iterator[Any]:
    """The live channel, listened to."""
    with valkey.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(live_channel())
        listener.get_message(timeout=1)
        yield listener


@pytest.fixture(params=["refuses", "accepts and never answers", "has no address"])
def dead_broker(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "refuses":
        yield f"redis://127.0.0.1:{free_port()}/0"
    elif request.param == "has no address":
        yield "redis://broker.invalid:6379/0"
    else:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            yield f"redis://127.0.0.1:{mute.getsockname()[1]}/0"


@pytest.fixture
def own_broker(tmp_path: Path, settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Valkey of this test's own, which it may freeze."""
    port = free_port()
    program = programs(embedded.places(KEPT / "servers")).valkey
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        settings.REDIS_URL = settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{port}/0"
        until = time.monotonic() + 5
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield process
        process.send_signal(signal.SIGCONT)
        process.kill()


def _queue(settings: Any) -> str:
    return f"{settings.BELAY_PREFIX}{settings.CELERY_TASK_DEFAULT_QUEUE}"


def _tasks(valkey: redis.Redis, settings: Any) -> list[str]:
    return [json.loads(row)["headers"]["task"] for row in valkey.lrange(_queue(settings), 0, -1)]


@pytest.mark.django_db(transaction=True)
def test_a_ring_about_one_row_carries_its_id_and_nothing_else(valkey: redis.Redis, settings: Any) -> None:
    with transaction.atomic():
        wake_for(TASK, job_id=7)
        assert _tasks(valkey, settings) == []
    assert waking.rest(within=5)
    (row,) = valkey.lrange(_queue(settings), 0, -1)
    args, kwargs, _ = json.loads(base64.b64decode(json.loads(row)["body"]))
    assert (args, kwargs) == ([], {"job_id": 7})


@pytest.mark.django_db(transaction=True)
def test_it_rings_after_the_commit_and_not_before(valkey: redis.Redis, rings: Any, settings: Any) -> None:
    with transaction.atomic():
        wake(TASK)
        assert rings.get_message(timeout=0.1) is None
        assert _tasks(valkey, settings) == []

    assert rings.get_message(timeout=2)["data"] == b"1"
    assert waking.rest(within=2)
    assert _tasks(valkey, settings) == [TASK]


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_rings_nobody(valkey: redis.Redis, rings: Any, settings: Any) -> None:
    with transaction.atomic():
        wake(TASK)
        transaction.set_rollback(True)

    assert rings.get_message(timeout=0.2) is None
    assert _tasks(valkey, settings) == []


def test_a_ring_expires_by_no_workers_clock(
    db: None, valkey: redis.Redis, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wake(TASK)
    assert waking.rest(within=2)

    (row,) = valkey.lrange(_queue(settings), 0, -1)
    assert json.loads(row)["headers"]["expires"] is None


def test_a_click_does_not_wait_for_a_dead_broker(
    db: None, settings: Any, dead_broker: str, django_capture_on_commit_callbacks: Any
) -> None:
    settings.REDIS_URL = settings.CELERY_BROKER_URL = dead_broker

    waits = [_seconds(django_capture_on_commit_callbacks) for _ in range(5)]

    assert max(waits) < AT_ONCE


def test_nor_do_many_at_once_for_one_that_freezes(
    db: None, own_broker: subprocess.Popen[bytes], django_capture_on_commit_callbacks: Any
) -> None:
    _seconds(django_capture_on_commit_callbacks)
    assert waking.rest(within=5)
    assert not waking.breaker.is_open()
    own_broker.send_signal(signal.SIGSTOP)
    waits: list[float] = []

    def click() -> None:
        start = time.perf_counter()
        waking._want((TASK, "tests.nor_this"))
        waits.append(time.perf_counter() - start)

    clicks = [threading.Thread(target=click) for _ in range(8)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()

    assert len(waits) == 8
    assert max(waits) < AT_ONCE
    # The thread that rings is held up for a second, once.
    assert waking.rest(within=3)
    assert waking.breaker.is_open()


def test_a_broker_that_dies_between_channel_and_queue_trips_the_breaker_too(
    db: None, settings: Any, dead_broker: str, django_capture_on_commit_callbacks: Any
) -> None:
    settings.CELERY_BROKER_URL = dead_broker

    assert _seconds(django_capture_on_commit_callbacks) < AT_ONCE
    assert waking.rest(within=3)
    assert waking.breaker.is_open()


def test_after_ten_seconds_it_tries_again(
    db: None,
    settings: Any,
    rings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    alive = settings.REDIS_URL
    settings.REDIS_URL = settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    _seconds(django_capture_on_commit_callbacks)
    assert waking.rest(within=3)
    assert waking.breaker.is_open()
    settings.REDIS_URL = settings.CELERY_BROKER_URL = alive
    waking._producer.cache_clear()
    waking._ringer.cache_clear()
    now = time.monotonic()

    monkeypatch.setattr(waking, "time", SimpleNamespace(monotonic=lambda: now + 9))
    _seconds(django_capture_on_commit_callbacks)
    skipped = rings.get_message(timeout=0.2)
    monkeypatch.setattr(waking, "time", SimpleNamespace(monotonic=lambda: now + 11))
    _seconds(django_capture_on_commit_callbacks)

    assert skipped is None
    assert rings.get_message(timeout=2) is not None


def test_rings_that_come_while_it_rings_become_one(
    valkey: redis.Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, at_work = threading.Event(), threading.Event()
    producer = waking._producer

    def slow() -> Any:
        at_work.set()
        go_on.wait(5)
        return producer()

    with monkeypatch.context() as patch:
        patch.setattr(waking, "_producer", slow)
        waking._want((TASK,))
        assert at_work.wait(5)
        for _ in range(20):
            waking._want((TASK,))
        go_on.set()
        assert waking.rest(within=5)

    assert _tasks(valkey, settings) == [TASK, TASK]


def test_a_forked_process_rings_by_itself(valkey: redis.Redis, settings: Any) -> None:
    waking._want((TASK,))
    assert waking.rest(within=5)

    child = os.fork()
    if child == 0:
        waking._want((TASK,))
        os._exit(0 if waking.rest(within=5) and not waking.breaker.is_open() else 1)
    _, status = os.waitpid(child, 0)
    waking._want((TASK,))

    assert os.waitstatus_to_exitcode(status) == 0
    assert waking.rest(within=5)
    assert _tasks(valkey, settings) == [TASK] * 3


def test_a_process_that_ends_lets_its_last_ring_out(valkey: redis.Redis, settings: Any) -> None:
    code = f"import django; django.setup(); from core import wake; wake._want(({TASK!r},))"
    mine = {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "BELAY_PREFIX": settings.BELAY_PREFIX,
        "REDIS_URL": settings.REDIS_URL,
    }

    subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=os.environ | mine, check=True, timeout=60)

    assert _tasks(valkey, settings) == [TASK]


def test_switched_off_it_touches_no_broker(
    db: None, settings: Any, rings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.BELAY_WAKE = False

    _seconds(django_capture_on_commit_callbacks)

    assert rings.get_message(timeout=0.2) is None


def _seconds(capture: Any) -> float:
    """Wake as a request does and return how long the person waited; it never raises."""
    start = time.perf_counter()
    with capture(execute=True):
        wake(TASK)
    return time.perf_counter() - start
