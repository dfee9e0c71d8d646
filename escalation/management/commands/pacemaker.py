"""Tick when nobody else does: independent of Celery and of its broker (DESIGN 4)."""

import datetime as dt
import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, connection

from core.db import database_now
from escalation import engine as escalation
from notifications import engine as notifications
from notifications.queries import last_tick

log = logging.getLogger("belay.pacemaker")

STALE = dt.timedelta(seconds=3)
EVERY = 1.0


class Command(BaseCommand):
    help = "Run the engines' ticks whenever the last completed one is older than three seconds."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        # One thread each: a hanging mail server never delays an escalation.
        watchers = [
            threading.Thread(target=watch, args=("escalation", escalation.tick, stop), daemon=True),
            threading.Thread(target=watch, args=("notifications", notifications.tick, stop), daemon=True),
        ]
        for watcher in watchers:
            watcher.start()
        self.stdout.write("pacemaker: watching")
        stop.wait()


def watch(name: str, tick: Callable[[], object], stop: threading.Event) -> None:
    """Look once a second whether `name` ticked lately, and tick where it did not; survive a lost database."""
    while not stop.wait(EVERY):
        try:
            last = last_tick(name)
            if last is None or database_now() - last > STALE:
                log.warning("no %s tick since %s: the pacemaker ticks", name, last or "ever")
                tick()
        except Error as error:
            log.warning("the database does not answer: %s", error)
            connection.close()
        except Exception:
            # Whatever it was, the next second is another chance; giving up would be silence.
            log.exception("a %s tick of the pacemaker failed", name)
            connection.close()
