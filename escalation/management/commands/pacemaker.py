"""Start the pacemaker: see escalation/pacemaker.py."""

import logging
import os
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from escalation import engine as escalation
from escalation.heartbeat import Heartbeat
from escalation.pacemaker import EVERY, Watcher, limit_statements
from notifications import engine as notifications

log = logging.getLogger("belay.pacemaker")

HUNG = 70


class Command(BaseCommand):
    help = "Run the engines' ticks whenever no worker does, and send the heartbeat while all is well."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        limit_statements()
        # One thread each: a hanging mail server never delays an escalation.
        watchers = [
            Watcher("escalation", escalation.tick, patience=90),
            Watcher("notifications", notifications.tick, patience=600),
        ]
        runs = [watcher.run for watcher in watchers]
        if settings.BELAY_HEARTBEAT_URL:
            runs.append(Heartbeat(settings.BELAY_HEARTBEAT_URL, every=settings.BELAY_HEARTBEAT_SECONDS).run)
        for run in runs:
            threading.Thread(target=run, args=(stop,), daemon=True).start()
        self.stdout.write("pacemaker: watching")
        while not stop.wait(EVERY):
            for watcher in watchers:
                if watcher.hangs():
                    # Not sys.exit: nothing can be cleaned up around a thread that never returns.
                    log.critical(
                        "%s: no sign of life for %.0f s; starting anew", watcher.name, watcher.patience
                    )
                    os._exit(HUNG)
