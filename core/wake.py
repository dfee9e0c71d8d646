"""Ring Celery and the live stream, best effort: rows are the truth, a lost ring costs a second (DESIGN 4).

A thread of each process rings, so that no click waits for a broker: not for one that refuses, nor is frozen, nor whose
name can't be resolved. Rings that come while it is at work become one: a bell says "look again", not how often.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import redis
from celery import Celery
from django.conf import settings
from django.db import transaction

log = logging.getLogger("belay.wake")

# After a failure nothing is rung for so long: a dead broker is asked six times a minute, not at every click.
PAUSE_SECONDS = 10.0
# A process that ends lets its last ring out, if that is quick.
LAST_RING_SECONDS = 1.0


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


class _Ring(NamedTuple):
    """One task to be rung, about the row of these ids or about none."""

    task: str
    ids: tuple[tuple[str, int], ...] = ()


class _Bell:
    """What is to be rung, and the thread that does it; it starts with the first ring."""

    def __init__(self) -> None:
        self._guard = threading.Condition()
        # Bounded by the number of tasks, and of rows that people have work done about within a second.
        self._rings: set[_Ring] = set()
        self._wanted = False
        self._ringing = False
        self._thread: threading.Thread | None = None

    def want(self, rings: Iterable[_Ring]) -> None:
        """Ask for rings and return at once."""
        with self._guard:
            self._rings.update(rings)
            self._wanted = True
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._guard.notify_all()

    def rest(self, *, within: float) -> bool:
        """Wait until nothing is left to be rung; tell whether that was reached in time."""
        with self._guard:
            return self._guard.wait_for(lambda: not (self._wanted or self._ringing), timeout=within)

    def _run(self) -> None:
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._wanted)
                rings, self._rings = self._rings, set()
                self._wanted, self._ringing = False, True
            try:
                _ring(sorted(rings))
            finally:
                with self._guard:
                    self._ringing = False
                    self._guard.notify_all()


breaker = _Breaker()
_bell = _Bell()


@lru_cache(maxsize=1)
def _producer() -> Celery:
    # A producer of its own: the worker's app would retry for seconds, and every later ring would wait for it.
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

    Never raises and never waits; the ticks find the rows by themselves.
    """
    transaction.on_commit(lambda: _want(tasks), robust=True)


def ring(*tasks: str) -> None:
    """Ring these tasks now, whatever transaction is under way; for threads that have no connection to the database."""
    _want(tasks)


def wake_for(task: str, **ids: int) -> None:
    """Ring one task about one row, by its id, once the transaction under way has committed; best effort as `wake`."""
    ring = _Ring(task, tuple(sorted(ids.items())))
    transaction.on_commit(lambda: _want_rings([ring]), robust=True)


def live_channel() -> str:
    """Return the name of the channel that only says "look again"; one per installation."""
    return f"{settings.BELAY_PREFIX}live"


def rest(*, within: float) -> bool:
    """Wait until this process has rung all it was asked to; tell whether that was reached in time."""
    return _bell.rest(within=within)


def _want(tasks: tuple[str, ...]) -> None:
    _want_rings([_Ring(task) for task in tasks])


def _want_rings(rings: Iterable[_Ring]) -> None:
    # While the breaker is open the ring is dropped: by the time it could be rung, a tick has come by itself.
    if settings.BELAY_WAKE and not breaker.is_open():
        _bell.want(rings)


def _ring(rings: list[_Ring]) -> None:
    if breaker.is_open():
        return
    try:
        _ringer().publish(live_channel(), b"1")
        for task, ids in rings:
            # No `expires`: whether it has would be for the worker's clock to say.
            _producer().send_task(task, kwargs=dict(ids), retry=False)
    except Exception as error:  # noqa: BLE001 whatever the client raises: the rows are safe, the tick comes
        breaker.trip()
        log.warning("broker not reachable, ringing pauses for %.0f s: %s", PAUSE_SECONDS, error)


def _in_child() -> None:
    """Begin anew in a forked process: threads don't come along, and locks may have been held."""
    global breaker, _bell
    breaker, _bell = _Breaker(), _Bell()
    _producer.cache_clear()
    _ringer.cache_clear()


os.register_at_fork(after_in_child=_in_child)
atexit.register(lambda: _bell.rest(within=LAST_RING_SECONDS))
