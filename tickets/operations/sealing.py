"""Seal the heads of all chains that changed, so that a lost tail or a lost ticket shows (DESIGN 3, memory)."""

from django.db import connection

from tickets.cursor import repeatable_read, take_cursor

# Sees nothing yet: every event is after it.
BEGINNING = "1:1:"
_ONE_SEALER = 7_301_942_005  # an advisory lock: two sealers would give the same number

_HEADS = """
INSERT INTO tickets_sealedhead (seal_id, ticket_id, seq, hash)
SELECT %(seal)s, ticket_id, seq, hash FROM (
    SELECT DISTINCT ON (e.ticket_id) e.ticket_id, e.seq, e.hash
    FROM tickets_event e
    WHERE e.x >= pg_snapshot_xmin(%(since)s::pg_snapshot)
      AND NOT pg_visible_in_snapshot(e.x, %(since)s::pg_snapshot)
      AND pg_visible_in_snapshot(e.x, %(upto)s::pg_snapshot)
    ORDER BY e.ticket_id, e.seq DESC
) heads
"""

# The number of heads and their digest are known only now; the row of the seal is written last, in one statement.
_SEAL = """
INSERT INTO tickets_seal (id, number, at, upto, heads, hash)
SELECT %(seal)s, %(number)s, moment, %(upto)s, count(h.id),
       sha256(%(before)s::bytea || convert_to(jsonb_build_array(
           %(number)s::bigint, (extract(epoch FROM moment) * 1000000)::bigint, %(upto)s::text, count(h.id)
       )::text, 'UTF8') || sha256(coalesce(string_agg(
           convert_to(h.ticket_id || ':' || h.seq || ':', 'UTF8') || h.hash, ''::bytea ORDER BY h.ticket_id
       ), ''::bytea)))
FROM (SELECT clock_timestamp() AS moment) m LEFT JOIN tickets_sealedhead h ON h.seal_id = %(seal)s
GROUP BY moment
HAVING count(h.id) > 0
RETURNING heads
"""


def seal() -> int:
    """Seal what changed since the last seal and return how many chains that were; nothing changed, no seal.

    Runs in a transaction of its own (repeatable read); a second sealer at the same time does nothing.
    """
    with repeatable_read(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_ONE_SEALER])
        if not cursor.fetchone()[0]:
            return 0
        upto = take_cursor()
        cursor.execute("SELECT number, upto, hash FROM tickets_seal ORDER BY number DESC LIMIT 1")
        number, since, before = cursor.fetchone() or (0, BEGINNING, b"")
        cursor.execute("SELECT nextval(pg_get_serial_sequence('tickets_seal', 'id'))")
        (seal_id,) = cursor.fetchone()
        values = {
            "seal": seal_id,
            "since": since,
            "upto": upto,
            "number": number + 1,
            "before": bytes(before),
        }
        cursor.execute(_HEADS, values)
        cursor.execute(_SEAL, values)
        row = cursor.fetchone()
        return int(row[0]) if row else 0
