"""Small tools for tests of any app."""

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from tests.settings import KEPT


def race(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls at the same time, each in a thread with a connection of its own.

    Returns what each returned or the exception it raised, in order. The test needs django_db(transaction=True).
    """
    outcomes: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(number: int, call: Callable[[], Any]) -> None:
        try:
            start.wait(timeout=10)
            outcomes[number] = call()
        except Exception as error:  # noqa: BLE001 handed to the test, which decides
            outcomes[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "a racing call still waits: a deadlock?"
    return outcomes


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Let one test process at a time do this, of all runs in this checkout."""
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{what}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def patience(seconds: float) -> float:
    """Return how long to allow for what takes so many seconds here, when others work on this machine too."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
