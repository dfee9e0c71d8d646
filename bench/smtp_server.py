"""A local mail server in a process of its own, which takes every mail, keeps none and counts them.

It is aiosmtpd, the real server that the tests use too, and not a hand-made sink: a sink that answers every line with
“250” takes 4,500 messages a second on two cores and would measure how fast Python writes to a socket, for both sides;
real servers parse, check and answer at a quarter of that at best.
"""

import asyncio
import signal
import sys

from aiosmtpd.smtp import SMTP, Envelope, Session


class Counter:
    """aiosmtpd's handler: says yes and counts."""

    def __init__(self) -> None:
        self.taken = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Take a mail."""
        self.taken += 1
        return "250 taken"


async def serve() -> None:
    """Listen on a free port of this machine, print it, and print how many mails came when told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    counter = Counter()
    server = await loop.create_server(lambda: SMTP(counter, enable_SMTPUTF8=True), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()
    print(counter.taken, flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
    sys.exit(0)
