"""What every channel takes, gives and raises."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """One rendered message with its address; `key` is the same for every attempt (idempotency)."""

    address: str
    subject: str
    text: str
    html: str
    key: str
    thread: str = ""


class Failed(Exception):
    """Say that an attempt failed and another one may succeed."""


class FailedForGood(Failed):
    """Say that no further attempt to this address will succeed."""


class Resting(Failed):
    """Say that nothing was tried: the address hangs, and others are waiting; `seconds` later it may be tried."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


Sender = Callable[[Envelope], str]
