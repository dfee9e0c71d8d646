"""Tick when nobody else does: independent of Celery and of its broker (DESIGN 4).

What can go wrong with the pacemaker itself, and what is done about it:

- A statement that hangs on the server ends by `statement_timeout`, a lock that is never given by `lock_timeout`; the
  batch is left for the next tick and the others go on.
- A server or a machine that is gone without a word is noticed by keepalives (settings.DATABASES).
- A server that is frozen is noticed by nobody inside: the statement just never returns. So each watcher stamps every
  statement it begins and ends, and the process ends itself when one has shown no life for too long; whoever
  supervises it starts it anew.
- A last tick in the future (the database's clock was set back) counts as none.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connection, connections

from core.db import database_now
from notifications.models import TickRecord
from notifications.ticks import PACEMAKER, ticking_as

log = logging.getLogger("belay.pacemaker")

STALE = dt.timedelta(seconds=3)
EVERY = 1.0
# While it goes on, an intervention is said again after so long.
SAY_AGAIN = 600.0

LIMITS = "-c statement_timeout=30s -c lock_timeout=5s"


class Watcher:
    """Watches the record of one engine's ticks and ticks where nobody does.

    `patience` is how many seconds without a sign of life mean that it hangs: longer than any one statement may take,
    and, for deliveries, than sending a batch to servers that don't answer.
    """

    def __init__(
        self, name: str, tick: Callable[[], object], *, patience: float, every: float = EVERY
    ) -> None:
        self.name = name
        self.patience = patience
        self._every = every
        self._tick = tick
        self._alive_at = time.monotonic()
        # Since when it has been stepping in, how often it did, and when that was last said.
        self._since: dt.datetime | None = None
        self._steps = 0
        self._said_at = 0.0
        self._trouble = ""

    def run(self, stop: threading.Event) -> None:
        """Look once a second until told to stop; survive a lost database."""
        with connection.execute_wrapper(self._stamp):
            while not stop.wait(self._every):
                self._alive_at = time.monotonic()
                try:
                    self.look()
                except Error as error:
                    self._say_once(f"the database does not answer: {' '.join(str(error).split())}")
                    connection.close()
                except Exception as error:
                    # Whatever it was, the next second is another chance; giving up would be silence.
                    if self._say_once(
                        f"a {self.name} tick of the pacemaker failed: {type(error).__name__}: {error}"
                    ):
                        log.exception("where it failed")
                    connection.close()
                else:
                    if self._trouble:
                        log.warning("%s: works again", self.name)
                        self._trouble = ""

    def look(self) -> bool:
        """Tick if nobody else does; tell whether it ticked."""
        last = TickRecord.objects.filter(pk=self.name).first()
        now = database_now()
        if last is not None and last.ticked_by != PACEMAKER and abs(now - last.completed_at) <= STALE:
            self._is_back(now)
            return False
        # The last one was our own: nobody else has come back, so we don't wait for it to get stale.
        self._steps_in(last, now)
        with ticking_as(PACEMAKER):
            self._tick()
        return True

    def hangs(self) -> bool:
        """Tell whether it has shown no sign of life for longer than anything may take."""
        return time.monotonic() - self._alive_at > self.patience

    def _stamp(self, execute: Callable[..., Any], *args: Any) -> Any:
        self._alive_at = time.monotonic()
        try:
            return execute(*args)
        finally:
            self._alive_at = time.monotonic()

    def _steps_in(self, last: TickRecord | None, now: dt.datetime) -> None:
        self._steps += 1
        if self._since is None:
            self._since = now
            since = f"since {last.completed_at:%H:%M:%S}" if last is not None else "ever"
            log.warning("no %s tick of a worker %s: the pacemaker ticks until one comes", self.name, since)
        elif time.monotonic() - self._said_at > SAY_AGAIN:
            log.warning("still no %s tick of a worker: %d by the pacemaker", self.name, self._steps)
        else:
            return
        self._said_at = time.monotonic()

    def _is_back(self, now: dt.datetime) -> None:
        if self._since is not None:
            span = (now - self._since).total_seconds()
            log.warning(
                "%s ticks of the workers are back after %.0f s; the pacemaker ran %d",
                self.name,
                span,
                self._steps,
            )
            self._since, self._steps = None, 0

    def _say_once(self, words: str) -> bool:
        if words == self._trouble:
            return False
        self._trouble = words
        log.warning("%s", words)
        return True


def limit_statements() -> None:
    """Let the server end any statement of this process that takes too long; for connections made from now on."""
    options = connections["default"].settings_dict.setdefault("OPTIONS", {})
    options["options"] = f"{options.get('options', '')} {LIMITS}".strip()
