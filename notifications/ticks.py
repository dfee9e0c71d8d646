"""The record of completed ticks, and what was counted in them: what the pacemaker, the watchdog and /metrics read."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection

from core.measures import Key, Measures

WORKER, PACEMAKER = "worker", "pacemaker"

# What this process's deliveries have counted since its last tick was recorded.
tally = Measures()

_ticking_as: ContextVar[str] = ContextVar("ticking_as", default=WORKER)

# One statement: a tick and what it did are on record together. The tick's own row is taken first and puts the ticks of
# one engine in order; measures are in order too, so that two engines can't lock each other out.
# Not GREATEST(completed_at, ...): a clock that was set back would leave a last tick in the future, for good.
_RECORD = """
INSERT INTO notifications_tickrecord AS t (name, started_at, completed_at, runs, ticked_by, pacemaker_runs)
VALUES (%(name)s, %(started)s, clock_timestamp(), 1, %(by)s, %(by_pacemaker)s)
ON CONFLICT (name) DO UPDATE SET started_at = EXCLUDED.started_at, completed_at = clock_timestamp(),
    runs = t.runs + 1, ticked_by = EXCLUDED.ticked_by,
    pacemaker_runs = t.pacemaker_runs + EXCLUDED.pacemaker_runs
"""
_RECORD_WITH_MEASURES = f"""
WITH ticked AS ({_RECORD} RETURNING 1)
INSERT INTO notifications_measure AS m (name, labels, value)
SELECT name, labels, value
FROM unnest(%(names)s::text[], %(labels)s::text[], %(values)s::float8[]) AS added (name, labels, value), ticked
ORDER BY name, labels
ON CONFLICT (name, labels) DO UPDATE SET value = m.value + EXCLUDED.value
"""  # noqa: S608 both halves stand here


def record_tick(name: str, started: dt.datetime, measures: Mapping[Key, float] | None = None) -> None:
    """Write down that a tick of engine `name` was completed and what it counted, in one statement.

    `started` is the database's clock at its beginning. Outside of any transaction: the rows are shared by all workers.
    """
    by = _ticking_as.get()
    values: dict[str, Any] = {
        "name": name,
        "started": started,
        "by": by,
        "by_pacemaker": int(by == PACEMAKER),
    }
    amounts = sorted((measures or {}).items())
    if amounts:
        values |= {
            "names": [key[0] for key, _ in amounts],
            "labels": [key[1] for key, _ in amounts],
            "values": [amount for _, amount in amounts],
        }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD_WITH_MEASURES if amounts else _RECORD, values)


def record_delivery_tick(started: dt.datetime) -> None:
    """Record a delivery tick with all that this process has counted since the last one; it is lost with nobody."""
    amounts = tally.drain()
    try:
        record_tick("notifications", started, amounts)
    except Exception:
        tally.give_back(amounts)
        raise


@contextmanager
def ticking_as(by: str) -> Iterator[None]:
    """Let the ticks of this thread be on record as somebody's: the pacemaker's, or (by default) a worker's."""
    token = _ticking_as.set(by)
    try:
        yield
    finally:
        _ticking_as.reset(token)
