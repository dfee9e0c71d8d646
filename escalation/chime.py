"""Ring the engine at the instant when something is due, instead of at beat's next stroke.

Beat looks every second and misses nothing; this only spares most decisions the half second until it does. Each worker
process keeps one timer: where several are set, the engine looks once more and finds nothing.
"""

import datetime as dt
import os
import threading
import time

from django.db import connection

from core.wake import ring

TICK = "escalation.tick"
# Beat's interval: what is due later than that is beat's.
FARTHEST = 1.0
# Where many things fall due one after another, they are decided together as often as this.
NEAREST = 0.1

_NEXT = """
SELECT extract(epoch FROM fires_at - clock_timestamp())::float8 FROM escalation_clock
WHERE fires_at > %s ORDER BY fires_at LIMIT 1
"""


def seconds_until_due(*, after: dt.datetime) -> float | None:
    """Return in how many seconds the next clock fires after an instant, None without one; one index probe."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [after])
        row = cursor.fetchone()
    return None if row is None else float(row[0])


class Chime:
    """One timer, set for the earliest of what it was asked for."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a forked process must: the timer's thread did not come along, the lock may be held."""
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None
        self._at = 0.0

    def set(self, seconds: float | None) -> bool:
        """Ring the engine in so many seconds, if that is sooner than beat would; tell whether a timer stands."""
        if seconds is None or seconds >= FARTHEST:
            return False
        wait = max(seconds, NEAREST)
        with self._guard:
            at = time.monotonic() + wait
            if self._timer is not None and self._timer.is_alive():
                if self._at <= at:
                    return True
                self._timer.cancel()
            self._at = at
            self._timer = threading.Timer(wait, ring, [TICK])
            self._timer.daemon = True
            self._timer.start()
        return True


chime = Chime()
os.register_at_fork(after_in_child=chime.forget)
