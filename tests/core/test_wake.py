"""Rings are best effort: after the commit, never before, never in anybody's way (DESIGN 4)."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import transaction

from core import wake as waking
from core.wake import live_channel, wake, wake_for
from tests.helpers import free_port

TASK = "tests.nobody_runs_this"


@pytest.fixture(autouse=True)
def _rested(settings: Any) -> Iterator[None]:
    settings.BELAY_WAKE = True
    _forget()
    yield
    _forget()


def _forget() -> None:
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


@pytest.fixture(params=["refuses", "accepts and never answers"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "refuses":
        yield free_port()
        return
    with socket.create_server(("127.0.0.1", 0)) as mute:
        yield mute.getsockname()[1]


def _queue(settings: Any) -> str:
    return f"{settings.BELAY_PREFIX}{settings.CELERY_TASK_DEFAULT_QUEUE}"


def _tasks(valkey: redis.Redis, settings: Any) -> list[str]:
    return [json.loads(row)["headers"]["task"] for row in valkey.lrange(_queue(settings), 0, -1)]


def _point_at(settings: Any, port: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    settings.CELERY_BROKER_URL = settings.REDIS_URL


@pytest.mark.django_db(transaction=True)
def test_a_ring_about_one_row_carries_its_id_and_nothing_else(valkey: redis.Redis, settings: Any) -> None:
    with transaction.atomic():
        wake_for(TASK, job_id=7)
        assert _tasks(valkey, settings) == []
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
    assert _tasks(valkey, settings) == [TASK]


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_rings_nobody(valkey: redis.Redis, rings: Any, settings: Any) -> None:
    with transaction.atomic():
        wake(TASK)
        transaction.set_rollback(True)

    assert rings.get_message(timeout=0.2) is None
    assert _tasks(valkey, settings) == []


def test_a_ring_that_nobody_hears_in_time_expires(
    db: None, valkey: redis.Redis, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wake(TASK)

    (row,) = valkey.lrange(_queue(settings), 0, -1)
    assert json.loads(row)["headers"]["expires"] is not None


def test_a_dead_broker_costs_a_second_once_then_nothing(
    db: None, settings: Any, dead_port: int, django_capture_on_commit_callbacks: Any
) -> None:
    _point_at(settings, dead_port)

    first, second = (_seconds(django_capture_on_commit_callbacks) for _ in range(2))

    assert first < 1.6
    assert second < 0.05


def test_a_broker_that_dies_between_channel_and_queue_costs_a_second_too(
    db: None, settings: Any, dead_port: int, django_capture_on_commit_callbacks: Any
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{dead_port}/0"

    first, second = (_seconds(django_capture_on_commit_callbacks) for _ in range(2))

    assert first < 1.6
    assert second < 0.05


def test_after_ten_seconds_it_tries_again(
    db: None,
    settings: Any,
    rings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    alive = settings.REDIS_URL
    _point_at(settings, free_port())
    assert _seconds(django_capture_on_commit_callbacks) < 1.6
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
