"""Addresses that hang: tried one message at a time, so that they hold up one sender and not all of them."""

import threading
import time
from collections.abc import Callable

from notifications.channels.base import Envelope, Failed, FailedForGood, Sender

# A failure that took less held nobody up.
_SLOW_SECONDS = 3.0
_REST_SECONDS = 15.0


class Hanging:
    """Which addresses of a channel have hung lately, as this process has seen; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        # Until when each of them rests.
        self._until: dict[str, float] = {}

    def may_try(self, address: str) -> bool:
        """Tell whether a message may be tried now; after a rest one may, and the others wait for what it meets."""
        with self._guard:
            until = self._until.get(address)
            if until is None:
                return True
            now = self._clock()
            if now < until:
                return False
            self._until[address] = now + _REST_SECONDS
            return True

    def failed(self, address: str, *, since: float) -> None:
        """Let an address rest whose server took too long to say nothing."""
        with self._guard:
            now = self._clock()
            if now - since >= _SLOW_SECONDS:
                self._until[address] = now + _REST_SECONDS

    def answered(self, address: str) -> None:
        """Take an address for well again."""
        with self._guard:
            self._until.pop(address, None)

    def guard(self, send: Sender) -> Sender:
        """Return a sender that raises Failed at once for an address that rests."""

        def guarded(envelope: Envelope) -> str:
            if not self.may_try(envelope.address):
                raise Failed("not tried: the address hung a moment ago")
            began = self._clock()
            try:
                answer = send(envelope)
            except FailedForGood:
                self.answered(envelope.address)
                raise
            except Failed:
                self.failed(envelope.address, since=began)
                raise
            self.answered(envelope.address)
            return answer

        return guarded
