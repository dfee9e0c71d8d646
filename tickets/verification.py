"""Check the timeline: every chain whole, every text as digested, every sealed head still there."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from tickets.models import Event
from tickets.timeline import text_digest


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written."""

    ticket_id: int | None
    seq: int | None
    what: str


_LINKS = """
SELECT ticket_id, seq,
       CASE WHEN seq <> place THEN 'an event is missing before it' ELSE 'changed after it was written' END
FROM (
    SELECT e.ticket_id, e.seq, e.hash,
           row_number() OVER (PARTITION BY e.ticket_id ORDER BY e.seq) AS place,
           sha256(coalesce(lag(e.hash) OVER (PARTITION BY e.ticket_id ORDER BY e.seq), ''::bytea)
               || tickets_event_digest(e.ticket_id, e.seq, e.kind, e.actor_id, e.at, e.happened_at, e.historic,
                                       e.cause_id, e.data, e.digest)) AS expected
    FROM tickets_event e
) chain
WHERE seq <> place OR hash <> expected
ORDER BY ticket_id, seq
"""

_TAILS = """
SELECT t.id, t.event_seq, 'the chain ends before or after what the ticket counts'
FROM tickets_ticket t
LEFT JOIN LATERAL (
    SELECT seq, hash FROM tickets_event e WHERE e.ticket_id = t.id ORDER BY seq DESC LIMIT 1
) last ON true
WHERE t.event_seq <> coalesce(last.seq, 0) OR t.event_hash <> coalesce(last.hash, ''::bytea)
ORDER BY t.id
"""

_SEALED = """
SELECT h.ticket_id, h.seq, 'sealed, but no longer there as sealed'
FROM tickets_sealedhead h
LEFT JOIN tickets_event e ON e.ticket_id = h.ticket_id AND e.seq = h.seq AND e.hash = h.hash
WHERE e.id IS NULL
ORDER BY h.ticket_id, h.seq
"""

_SEALS = """
SELECT NULL, NULL, 'seal ' || number || ' does not follow from the one before' FROM (
    SELECT s.number, s.hash,
           sha256(coalesce(lag(s.hash) OVER (ORDER BY s.number), ''::bytea) || convert_to(jsonb_build_array(
               s.number, (extract(epoch FROM s.at) * 1000000)::bigint, s.upto, s.heads
           )::text, 'UTF8') || sha256(coalesce((
               SELECT string_agg(convert_to(h.ticket_id || ':' || h.seq || ':', 'UTF8') || h.hash, ''::bytea
                                 ORDER BY h.ticket_id)
               FROM tickets_sealedhead h WHERE h.seal_id = s.id
           ), ''::bytea))) AS expected
    FROM tickets_seal s
) seals
WHERE hash <> expected
"""


def verify() -> Iterator[Finding]:
    """Yield everything that is wrong with timelines and seals; nothing means all is as it was written."""
    with connection.cursor() as cursor:
        for query in (_LINKS, _TAILS, _SEALED, _SEALS):
            cursor.execute(query)
            for ticket_id, seq, what in cursor.fetchall():
                yield Finding(ticket_id, seq, what)
    texts = Event.objects.filter(digest__isnull=False).select_related("entry", "payload").order_by("pk")
    for event in texts.iterator(chunk_size=2000):
        entry, payload = getattr(event, "entry", None), getattr(event, "payload", None)
        erased = any(text is not None and text.erased_at is not None for text in (entry, payload))
        if not erased and text_digest(entry, payload) != _bytes(event.digest):
            yield Finding(event.ticket_id, event.seq, "its text is not what was written")


def _bytes(value: bytes | memoryview | None) -> bytes:
    return bytes(value) if value is not None else b""
