"""The development mail server: takes any mail, delivers none, keeps each as a file that a page of Belay shows."""

import asyncio
import contextlib
import secrets
import signal
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT_MAILS = 2000
LARGEST_MAIL = 25_000_000


class Sink:
    """aiosmtpd's handler: one file a mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store a mail; the sender is told that it went out only once the file is there."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        recipients = ", ".join(envelope.rcpt_tos)
        # Who it was really for: a blind copy's reader stands nowhere else.
        head = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {recipients}\r\n".encode()
        store(self.folder, head + raw)
        return "250 kept"


def store(folder: Path, raw: bytes) -> Path:
    """Write one mail, whole or not at all, and drop the oldest beyond KEPT_MAILS."""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    draft, path = folder / f"{name}.part", folder / f"{name}.eml"
    draft.write_bytes(raw)
    draft.rename(path)
    for old in sorted(folder.glob("*.eml"))[:-KEPT_MAILS]:
        old.unlink(missing_ok=True)
    return path


def make_folder(folder: Path) -> None:
    """Create the folder; clear away what a sink that was killed had begun to write."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for draft in folder.glob("*.part"):
        draft.unlink(missing_ok=True)


async def serve(folder: Path, port: int) -> None:
    """Listen on this machine until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    sink = Sink(folder)
    server = await loop.create_server(
        lambda: SMTP(sink, enable_SMTPUTF8=True, data_size_limit=LARGEST_MAIL, ident="Belay mail sink"),
        "127.0.0.1",
        port,
    )
    await stop.wait()
    server.close()
    with contextlib.suppress(TimeoutError):
        # From Python 3.12 on this waits for clients too, and one may never leave.
        await asyncio.wait_for(server.wait_closed(), timeout=1)
