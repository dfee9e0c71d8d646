"""The outgoing heartbeat: an address that is called while all is well, so that its silence is the alarm."""

import logging
import threading
from urllib.parse import urlsplit

import httpx

from core.deadline import NoAnswer, Question
from core.outgoing import NotAllowedOut, request
from escalation import watchdog
from escalation.rules.alive import Vitals, overdue, silent, well

log = logging.getLogger("belay.heartbeat")

# For the database's answer and for the call; both are far from a beat's interval.
LOOK_WITHIN = 5.0
CALL_WITHIN = 10.0
# After a start the ticks need a moment to be on record.
FIRST_AFTER = 5.0


class Heartbeat:
    """Beats as long as database, engines and outbox are well. Says in the log when that changes, never each minute.

    Runs in a thread of its own: neither a database nor an address that hangs delays a tick. The address's path is
    never logged: it is the token.
    """

    def __init__(self, url: str, *, every: float) -> None:
        self._url = url
        self._every = every
        self._name = urlsplit(url).hostname or "?"
        self._question: Question[Vitals] = Question("heartbeat", watchdog.look)
        self._said = ""

    def run(self, stop: threading.Event) -> None:
        """Beat every so many seconds until told to stop."""
        wait = min(self._every, FIRST_AFTER)
        while not stop.wait(wait):
            wait = self._every
            try:
                self.beat()
            except Exception:
                # Silence is the alarm, but the next beat is another chance.
                log.exception("a heartbeat failed")

    def beat(self) -> bool:
        """Call the address if all is well; tell whether it was called and answered well."""
        problem = self._unwell()
        if problem:
            self._say(f"no heartbeat while {problem}")
            return False
        try:
            answer = request("GET", self._url, timeout=CALL_WITHIN)
        except (NotAllowedOut, httpx.HTTPError, httpx.InvalidURL) as error:
            words = str(error) or type(error).__name__
            self._say(f"heartbeat to {self._name} not sent: {words}")
            return False
        if not answer.ok:
            self._say(f"heartbeat to {self._name} was answered with {answer.status}")
            return False
        if self._said:
            log.warning("the heartbeat to %s beats again", self._name)
            self._said = ""
        return True

    def _unwell(self) -> str:
        """Return in words why this is no moment for a heartbeat, "" while all is well."""
        try:
            vitals = self._question.ask(within=LOOK_WITHIN)
        except NoAnswer as error:
            return f"the database gives {error}"
        except Exception as error:  # noqa: BLE001 without a database nothing is well
            return f"the database can't be asked: {type(error).__name__}"
        if well(vitals):
            return ""
        # Without seconds: the same trouble is said once.
        late = [f"something due is late ({what})" for what in overdue(vitals)]
        return ", ".join([*late, *(f"no {engine} tick is on record lately" for engine in silent(vitals))])

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            log.warning("%s", words)
