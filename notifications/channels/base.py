"""What every channel takes, gives and raises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifications.models import Provider


@dataclass(frozen=True, slots=True)
class Envelope:
    """One rendered message with its address; `key` is the same for every attempt (idempotency).

    `short` is what it says in few words, its link included, for SMS and chat; `own_short` says that an admin chose
    these words. `secret` (encrypted by core.secrets) and `provider` are the contact method's own, `facts` what a
    program wants to know: kind, ticket, severity and such.
    """

    address: str
    subject: str
    text: str
    html: str
    key: str
    thread: str = ""
    short: str = ""
    own_short: bool = False
    secret: str = ""
    provider: Provider | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    # Where one click ends this kind of message (RFC 8058), "" where nobody may stop it.
    unsubscribe: str = ""


class Failed(Exception):
    """Say that an attempt failed, another may succeed; not before `retry_after` seconds if the server says so."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FailedForGood(Failed):
    """Say that no further attempt to this address will succeed."""


class Resting(Failed):
    """Say that nothing was tried: the address hangs, and others are waiting; `seconds` later it may be tried."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


Sender = Callable[[Envelope], str]
