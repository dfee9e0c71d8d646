"""One open browser: what it still has to be told, bounded by saying "look at everything again"."""

import asyncio
import json
from collections.abc import Iterable

from web.live.topics import ALARM, Happening, Hearer, topics_for

# More topics than this waiting for one slow browser become one `resync`.
MOST_PENDING = 256
RESYNC = "resync"


class Line:
    """What one browser waits for. Not thread-safe: used on the event loop only."""

    def __init__(self, hearer: Hearer, topics: frozenset[str] | None = None) -> None:
        self.hearer = hearer
        # None: whatever this person may hear.
        self.topics = topics
        self.ended = False
        self.ready = asyncio.Event()
        self._pending: dict[str, set[str]] = {}
        self._resync = False

    def offer(self, events: Iterable[Happening]) -> None:
        """Take what of these events is this browser's; several of one topic become one message."""
        if self._resync:
            return
        for event in events:
            for topic in topics_for(self.hearer, event):
                if self.topics is None or topic in self.topics:
                    self._pending.setdefault(topic, set()).add(event.kind)
        if len(self._pending) > MOST_PENDING:
            self.resync()
        elif self._pending:
            self.ready.set()

    def raise_alarm(self) -> None:
        """Tell this browser to look at the alarm, if its page shows alarms."""
        if self.topics is not None and ALARM in self.topics and not self._resync:
            self._pending.setdefault(ALARM, set())
            self.ready.set()

    def resync(self) -> None:
        """Tell this browser to look at everything again, instead of what is pending."""
        self._pending.clear()
        self._resync = True
        self.ready.set()

    def end(self) -> None:
        """Let the stream end at once."""
        self.ended = True
        self.ready.set()

    def take(self) -> bytes:
        """Return what is pending in the stream's format and forget it; empty if nothing is."""
        self.ready.clear()
        if self._resync:
            self._resync = False
            return message(RESYNC)
        parts = [message(topic, kinds=sorted(kinds)) for topic, kinds in self._pending.items()]
        self._pending.clear()
        return b"".join(parts)


def message(name: str, **facts: object) -> bytes:
    """Write one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(facts, separators=(',', ':'))}\n\n".encode()
