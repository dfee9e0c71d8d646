"""Read the timeline from where one left off, losing nothing (DESIGN 2).

Ids commit out of order, so that "everything after id n" loses the events of slow transactions. A cursor is a
`pg_snapshot` instead: it knows which transactions had committed when it was taken, and an event carries the
transaction that wrote it.

    with repeatable_read():
        upto = take_cursor()
        for event in events_between(cursor, upto): ...
"""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

# How many rows travel at once: an import of a million events must not stand in memory.
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Passed:
    """One event as it went by, with the scope keys its ticket has now; no personal text."""

    id: int
    ticket_id: int
    seq: int
    kind: str
    actor_id: int | None
    at: dt.datetime
    historic: bool
    data: dict[str, Any]
    requester_id: int
    organisation_id: int | None
    team_id: int | None
    assignee_id: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What went by since a cursor, and the cursor to go on from."""

    cursor: str
    events: list[Passed]
    # More went by than was asked for: `events` holds the first of them only, the cursor is past them all.
    overflowed: bool = False


@contextmanager
def repeatable_read() -> Iterator[None]:
    """Open a transaction in which cursor and rows come from one snapshot.

    It must be the outermost transaction of its connection. Whoever stores the cursor here too may meet a
    serialization failure when two readers share one cursor: the second tries again.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def take_cursor() -> str:
    """Return a cursor past everything that has committed by now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        (snapshot,) = cursor.fetchone()
    return str(snapshot)


# In order of commit as far as it can be known: by transaction, then by id. Index: event_by_transaction.
_BETWEEN = """
SELECT e.id, e.ticket_id, e.seq, e.kind, e.actor_id, e.at, e.historic, e.data,
       t.requester_id, t.organisation_id, t.team_id, t.assignee_id, e.x::text
FROM tickets_event e JOIN tickets_ticket t ON t.id = e.ticket_id
WHERE e.x >= pg_snapshot_xmin(%(since)s::pg_snapshot)
  AND e.x < pg_snapshot_xmax(%(upto)s::pg_snapshot)
  AND NOT pg_visible_in_snapshot(e.x, %(since)s::pg_snapshot)
  AND pg_visible_in_snapshot(e.x, %(upto)s::pg_snapshot)
  AND (e.x, e.id) > (%(x)s::xid8, %(id)s)
ORDER BY e.x, e.id
LIMIT %(limit)s
"""


def events_between(since: str, upto: str) -> Iterator[Passed]:
    """Yield the events that `upto` sees and `since` did not, a chunk of rows at a time."""
    x, last = "0", 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_BETWEEN, {"since": since, "upto": upto, "x": x, "id": last, "limit": CHUNK})
            rows = cursor.fetchall()
        for pk, ticket, seq, kind, actor, at, historic, data, *keys, _ in rows:
            requester, organisation, team, assignee = keys
            yield Passed(
                id=pk,
                ticket_id=ticket,
                seq=seq,
                kind=kind,
                actor_id=actor,
                at=at,
                historic=historic,
                data=_facts(data),
                requester_id=requester,
                organisation_id=organisation,
                team_id=team,
                assignee_id=assignee,
            )
        if len(rows) < CHUNK:
            return
        x, last = rows[-1][12], rows[-1][0]


def read_after(cursor: str, *, at_most: int | None = None) -> Reading:
    """Return what committed since `cursor`, and the new cursor, from one snapshot.

    With `at_most`, a reader that only wants the latest (the live stream) stops there and is told that it
    overflowed; the cursor is past the rest all the same.
    """
    with repeatable_read():
        upto = take_cursor()
        if upto == cursor:
            return Reading(upto, [])
        events: list[Passed] = []
        for event in events_between(cursor, upto):
            if at_most is not None and len(events) >= at_most:
                return Reading(upto, events, overflowed=True)
            events.append(event)
    return Reading(upto, events)


def _facts(value: Any) -> dict[str, Any]:
    """Return the event's facts; psycopg2 hands jsonb over as text under Django."""
    return dict(json.loads(value) if isinstance(value, str) else value)
