"""Let the real operations and the real engine play the last days, at the times when things happened."""

import datetime as dt
import heapq
from collections.abc import Callable
from itertools import count

from django.db.models import Min

from escalation.engine import tick
from escalation.models import Clock
from notifications.history import record_sent

Act = Callable[[dt.datetime], object]
# Within the engine's punctuality: what is due together is decided in one tick.
MAIL_TAKES = dt.timedelta(seconds=2)
TOGETHER = dt.timedelta(seconds=50)
_INSTANT = dt.timedelta(microseconds=1)


class Stage:
    """An agenda of acts; between two of them the engine does what is due."""

    def __init__(self) -> None:
        self._agenda: list[tuple[dt.datetime, int, Act]] = []
        self._order = count()
        self.ticks = 0

    def at(self, when: dt.datetime, act: Act) -> None:
        """Put an act on the agenda; it is given its time."""
        heapq.heappush(self._agenda, (when, next(self._order), act))

    def play(self, until: dt.datetime) -> None:
        """Play everything up to `until` (UTC), acts and clocks in order of time."""
        while self._agenda and self._agenda[0][0] <= until:
            when, _, act = heapq.heappop(self._agenda)
            self._run_clocks(when)
            # What was written before had been sent by now, unless somebody was quicker than the mail.
            record_sent(before=when - MAIL_TAKES)
            act(when)
        self._run_clocks(until)

    def _run_clocks(self, until: dt.datetime) -> None:
        while True:
            fires_at = Clock.objects.filter(fires_at__lt=until).aggregate(next=Min("fires_at"))["next"]
            if fires_at is None:
                return
            now = min(fires_at + TOGETHER, until)
            record_sent(before=fires_at - MAIL_TAKES)
            report = tick(now=now)
            self.ticks += 1
            if not report.tickets:
                # A tick leaves alone what was written in its own instant.
                report = tick(now=now + _INSTANT)
            if not report.tickets or report.set_aside:
                raise RuntimeError(f"the engine is stuck at {now}")
