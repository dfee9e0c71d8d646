"""One reader of the timeline per process, and all the browsers it tells.

Valkey only rings: the rows are read by a cursor that loses nothing, at a ring or after POLL seconds, whichever comes
first. So a dead broker makes the stream a second slower and nothing else.
"""

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TypeVar

import redis.asyncio
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from core.wake import live_channel
from escalation import watchdog
from escalation.rules.alive import alarm
from tickets.cursor import Reading, read_after, repeatable_read, take_cursor
from web.live.lines import Line
from web.live.topics import Happening, happening

log = logging.getLogger("belay.live")

T = TypeVar("T")

POLL = 1.0
# Rings closer together than this are answered by one reading.
BREATH = 0.04
# More events at once than this, and every browser looks at everything again.
MOST_EVENTS = 5000
# What a page that is just loading, or a browser that comes back, can still be told.
REMEMBERED_SECONDS = 120.0
MOST_REMEMBERED = 10_000
# Between commit and our reading of it.
MARGIN = 2 * POLL
# The reader goes on for so long without a browser: between two pages there is none.
LINGER = 120.0
BROKER_PAUSE = 2.0
# How often the engines are looked at, and how often an alarm that goes on is told again: its age grows.
LOOK_EVERY = 5.0
ALARM_EVERY = 15.0
# For the first reading, which the first browser waits for.
START_PATIENCE = 10.0


class Hub:
    """The browsers of one process and the reader that serves them; lives on one event loop."""

    def __init__(self) -> None:
        self.lines: set[Line] = set()
        self._recent: deque[tuple[float, Happening]] = deque()
        # Everything that was read since this instant is in `_recent`.
        self._covered_since = float("inf")
        self._rung = asyncio.Event()
        self._started = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live-reader")
        self._left_at = 0.0
        self._looked_at = self._alarmed_at = 0.0
        self._alarm = ""
        self._stopped = False

    async def join(self, line: Line, age: float | None) -> None:
        """Add a browser whose page is `age` seconds old, and tell it what happened since.

        Where that isn't known any more it is told to look at everything again; None asks for neither.
        """
        if self._stopped:
            line.end()
            return
        if not self._tasks:
            self._start()
        await asyncio.wait_for(self._started.wait(), START_PATIENCE)
        self.lines.add(line)
        if age is None:
            return
        since = time.monotonic() - age
        if since < self._covered_since:
            line.resync()
        else:
            line.offer([event for at, event in self._recent if at >= since - MARGIN])

    def leave(self, line: Line) -> None:
        """Forget a browser."""
        self.lines.discard(line)
        self._left_at = time.monotonic()

    def stop(self) -> None:
        """End every stream at once and read no more; this hub is then done."""
        self._stopped = True
        for line in self.lines:
            line.end()
        for task in self._tasks:
            task.cancel()
        self._started.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        self._started.clear()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    async def _read(self) -> None:
        cursor = ""
        while self.lines or not cursor or time.monotonic() - self._left_at < LINGER:
            try:
                if not cursor:
                    cursor = await self._in_thread(_first_cursor)
                    self._covered_since = self._left_at = time.monotonic()
                    self._started.set()
                else:
                    reading = await self._in_thread(lambda since=cursor: _read_after(since))  # type: ignore[misc]
                    cursor = reading.cursor
                    self._tell(reading)
                    await self._watch()
            except (DatabaseError, InterfaceError) as error:
                # The cursor stays good: whatever commits meanwhile is read when the database is back.
                log.warning("the timeline can't be read: %s", " ".join(str(error).split()))
                await asyncio.sleep(POLL)
            except Exception:
                # Whatever it was, the cursor is past it: let the pages look for themselves and go on.
                log.exception("telling the browsers failed")
                for line in self.lines:
                    line.resync()
            await asyncio.sleep(BREATH)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), POLL - BREATH)
            self._rung.clear()
        self._end_reading()

    def _end_reading(self) -> None:
        """Rest until the next browser comes; the listener is the other task."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._tasks = []
        self._recent.clear()
        self._covered_since = float("inf")

    def _tell(self, reading: Reading) -> None:
        if reading.overflowed:
            self._recent.clear()
            self._covered_since = time.monotonic()
            for line in self.lines:
                line.resync()
            return
        # Imported history is no news.
        events = [happening(event) for event in reading.events if not event.historic]
        now = time.monotonic()
        self._recent.extend((now, event) for event in events)
        while self._recent and (
            len(self._recent) > MOST_REMEMBERED or self._recent[0][0] < now - REMEMBERED_SECONDS
        ):
            self._covered_since = self._recent.popleft()[0]
        self._covered_since = max(self._covered_since, now - REMEMBERED_SECONDS)
        if events:
            for line in self.lines:
                line.offer(events)

    async def _watch(self) -> None:
        """Look at the engines now and then, and let the pages of leads show what changed."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        found = alarm(await self._in_thread(watchdog.look))
        what = found.what if found is not None else ""
        if what != self._alarm or (what and now - self._alarmed_at > ALARM_EVERY):
            self._alarm, self._alarmed_at = what, now
            for line in self.lines:
                line.raise_alarm()

    async def _listen(self) -> None:
        """Wait for the bell; without a broker the reader polls by itself."""
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1)
            try:
                async with client.pubsub() as bell:
                    await bell.subscribe(live_channel())
                    while True:
                        if await bell.get_message(ignore_subscribe_messages=True, timeout=30):
                            self._rung.set()
            except (redis.RedisError, OSError) as error:
                log.warning("the broker doesn't ring, looking every %.0f s: %s", POLL, error)
                await asyncio.sleep(BROKER_PAUSE)
            finally:
                with contextlib.suppress(redis.RedisError, OSError):
                    await client.aclose()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _first_cursor() -> str:
    close_old_connections()
    try:
        with repeatable_read():
            return take_cursor()
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


def _read_after(since: str) -> Reading:
    close_old_connections()
    try:
        return read_after(since, at_most=MOST_EVENTS)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


def on_shutdown(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call `stop` on the loop as soon as this process is told to end.

    An open stream never ends by itself, and the server waits for it before it kills. asyncio learns of signals
    through its wakeup descriptor, whatever the handler: so ours stands in front, and the server still hears.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for sign in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(sign)
        if not callable(before):
            continue  # nobody here ends gracefully, the process just dies

        def told(number: int, frame: FrameType | None, before: Callable[..., object] = before) -> None:
            loop.call_soon_threadsafe(stop)
            before(number, frame)

        signal.signal(sign, told)
