"""Counts and histograms on their way into the database, where every process's figures meet.

A scrape is answered by the web process, the work is done elsewhere, maybe on other machines: so nothing is counted for
a scrape in memory. A tick gathers what it did here and writes it with its own record, in one statement.
"""

import json
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

# Upper bounds in seconds, by what is promised: a batch within 0.25 s, lateness within 1.5 s, a burst within 5 s.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
INFINITE = "+Inf"
BUCKET, SUM = "_bucket", "_sum"

Key = tuple[str, str]


class Measures:
    """What one tick, or one process since its last tick, counted; (name, labels) -> amount."""

    def __init__(self) -> None:
        self._amounts: Counter[Key] = Counter()
        self._guard = threading.Lock()

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        if amount:
            with self._guard:
                self._amounts[name, spelt(labels)] += amount  # type: ignore[assignment]

    def observe(self, name: str, seconds: Iterable[float], **labels: str) -> None:
        """Add observations to a histogram; buckets are kept apart and summed up when they are shown."""
        found: Counter[float] = Counter()
        total = 0.0
        for value in seconds:
            place = bisect_left(BOUNDS, value)
            found[BOUNDS[place] if place < len(BOUNDS) else float("inf")] += 1
            total += max(value, 0.0)
        for bound, number in found.items():
            le = INFINITE if bound == float("inf") else str(bound)
            self.count(name + BUCKET, number, **labels, le=le)
        self.count(name + SUM, total, **labels)

    def drain(self) -> dict[Key, float]:
        """Return everything counted so far and begin anew."""
        with self._guard:
            amounts, self._amounts = self._amounts, Counter()
        return dict(amounts)

    def give_back(self, amounts: dict[Key, float]) -> None:
        """Take back what could not be written; the next tick writes it."""
        with self._guard:
            self._amounts.update(amounts)


def spelt(labels: dict[str, str]) -> str:
    """Return labels as the one text that stands for them."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))
