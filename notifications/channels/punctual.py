"""An SMTP client that ends in time: a server that answers a byte every few seconds must not outlast the lease."""

import io
import smtplib
import socket
import time
from typing import Any, cast

from django.core.mail.backends.smtp import EmailBackend

# For connecting with greeting and sign-in, and again for each mail; both together fit into what a send has in hand
# (notifications.leasing.IN_HAND). The time-out of a single answer is EMAIL_TIMEOUT.
AT_MOST_SECONDS = 24.0


class _Answers(io.RawIOBase):
    """What the server says, for as long as there is time left."""

    def __init__(self, client: "_Punctual") -> None:
        self._client = client

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has come; wait for it no longer than there is time left. Raises TimeoutError."""
        return self._client.ready().recv_into(buffer)


class _Punctual(smtplib.SMTP):
    _ends_at = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        self.start()
        super().__init__(*args, **options)

    def start(self) -> None:
        """Let the time run from now on."""
        self._ends_at = time.monotonic() + AT_MOST_SECONDS

    def ready(self) -> socket.socket:
        """Return the socket, whose next use may take what is left. Raises TimeoutError when nothing is."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"timed out: not done within {AT_MOST_SECONDS:g} seconds")
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        self.sock.settimeout(min(left, self.timeout))
        return self.sock

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_Answers(self))
        return super().getreply()

    def send(self, s: Any) -> None:
        # The time-out of a socket is the whole time that sending may take.
        self.ready()
        super().send(s)


class _PunctualTLS(_Punctual, smtplib.SMTP_SSL):
    """The same where the connection is encrypted from the start."""


class PunctualBackend(EmailBackend):
    """Django's SMTP backend with such a client."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """The client to connect with."""
        return _PunctualTLS if self.use_ssl else _Punctual

    def send_ready(self, sender: str, recipient: str, content: bytes) -> None:
        """Send one mail that is written down already, over the open connection. Raises what smtplib raises."""
        client = cast("_Punctual", self.connection)
        client.start()
        client.sendmail(sender, [recipient], content)
