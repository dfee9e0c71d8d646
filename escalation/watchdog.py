"""One look at how late the engines are: index probes, one statement (DESIGN 4, the watchdog).

/readyz, /metrics, the board, the pages' alarm and the outgoing heartbeat all read the same.
"""

import json
import threading
import time
from typing import Any

from django.db import connection

from escalation.rules.alive import Ticked, Vitals

# A page may be that much behind; between two looks it costs nothing.
FRESH = 5.0

# Messages in the order they are due; retries among them are passed over, so many at most.
PASSED_OVER = 10_000

# One value, so that it can ride in another statement. Probes of clock_due, outbox_due and outbox_dead.
VITALS_SQL = f"""
json_build_object(
  'clock', (SELECT extract(epoch FROM statement_timestamp() - min(fires_at)) FROM escalation_clock
            WHERE fires_at <= statement_timestamp()),
  'outbox', (SELECT extract(epoch FROM statement_timestamp() - waiting.due_at) FROM (
               SELECT due_at, attempts FROM notifications_notification
               WHERE state = 'pending' AND due_at <= statement_timestamp()
               ORDER BY due_at, id LIMIT {PASSED_OVER}) waiting
             WHERE waiting.attempts = 0 LIMIT 1),
  'dead_letter', (SELECT extract(epoch FROM statement_timestamp() - min(dead_at)) FROM notifications_notification
                  WHERE state = 'dead' AND handled_at IS NULL),
  'ticks', (SELECT coalesce(json_object_agg(name, json_build_array(
              extract(epoch FROM statement_timestamp() - completed_at), ticked_by, runs, pacemaker_runs)), '{{}}')
            FROM notifications_tickrecord)
)::text
"""  # noqa: S608 one number of our own


def look() -> Vitals:
    """Ask the database now; one statement. Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {VITALS_SQL}")
        return remember(cursor.fetchone()[0])


def remember(text: str) -> Vitals:
    """Read what VITALS_SQL gave and keep it for those who may be `FRESH` seconds behind."""
    found: dict[str, Any] = json.loads(text)
    vitals = Vitals(
        clock=max(found["clock"] or 0.0, 0.0),
        outbox=max(found["outbox"] or 0.0, 0.0),
        dead_letter=max(found["dead_letter"] or 0.0, 0.0),
        ticks={
            name: Ticked(age=age, by=by, runs=runs, pacemaker_runs=pacemaker_runs)
            for name, (age, by, runs, pacemaker_runs) in found["ticks"].items()
        },
    )
    with _guard:
        _kept[0] = (time.monotonic(), vitals)
    return vitals


def kept() -> Vitals | None:
    """Return what this process last saw, None if that is older than `FRESH` seconds: whoever asks looks again."""
    at, vitals = _kept[0]
    return vitals if vitals is not None and time.monotonic() - at < FRESH else None


def forget() -> None:
    """Forget what was seen: the next page looks again."""
    with _guard:
        _kept[0] = (0.0, None)


_guard = threading.Lock()
_kept: list[tuple[float, Vitals | None]] = [(0.0, None)]
