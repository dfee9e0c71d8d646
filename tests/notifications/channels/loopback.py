"""A real HTTP server on this machine, as ill as a test wants it, and envelopes to send to it."""

import contextlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.secrets import encrypt
from notifications.channels import Envelope
from notifications.models import Provider

SECRET = "tok3n-S3cr3t-0815"


class Server(ThreadingHTTPServer):
    """Answers as `status`, `headers`, `body` say; `hangs` says nothing, `trickles` a byte at a time for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.body = b"ok"
        self.hangs = self.trickles = False
        self.over = threading.Event()
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def said(self) -> Any:
        """What the last request said, as JSON."""
        return json.loads(self.seen[-1][2])

    def text(self) -> str:
        """Return the last request's body."""
        return self.seen[-1][2].decode()

    def shut_down(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.path, dict(self.headers), said))
        if self.server.hangs:
            self.server.over.wait(10)
            return
        if self.server.trickles:
            with contextlib.suppress(OSError):
                while not self.server.over.wait(0.05):
                    self.wfile.write(b"H")
            return
        # Without a date of its own: a test may want another one.
        self.send_response_only(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_POST  # noqa: N815 the server calls them so

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def own(url: str, **more: Any) -> str:
    """Return a contact method's own secret."""
    return encrypt(json.dumps({"url": url, **more}))


def provider(url: str, channel: str = "sms") -> Provider:
    """Return a provider that is in no database."""
    return Provider(name="Gateway", channel=channel, secret=encrypt(url), shown="somewhere")


def envelope(**more: Any) -> Envelope:
    """Return what the engine would hand over."""
    fields: dict[str, Any] = {
        "address": "+15555550123",
        "subject": "[SEV1] #7 VPN drops",
        "text": "SEV1  #7  VPN drops\n===================\n\nAnn Test needs you now.\n\nAcknowledge:\n"
        "https://belay.example/a/xyz\n\nWhat they wrote\n\n    It drops.\n\n-- \nBelay\n",
        "html": "<p>",
        "key": "<0190abc@belay.example>",
        "short": "[SEV1] #7 VPN drops. https://belay.example/a/xyz",
        "facts": {
            "kind": "escalation.telling",
            "ticket": 7,
            "seq": 2,
            "round": 1,
            "link": "https://belay.example/a/xyz",
            "created_at": "2026-03-02T09:00:00+00:00",
        },
    }
    return Envelope(**fields | more)
