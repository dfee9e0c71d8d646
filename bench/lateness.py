"""Row `lateness`: real beat and engine workers against tickets due over a minute and at one instant (DESIGN 7).

How late a decision was is on record (`late_by`, claim minus due). It is checked from outside: another connection polls
for the escalations' rows and takes the database's clock when it first sees each one, which is after the commit.
"""

import contextlib
import datetime as dt
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bench.databases import KEPT, clone, connect, url_of
from bench.engine import Slices
from bench.measuring import Row, Size, median, percentile, rounded
from bench.worker import Worker
from helpdesk.processes import processes, start

# The limits of DESIGN 7, in seconds.
SPREAD_P99, INSTANT_P99, OF_ENGINE = 1.5, 5.0, 1.5
# Over how many seconds the first case is spread.
_SPREAD, _SPREAD_QUICK = 60.0, 8.0
# From preparing the tickets until the first is due.
_LEAD = 2.5
# Not oftener: what is measured needs the processors.
_POLL = 0.2
# Two workers commit batches of 500 out of the order of ids.
_OUT_OF_ORDER = 3_000


def run(size: Size) -> Row:
    """Let tickets fall due while the real processes run; both cases in one database."""
    due = size.due // 10
    with clone(size.open) as database, Worker(url_of(database)) as worker:
        # How fast one engine process is here and now, for the limit of the second case.
        slices = Slices(worker, [500, due])
        slices.drain(worker, "bench.engine.tick_once")
        rate = slices.drain(worker, "bench.engine.tick_once")["rate"]
        worker.ask("bench.lateness.prepare")
        with _processes(database):
            _wait_for_a_tick(database)
            spread = _case(worker, database, due, over=_SPREAD_QUICK if size.quick else _SPREAD)
            at_once = _case(worker, database, due, over=0.0)
    bound = OF_ENGINE * (due / rate + 1.0)
    # A tick reads its now once, so that `late_by` is the same for its first batch and its last: when many are due at
    # once, only the commits tell how late the last ones were.
    spread["p99_s"], at_once["p99_s"] = spread["recorded_p99_s"], at_once["seen_p99_s"]
    at_once["bound_s"] = rounded(bound)
    spread["holds"] = spread["p99_s"] < SPREAD_P99
    at_once["holds"] = at_once["p99_s"] < INSTANT_P99 and at_once["p99_s"] <= bound
    return {
        "p99_s": spread["p99_s"],
        "tickets": due,
        "engine_rate": rounded(rate),
        "spread": spread,
        "at_once": at_once,
        "holds": spread["holds"] and at_once["holds"],
    }


def _case(worker: Worker, database: str, due: int, *, over: float) -> Row:
    """Make tickets due, evenly over so many seconds from soon on, and watch until all are decided."""
    link = connect(database)
    link.autocommit = True
    began = time.monotonic()
    with link.cursor() as cursor:
        # Preparing takes long among a million; it is done before the tickets are due, or it has to be given longer.
        lead = _LEAD
        while True:
            cursor.execute("SELECT clock_timestamp()")
            first: dt.datetime = cursor.fetchone()[0] + dt.timedelta(seconds=lead)
            ready = worker.ask("bench.lateness.make_due", count=due, first=first.isoformat(), over=over)
            if ready:
                break
            lead *= 4
        cursor.execute("SELECT coalesce(max(id), 0) FROM escalation_escalation")
        seen = _watch(cursor, cursor.fetchone()[0], due, first)
    link.close()
    late = [late_by for late_by, _ in seen]
    committed = [after for _, after in seen]
    return {
        "recorded_p99_s": percentile(late, 99),
        "recorded_median_s": median(late),
        "recorded_max_s": rounded(max(late)),
        "seen_p99_s": percentile(committed, 99),
        "seen_max_s": rounded(max(committed)),
        "took_s": rounded(time.monotonic() - began),
    }


def _watch(cursor: Any, after: int, due: int, first: dt.datetime) -> list[tuple[float, float]]:
    """Poll until so many escalations are there; return for each how late it says, and how late it was seen."""
    seen: dict[int, tuple[float, float]] = {}
    newest = after
    until = time.monotonic() + 900
    while len(seen) < due:
        cursor.execute(
            """
            SELECT id, extract(epoch FROM late_by)::float8, extract(epoch FROM clock_timestamp() - due_at)::float8
            FROM escalation_escalation WHERE id > %s AND due_at >= %s
            """,
            [max(after, newest - _OUT_OF_ORDER), first],
        )
        for pk, late_by, since_due in cursor.fetchall():
            seen.setdefault(pk, (late_by, since_due))
            newest = max(newest, pk)
        if time.monotonic() > until:
            raise RuntimeError(f"only {len(seen)} of {due} tickets were decided in a quarter of an hour")
        time.sleep(_POLL)
    return list(seen.values())


@contextlib.contextmanager
def _processes(database: str) -> Iterator[None]:
    """Run beat and the engine's workers as `manage.py up` starts them; no pacemaker to cover for them."""
    with (KEPT / "processes.log").open("wb") as log:
        running = [
            start(process, log=log, extra={"DATABASE_URL": url_of(database)})
            for process in processes()
            if process.name in ("engine", "beat")
        ]
        try:
            yield
        finally:
            for child in running:
                child.terminate()
            for child in running:
                # As the supervisor does: asked first, then made to.
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def _wait_for_a_tick(database: str) -> None:
    link = connect(database)
    link.autocommit = True
    until = time.monotonic() + 120
    with link.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        began = cursor.fetchone()[0]
        while True:
            cursor.execute("SELECT 1 FROM notifications_tickrecord WHERE started_at > %s", [began])
            if cursor.fetchone():
                break
            if time.monotonic() > until:
                raise RuntimeError(f"no engine has ticked within two minutes, see {KEPT / 'processes.log'}")
            time.sleep(_POLL)
    link.close()


# --- in the worker --------------------------------------------------------------------------------------------------


def prepare() -> None:
    """Write what beat rings."""
    from django.core.management import call_command

    call_command("sync_ticks")


def make_due(*, count: int, first: str, over: float) -> bool:
    """Make tickets due from `first` on, evenly over so many seconds; tell whether that was done in time.

    In one transaction: nobody sees some of them before the others, and nothing is done when it is too late.
    """
    from django.db import transaction

    from bench.due import make_due as due
    from core.db import database_now

    start = dt.datetime.fromisoformat(first)
    slices: Sequence[tuple[str, int]] = [(first, count)]
    if over:
        step = dt.timedelta(seconds=over / count)
        slices = [((start + n * step).isoformat(), 1) for n in range(count)]
    with transaction.atomic():
        due(slices=slices, tidy=False)
        if database_now() >= start:
            transaction.set_rollback(True)
            return False
    return True
