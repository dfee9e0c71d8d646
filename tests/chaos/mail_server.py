"""A real SMTP server that takes mail, hangs, refuses, throttles or hangs up, as the test wants."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesHeaderParser
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.helpers import free_port

TAKE, HANG, REFUSE, THROTTLE, RESET = "take", "hang", "refuse", "throttle", "reset"


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail the server has answered 250 for."""

    message_id: str
    to: str
    subject: str
    at: float


@dataclass
class MailServer:
    """What the server does with whom, and what it took; served from a thread of its own."""

    # What to do with a recipient; looked at anew for every mail.
    manner: Callable[[str], str] = field(default=lambda _to: TAKE)
    # Called on the server's thread once the client has been sent its 250.
    on_taken: Callable[[Taken], None] = field(default=lambda _taken: None)
    taken: list[Taken] = field(default_factory=list)
    # How often each manner was met.
    met: Counter[str] = field(default_factory=Counter)
    host: str = "127.0.0.1"
    port: int = 0
    _controller: Any = None

    def start(self) -> None:
        """Listen; after a stop, on the port of before."""
        self.port = self.port or free_port()
        self._controller = Controller(self, hostname=self.host, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def duplicates(self) -> int:
        """Return how many mails were taken more than once, counted by Message-ID."""
        return len(self.taken) - len({one.message_id for one in self.taken})

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        manner = self.manner(address)
        self.met[manner] += 1
        if manner == HANG:
            await asyncio.sleep(600)
        if manner == REFUSE:
            return "550 5.1.1 no such user here"
        if manner == THROTTLE:
            return "421 4.7.0 too many messages, come back later"
        if manner == RESET:
            assert server.transport is not None
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        head = BytesHeaderParser(policy=policy.default).parsebytes(envelope.content)
        mail = Taken(str(head["Message-ID"]), envelope.rcpt_tos[0], str(head["Subject"]), at=time.monotonic())
        self.taken.append(mail)
        # The answer is written before the loop comes round again.
        asyncio.get_running_loop().call_soon(self.on_taken, mail)
        return "250 2.0.0 OK"
