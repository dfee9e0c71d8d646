"""Who must not be tried now: addresses that hang, and servers that ask to be left alone for a while.

An address that hangs is tried one message at a time, so that it holds up one sender and not all of them. A server that
answers “too many” is asked nothing until the time that it names is over (Retry-After), whatever message it is.
"""

import threading
import time
from collections.abc import Callable

from notifications.channels.base import Envelope, Failed, FailedForGood, Resting, Sender
from notifications.rules.delivery import LONGEST_WAIT

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
        # Until when a server wants to be left alone, by what `_server` calls it.
        self._asked: dict[str, float] = {}

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

    def check_server(self, server: str) -> None:
        """Pass if the server may be asked. Raises Resting until the time that it has named is over."""
        with self._guard:
            left = self._asked.get(server, 0.0) - self._clock()
            if left > 0:
                raise Resting("not tried: the server asks to be left alone", seconds=left)
            self._asked.pop(server, None)

    def throttled(self, server: str, *, seconds: float) -> None:
        """Let a server be left alone for as long as it asks, up to an hour."""
        with self._guard:
            until = self._clock() + min(seconds, LONGEST_WAIT.total_seconds())
            self._asked[server] = max(until, self._asked.get(server, 0.0))

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
            server = _server(envelope)
            self.check_server(server)
            self.check(envelope.address)
            began = self._clock()
            try:
                answer = send(envelope)
            except FailedForGood:
                self.answered(envelope.address)
                raise
            except Failed as error:
                if error.retry_after is not None:
                    self.throttled(server, seconds=error.retry_after)
                self.failed(envelope.address, began=began)
                raise
            self.answered(envelope.address)
            return answer

        return guarded


def _server(envelope: Envelope) -> str:
    """Return what answers for an address: its provider for all that it carries, a room's own address for itself."""
    if envelope.provider is not None:
        return f"provider {envelope.provider.pk}"
    return f"address {envelope.address}"
