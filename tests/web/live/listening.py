"""A browser's end of the live stream, without a browser."""

import contextlib
import http.client
import queue
import socket
import threading
import time
from types import TracebackType
from typing import Self

from django.conf import settings
from django.test import Client

from accounts.models import User

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def session_of(user: User) -> tuple[Client, str]:
    """Sign a person in and return the client with the session's key."""
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client, client.cookies[settings.SESSION_COOKIE_NAME].value


class Listening:
    """One open stream; `status` tells whether there is one."""

    def __init__(
        self, port: int, session: str, query: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        own = {"Host": f"localhost:{port}", "Cookie": f"sessionid-{port}={session}"}
        self.link.request("GET", f"/live/{query}", headers={**own, **(headers or {})})
        self._socket = self.link.sock
        self.reply = self.link.getresponse()
        self.status = self.reply.status
        self.ended = False
        self._rest = b""
        # A socket that has timed out once reads no more: a thread waits instead.
        self._pieces: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away, as a closed tab does."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.link.close()

    def heard(self, wanted: str = "", *, within: float = 5.0) -> list[str]:
        """Return the names of the events heard until `wanted` comes, the time is over or the stream ends."""
        names: list[str] = []
        until = time.monotonic() + within
        while (left := until - time.monotonic()) > 0 and not self.ended:
            try:
                piece = self._pieces.get(timeout=left)
            except queue.Empty:
                break
            self.ended = not piece
            *whole, self._rest = (self._rest + piece).split(b"\n\n")
            for block in whole:
                names += [
                    line.removeprefix(b"event: ").decode()
                    for line in block.split(b"\n")
                    if line.startswith(b"event: ") and line != b"event: here"
                ]
            if wanted and wanted in names:
                break
        return names

    def _read(self) -> None:
        piece = b"begin"
        while piece:
            try:
                piece = self.reply.read1(65536)
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                piece = b""
            self._pieces.put(piece)
