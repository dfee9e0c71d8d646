"""An SMTP client that ends in time: a server that answers a byte every few seconds must not outlast the lease."""

import io
import smtplib
import socket
import struct
import time
from email.utils import parseaddr
from functools import lru_cache
from typing import Any, cast

from django.core.mail.backends.smtp import EmailBackend

# For connecting with greeting and sign-in, and again for each mail; both together fit into what a send has in hand
# (notifications.leasing.IN_HAND). The time-out of a single answer is EMAIL_TIMEOUT.
AT_MOST_SECONDS = 24.0
# What the kernel takes at once, however slowly the server reads.
_SMALL = 16_384


class _Answers(io.RawIOBase):
    """What the server says, for as long as there is time left."""

    def __init__(self, client: "_Punctual") -> None:
        self._client = client

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has come; wait for it no longer than there is time left. Raises TimeoutError."""
        sock = self._client.ready()
        try:
            return sock.recv_into(buffer)
        except BlockingIOError as error:
            raise TimeoutError("timed out: no answer") from error


class _Punctual(smtplib.SMTP):
    """Waits in the kernel (SO_RCVTIMEO): with a time-out of Python's, each read would be two calls."""

    _ends_at = 0.0
    _wait: float | None = None

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
        wait = min(left, self.timeout)
        if wait != self._wait:
            self._wait = wait
            whole = int(wait)
            limit = struct.pack("ll", whole, max(int((wait - whole) * 1e6), 1))
            self.sock.settimeout(None)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return self.sock

    def connect(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        # Of another socket.
        self._wait = None
        return super().connect(*args, **options)

    def starttls(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        answer = super().starttls(*args, **options)
        self._wait = None
        return answer

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_Answers(self))
        return super().getreply()

    def send(self, s: Any) -> None:
        sock = self.ready()
        if len(s) > _SMALL:
            # Piece by piece, as the server reads: here the time-out of Python's is for the whole.
            sock.settimeout(min(self._ends_at - time.monotonic(), self.timeout))
            self._wait = None
        try:
            super().send(s)
        except BlockingIOError as error:
            self.close()
            raise TimeoutError("timed out: it takes nothing more") from error


class _PunctualTLS(_Punctual, smtplib.SMTP_SSL):
    """The same where the connection is encrypted from the start."""


class PunctualBackend(EmailBackend):
    """Django's SMTP backend with such a client."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """The client to connect with."""
        return _PunctualTLS if self.use_ssl else _Punctual

    def send_ready(self, sender: str, recipient: str, content: bytes) -> None:
        """Send one mail that is written down already, over the open connection.

        Raises SMTPResponseException where the server refuses, and what smtplib raises besides.
        """
        client = cast("_Punctual", self.connection)
        client.start()
        client.ehlo_or_helo_if_needed()
        size = f" size={len(content)}" if client.has_extn("size") else ""
        _expect(client.docmd("MAIL", f"FROM:<{_bare(sender)}>{size}"), 250)
        _expect(client.docmd("RCPT", f"TO:<{_bare(recipient)}>"), 250, 251)
        _expect(client.data(content), 250)


def _expect(reply: tuple[int, bytes], *codes: int) -> None:
    if reply[0] not in codes:
        raise smtplib.SMTPResponseException(*reply)


@lru_cache(maxsize=4096)
def _bare(address: str) -> str:
    """Return an address without the name beside it."""
    return parseaddr(address)[1]
