"""A real SMTP server that collects what it is sent."""

from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Mailbox:
    """What came in, and what the next sender is answered."""

    host: str = "127.0.0.1"
    port: int = 0
    answer: str = "250 OK"
    # Addresses that nobody has here.
    unknown: set[str] = field(default_factory=set)
    envelopes: list[Envelope] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        """Return the mails that were taken, in order."""
        parser = BytesParser(policy=policy.default)
        return [parser.parsebytes(envelope.content) for envelope in self.envelopes]  # type: ignore[arg-type]

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take whoever is known."""
        if address in self.unknown:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail, unless the test wants it refused."""
        if self.answer.startswith("2"):
            self.envelopes.append(envelope)
        return self.answer


def start(mailbox: Mailbox, port: int) -> Any:
    """Serve a mailbox from a thread; return the controller, whose stop() ends it."""
    controller = Controller(mailbox, hostname=mailbox.host, port=port)
    controller.start()
    mailbox.port = port
    return controller
