"""Row `idle`: a tick with nothing due, at full size against small, and right after a drain (DESIGN 7)."""

import time

from bench.databases import clone, url_of
from bench.engine import Slices
from bench.measuring import Row, Size, median, percentile, rounded, spread
from bench.worker import Worker

# The limits of DESIGN 7.
RATIO, MS = 2.0, 5.0
_ROUNDS, _TICKS = 20, 10
_DRAIN_QUICK = 3_000


def run(size: Size) -> Row:
    """Tick a large and a small database in turn, then drain the large one and tick on."""
    with (
        clone(size.small) as small,
        clone(size.open) as large,
        Worker(url_of(small)) as one,
        Worker(url_of(large)) as other,
    ):
        for worker in (one, other):
            worker.ask("bench.idle.tick_idly", times=_TICKS)
        few: list[list[float]] = []
        many: list[list[float]] = []
        for _ in range(_ROUNDS):
            few.append(one.ask("bench.idle.tick_idly", times=_TICKS))
            many.append(other.ask("bench.idle.tick_idly", times=_TICKS))
        # More than a drain has to be for its dead index entries to count (escalation.engine.LARGE_DRAIN).
        due = min(size.due, _DRAIN_QUICK) if size.quick else size.due
        Slices(other, [due]).drain(other, "bench.engine.tick_once")
        after: list[float] = other.ask("bench.idle.tick_idly", times=_TICKS)
    ratios = [sum(large_ms) / sum(small_ms) for large_ms, small_ms in zip(many, few, strict=True)]
    all_many = [ms for run in many for ms in run]
    row: Row = {
        "ratio": median(ratios),
        "ratio_spread": spread(ratios),
        "ms": median(all_many),
        "p95_ms": percentile(all_many, 95),
        "small_ms": median([ms for run in few for ms in run]),
        "after_drain_ms": median(after),
        "after_drain_each_ms": [rounded(ms) for ms in after],
        "ms_per_round": [median(run) for run in many],
        "small_ms_per_round": [median(run) for run in few],
    }
    row["holds"] = row["ratio"] <= RATIO and row["ms"] < MS and row["after_drain_ms"] < MS
    return row


# --- in the worker --------------------------------------------------------------------------------------------------


def tick_idly(*, times: int) -> list[float]:
    """Run ticks that find nothing due; return how long each took, in milliseconds."""
    from escalation.engine import tick

    took = []
    for _ in range(times):
        began = time.perf_counter()
        report = tick()
        took.append((time.perf_counter() - began) * 1000)
        if report.tickets:
            raise RuntimeError(f"{report.tickets} tickets were due where nothing was to be")
    return took
