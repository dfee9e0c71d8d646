"""Ask something that may never answer, and go on without it."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db import connection

T = TypeVar("T")


class NoAnswer(Exception):
    """Say that a question was not answered in time."""


class Question(Generic[T]):
    """Something to ask with a deadline, in a thread of its own.

    A server that is frozen, or a machine that is gone without a word, leaves a client waiting whatever time-outs the
    server was given. So the one who asks waits for so many seconds only; while a question hangs nobody asks it again,
    hence at most one thread is lost to it. Its answer, when it comes, opens the way.
    """

    def __init__(self, name: str, call: Callable[[], T]) -> None:
        self._name = name
        self._call = call
        self._guard = threading.Lock()
        self._pending: _Asked[T] | None = None

    def ask(self, *, within: float) -> T:
        """Return the answer, or raise what the call raises; NoAnswer after `within` seconds.

        Those who ask while somebody waits already get the same answer. A caller inside a transaction asks on its own
        connection: it must see what it wrote, and it has a database that answers.
        """
        if connection.in_atomic_block:
            return self._call()
        with self._guard:
            asked = self._pending
            if asked is None:
                asked = self._pending = _Asked()
                threading.Thread(target=self._run, args=(asked,), name=self._name, daemon=True).start()
        # Whoever finds it hanging since long doesn't wait once more.
        left = min(within, max(asked.since + within - time.monotonic(), 0.0))
        if not asked.done.wait(left):
            raise NoAnswer(f"no answer within {time.monotonic() - asked.since:.0f} s")
        if asked.error is not None:
            raise asked.error
        return asked.answer  # type: ignore[no-any-return]

    def _run(self, asked: "_Asked[T]") -> None:
        try:
            asked.answer = self._call()
        except Exception as error:  # noqa: BLE001 raised again where it was asked
            asked.error = error
        finally:
            with self._guard:
                self._pending = None
            asked.done.set()
            connection.close()


class _Asked(Generic[T]):
    def __init__(self) -> None:
        self.since = time.monotonic()
        self.done = threading.Event()
        self.answer: Any = None
        self.error: Exception | None = None
