"""Row `engine`: the tick against the hand-written set-based transaction, and two workers against one (DESIGN 7)."""

import cProfile
import datetime as dt
import time
from collections.abc import Callable, Iterable
from typing import Any

from bench.databases import clone, connect, url_of
from bench.measuring import Row, Size, median, percentile, rounded, spread
from bench.worker import Worker

# The limits of DESIGN 7.
RATIO, TWO_WORKERS, QUERIES, BATCH_P95_MS = 0.5, 1.5, 14, 250
# The largest batch; the engine takes smaller ones where such a batch would hold its locks for too long.
BATCH = 500
_MINUTE = dt.timedelta(minutes=1)


def run(size: Size) -> Row:
    """Measure both; each in a database of its own, whose due tickets are spent in slices."""
    pairs = 5 if size.quick else 10
    row = _against_sql(size, pairs) | _two_workers(size, 1 if size.quick else 5)
    row["holds"] = (
        row["ratio"] >= RATIO
        and row["two_workers"] >= TWO_WORKERS
        and row["queries_per_batch"] <= QUERIES
        and row["batch_p95_ms"] <= BATCH_P95_MS
        and row["decided_twice"] == row["left_behind"] == 0
    )
    return row


def _against_sql(size: Size, pairs: int) -> Row:
    """Drain slices of ten batches (quick: one) by Belay and by SQL in turn, in one process."""
    per_slice = size.due // (2 * pairs)
    with clone(size.open) as database, Worker(url_of(database)) as worker:
        # To warm up both sides, then to count what a tick sends that finds nothing and one that finds batches.
        extra = [BATCH, BATCH, 0, 3 * BATCH] + ([per_slice] if size.profile else [])
        slices = Slices(worker, [*extra, *[per_slice] * (2 * pairs)])
        worker.ask("bench.reference.prepare")
        slices.drain(worker, "bench.engine.tick_once")
        slices.drain(worker, "bench.reference.drain")
        idle = slices.drain(worker, "bench.engine.tick_once", count=True)
        busy = slices.drain(worker, "bench.engine.tick_once", count=True)
        if size.profile:
            slices.drain(worker, "bench.engine.tick_once", profile=str(size.profile))
        belay, sql = [], []
        for _ in range(pairs):
            belay.append(slices.drain(worker, "bench.engine.tick_once"))
            sql.append(slices.drain(worker, "bench.reference.drain"))
        slices.check(database)
    ratios = [ours["rate"] / theirs["rate"] for ours, theirs in zip(belay, sql, strict=True)]
    ours = [seconds * 1000 for drained in belay for seconds in drained["batch_seconds"]]
    theirs = [seconds * 1000 for drained in sql for seconds in drained["batch_seconds"]]
    return {
        "ratio": median(ratios),
        "ratio_spread": spread(ratios),
        "queries_per_batch": per_batch(idle, busy),
        "tickets_per_batch": median([per_slice / len(drained["batch_seconds"]) for drained in belay]),
        "batch_p95_ms": percentile(ours, 95),
        "batch_ms": median(ours),
        "sql_batch_ms": median(theirs),
        "rate": median([drained["rate"] for drained in belay]),
        "sql_rate": median([drained["rate"] for drained in sql]),
        "tickets_per_run": per_slice,
        "belay_s": [rounded(drained["seconds"]) for drained in belay],
        "sql_s": [rounded(drained["seconds"]) for drained in sql],
    }


def per_batch(idle: dict[str, Any], busy: dict[str, Any]) -> float:
    """Return how many statements a batch costs, what every tick sends apart."""
    return rounded((busy["queries"] - idle["queries"]) / len(busy["batch_seconds"]))


def _two_workers(size: Size, pairs: int) -> Row:
    """Drain slices by one process and by two at once, in turn."""
    # An even number of batches, or one of the two would have nothing to do at the end.
    per_slice = size.due // (2 * pairs) // (2 * BATCH) * 2 * BATCH
    with clone(size.open) as database, Worker(url_of(database)) as one, Worker(url_of(database)) as other:
        slices = Slices(one, [BATCH, BATCH, *[per_slice] * (2 * pairs)])
        for worker in (one, other):
            slices.drain(worker, "bench.engine.tick_once")
        alone, together = [], []
        for _ in range(pairs):
            alone.append(slices.drain(one, "bench.engine.tick_once"))
            together.append(slices.drain_together([one, other]))
        checked = slices.check(database)
    ratios = [both["rate"] / single["rate"] for both, single in zip(together, alone, strict=True)]
    return {
        "two_workers": median(ratios),
        "two_workers_spread": spread(ratios),
        "one_worker_s": [rounded(drained["seconds"]) for drained in alone],
        "two_workers_s": [rounded(drained["seconds"]) for drained in together],
        **checked,
    }


class Slices:
    """Tickets that are due slice after slice, a minute apart and all in the past.

    A slice is drained by a tick whose now lies a second after it: the tick finds nothing else due by then, so that a
    slice ends where it should without a change to the engine.
    """

    def __init__(self, worker: Worker, counts: Iterable[int]) -> None:
        self.counts = list(counts)
        self.drained = 0
        self.first = dt.datetime.now(dt.UTC).replace(microsecond=0) - (len(self.counts) + 1) * _MINUTE
        slices = [[(self.first + n * _MINUTE).isoformat(), count] for n, count in enumerate(self.counts)]
        worker.ask("bench.due.make_due", slices=slices)

    def drain(self, worker: Worker, how: str, **more: Any) -> dict[str, Any]:
        """Have one worker drain the next slice; return what it said, with seconds and tickets a second."""
        return self._timed(lambda now: [worker.ask(how, now=now, **more)])

    def drain_together(self, workers: list[Worker]) -> dict[str, Any]:
        """Have several drain the next slice at the same time."""

        def ask(now: str) -> list[dict[str, Any]]:
            for worker in workers:
                worker.tell("bench.engine.tick_once", now=now)
            return [worker.answer() for worker in workers]

        return self._timed(ask)

    def _timed(self, ask: Callable[[str], list[dict[str, Any]]]) -> dict[str, Any]:
        now = self.first + self.drained * _MINUTE + dt.timedelta(seconds=1)
        wanted = self.counts[self.drained]
        self.drained += 1
        began = time.perf_counter()
        answers = ask(now.isoformat())
        seconds = time.perf_counter() - began
        if (moved := sum(answer["tickets"] for answer in answers)) != wanted:
            raise RuntimeError(f"{wanted} tickets were due, {moved} moved")
        return answers[0] | {"seconds": seconds, "rate": wanted / seconds}

    def check(self, database: str) -> dict[str, int]:
        """Count what was decided twice and what was left behind, from the rows."""
        link = connect(database)
        with link.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), count(DISTINCT ticket_id) FROM escalation_escalation WHERE due_at >= %s",
                [self.first],
            )
            climbed, tickets = cursor.fetchone()
        link.close()
        return {"decided_twice": climbed - tickets, "left_behind": sum(self.counts[: self.drained]) - tickets}


# --- in the worker --------------------------------------------------------------------------------------------------


def tick_once(*, now: str, count: bool = False, profile: str | None = None) -> dict[str, Any]:
    """Run one tick; return its report and, with `count`, how many statements it sent (BEGIN and COMMIT apart)."""
    from django.db import connection

    from escalation.engine import tick

    sent = 0

    def see(execute: Callable[..., Any], *statement: Any) -> Any:
        nonlocal sent
        sent += 1
        return execute(*statement)

    at = dt.datetime.fromisoformat(now)
    if profile:
        with cProfile.Profile() as profiler:
            report = tick(now=at)
        profiler.dump_stats(profile)
    elif count:
        with connection.execute_wrapper(see):
            report = tick(now=at)
    else:
        report = tick(now=at)
    if report.set_aside:
        raise RuntimeError(f"{report.set_aside} tickets were set aside")
    return {"tickets": report.tickets, "batch_seconds": report.batch_seconds, "queries": sent}
