"""Addresses that hang: tried one message at a time, so that they hold up one sender and not all of them."""

import threading
import time
from collections.abc import Callable

from notifications.channels.base import Envelope, Failed, FailedForGood, Resting, Sender

# A failure that took less held nobody up.
_SLOW_SECONDS = 3.0
_REST_SECONDS = 15.0
# An address that has hung for longer fails its messages as others do: sooner or later they are dead letters.
_PATIENCE_SECONDS = 120.0


class Hanging:
    """Which addresses of a channel have hung lately, as this process has seen; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        # Since when each of them hangs, and until when it rests.
        self._ill: dict[str, tuple[float, float]] = {}

    def check(self, address: str) -> None:
        """Pass if a message may be tried now; after a rest one may, and the others wait for what it meets.

        Raises Resting while an address has hung for a short time, Failed after that.
        """
        with self._guard:
            ill = self._ill.get(address)
            if ill is None:
                return
            now = self._clock()
            since, until = ill
            if now >= until:
                self._ill[address] = since, now + _REST_SECONDS
            elif now - since < _PATIENCE_SECONDS:
                raise Resting("not tried: the address hung a moment ago", seconds=until - now)
            else:
                raise Failed(f"not tried: the address has hung for {(now - since) / 60:.0f} minutes")

    def failed(self, address: str, *, began: float) -> None:
        """Let an address rest whose server took too long to say nothing."""
        with self._guard:
            now = self._clock()
            if now - began >= _SLOW_SECONDS:
                since, _ = self._ill.get(address, (began, began))
                self._ill[address] = since, now + _REST_SECONDS

    def answered(self, address: str) -> None:
        """Take an address for well again."""
        with self._guard:
            self._ill.pop(address, None)

    def guard(self, send: Sender) -> Sender:
        """Return a sender that does not try an address that rests."""

        def guarded(envelope: Envelope) -> str:
            self.check(envelope.address)
            began = self._clock()
            try:
                answer = send(envelope)
            except FailedForGood:
                self.answered(envelope.address)
                raise
            except Failed:
                self.failed(envelope.address, began=began)
                raise
            self.answered(envelope.address)
            return answer

        return guarded
