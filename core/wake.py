"""Ring Celery and the live stream, best effort: rows are the truth, a lost ring costs a second (DESIGN 4)."""

import logging
import threading
import time
from collections.abc import Mapping
from functools import lru_cache

import redis
from celery import Celery
from django.conf import settings
from django.db import transaction

log = logging.getLogger("belay.wake")

# After a failure nobody tries again for this long, so that a dead broker costs one click, not every click.
PAUSE_SECONDS = 10.0


class _Breaker:
    """Remembers until when nobody rings; one for all threads of a process."""

    def __init__(self) -> None:
        self._until = 0.0
        self._guard = threading.Lock()

    def is_open(self) -> bool:
        return time.monotonic() < self._until

    def trip(self) -> None:
        with self._guard:
            self._until = time.monotonic() + PAUSE_SECONDS

    def close(self) -> None:
        with self._guard:
            self._until = 0.0


breaker = _Breaker()


@lru_cache(maxsize=1)
def _producer() -> Celery:
    # A producer of its own: the worker's app would retry for seconds inside a person's request.
    app = Celery("belay-wake", broker=settings.CELERY_BROKER_URL, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_routes=settings.CELERY_TASK_ROUTES,
        task_default_queue=settings.CELERY_TASK_DEFAULT_QUEUE,
        broker_transport_options={
            **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
            "max_retries": 0,
            "retry_on_timeout": False,
        },
        broker_connection_retry=False,
        task_publish_retry=False,
    )
    return app


@lru_cache(maxsize=1)
def _ringer() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def wake(*tasks: str) -> None:
    """Ring these tasks, and the live stream, once the transaction under way has committed.

    Never raises and never waits longer than a second; the ticks find the rows by themselves.
    """
    transaction.on_commit(lambda: _ring(tasks), robust=True)


def wake_for(task: str, *, expires: float = 30, **ids: int) -> None:
    """Ring one task about one row, by its id, once the transaction under way has committed; best effort as `wake`."""
    transaction.on_commit(lambda: _ring((task,), expires=expires, ids=ids), robust=True)


def live_channel() -> str:
    """Return the name of the channel that only says "look again"; one per installation."""
    return f"{settings.BELAY_PREFIX}live"


def _ring(tasks: tuple[str, ...], *, expires: float = 2, ids: Mapping[str, int] | None = None) -> None:
    if not settings.BELAY_WAKE or breaker.is_open():
        return
    try:
        _ringer().publish(live_channel(), b"1")
        for task in tasks:
            _producer().send_task(task, kwargs=dict(ids or {}), expires=expires, retry=False)
    except Exception as error:  # noqa: BLE001 whatever the client raises: the rows are safe, the tick comes
        breaker.trip()
        log.warning("broker not reachable, ringing pauses for %.0f s: %s", PAUSE_SECONDS, error)
