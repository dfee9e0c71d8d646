"""Many open browsers at the live stream: how long from a commit until each of them knows."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

_OPENING = 60.0
_SETTLING = 0.5
# Not heard by then: lost, as far as anybody at a screen can tell.
PATIENCE = 5.0
# Between two commits, unequal: a steady beat would meet the reader's pauses always at the same place.
_PAUSES = (0.11, 0.23, 0.17, 0.31, 0.07)


@dataclass
class Browser:
    """One open stream and when it heard of each commit, by the clock of `time.perf_counter`."""

    session: str
    heard: list[float] = field(default_factory=list)


class _Round:
    """Tells when each browser has heard of the present commit."""

    def __init__(self, browsers: Sequence[Browser]) -> None:
        self.browsers = browsers
        self.begin()

    def begin(self) -> None:
        for browser in self.browsers:
            browser.heard.clear()
        self._deaf = len(self.browsers)
        self.all_heard = asyncio.Event()

    def rung(self, browser: Browser) -> None:
        browser.heard.append(time.perf_counter())
        if len(browser.heard) == 1:
            self._deaf -= 1
            if not self._deaf:
                self.all_heard.set()


@dataclass(frozen=True)
class Heard:
    """What came of all commits: each one's delays (seconds, one a browser), and how often each browser heard."""

    delays: list[float]
    lost: int
    receipts: list[int]


def listen(port: int, sessions: Sequence[str], commits: int, commit: Callable[[int], float]) -> Heard:
    """Open one stream per session, have `commit(number)` called so often, and wait each time until all have heard.

    `commit` returns when it committed, by time.perf_counter, which on Linux all processes share; it runs in a thread.
    Each commit must be one that everybody's board changes by.
    """
    return asyncio.run(_listen(port, [Browser(session) for session in sessions], commits, commit))


async def _listen(
    port: int, browsers: Sequence[Browser], commits: int, commit: Callable[[int], float]
) -> Heard:
    opened = asyncio.Semaphore(0)
    present = _Round(browsers)
    tasks = [asyncio.create_task(_browse(port, browser, opened, present)) for browser in browsers]
    try:
        for _ in browsers:
            await asyncio.wait_for(opened.acquire(), _OPENING)
        await asyncio.sleep(_SETTLING)
        loop = asyncio.get_running_loop()
        delays: list[float] = []
        lost = 0
        receipts = [0] * len(browsers)
        with ThreadPoolExecutor(1) as writer:
            for number in range(commits):
                present.begin()
                committed = await loop.run_in_executor(writer, commit, number)
                try:
                    await asyncio.wait_for(present.all_heard.wait(), PATIENCE)
                except TimeoutError:
                    lost += sum(not browser.heard for browser in browsers)
                await asyncio.sleep(_PAUSES[number % len(_PAUSES)])
                for place, browser in enumerate(browsers):
                    receipts[place] += len(browser.heard)
                    # The rings may overtake the writer's own return from the commit.
                    delays += [max(0.0, at - committed) for at in browser.heard[:1]]
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
    return Heard(delays, lost, receipts)


async def _browse(port: int, browser: Browser, opened: asyncio.Semaphore, present: _Round) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    cookie = f"sessionid-{port}={browser.session}"
    writer.write(
        f"GET /live/?on=board,bell HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
    )
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"the stream answered {status!r}")
        opened.release()
        while line := await reader.readline():
            if line == b"event: board\n":
                present.rung(browser)
        raise RuntimeError("the stream ended")
    finally:
        writer.close()
