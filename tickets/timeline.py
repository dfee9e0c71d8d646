"""The operation under way: it locks tickets, records events in their chains, and sends one signal.

    with working() as work:
        (ticket,) = work.lock([ticket_id])
        ...
        work.record([NewEvent(ticket, kinds.ASSIGNED, ...)], actor=actor, now=now)

Nested operations share the outermost one's transaction, locked tickets and signal.
"""

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from django.db import connection, transaction

from accounts.models import User
from core.wake import wake
from tickets.models import Entry, Event, Payload, Ticket
from tickets.signals import ticket_events

# How many rounds of reactions to reactions one operation may cause (DESIGN 2: a bounded depth).
MAX_ROUNDS = 8


class LockOrder(RuntimeError):
    """Say that a further ticket was to be locked while others are held: that way lie deadlocks."""


class TooManyRounds(RuntimeError):
    """Say that receivers kept causing events beyond MAX_ROUNDS."""


@dataclass(slots=True)
class NewEvent:
    """An event to be recorded; `text` is personal and goes to an erasable row, `entry` likewise."""

    ticket: Ticket
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, str] | None = None
    entry: Entry | None = None
    happened_at: dt.datetime | None = None
    cause: Event | None = None
    # Whose doing it was, where one batch tells of many people; else the batch's actor.
    by: User | None = None


class Work:
    """One outermost operation: the tickets it holds, the events it has not told of yet."""

    def __init__(self) -> None:
        self.tickets: dict[int, Ticket] = {}
        self.unsent: list[Event] = []

    def lock(self, ids: Iterable[int]) -> list[Ticket]:
        """Lock these tickets in id order and return them; those already held are the same objects.

        Raises Ticket.DoesNotExist for an unknown id, LockOrder when others are already held.
        """
        wanted = sorted(set(ids))
        missing = [pk for pk in wanted if pk not in self.tickets]
        if missing:
            if self.tickets:
                raise LockOrder(f"tickets {missing[:5]} were to be locked while others are held")
            for ticket in Ticket.objects.lock(missing):
                self.tickets[ticket.pk] = ticket
            unknown = [pk for pk in missing if pk not in self.tickets]
            if unknown:
                raise Ticket.DoesNotExist(f"no ticket {unknown[0]}")
        return [self.tickets[pk] for pk in wanted]

    def hold(self, tickets: Iterable[Ticket]) -> None:
        """Take tickets that this transaction has just inserted or claimed as locked."""
        for ticket in tickets:
            self.tickets[ticket.pk] = ticket

    def record(self, events: Iterable[NewEvent], *, actor: User | None, now: dt.datetime) -> list[Event]:
        """Append `events` to their tickets' chains and return them in the order given.

        The tickets must be held. No event is earlier than the one before it on its ticket (DESIGN 2). Costs three
        statements at most, however many events.
        """
        new = list(events)
        if not new:
            return []
        for item in new:
            if item.ticket.pk not in self.tickets:
                raise LockOrder(f"ticket {item.ticket.pk} is not held by this operation")
        recorded = _append(new, actor, now)
        self.unsent.extend(recorded)
        return recorded

    def send(self) -> None:
        """Tell the receivers, in rounds, until nobody has anything to add."""
        for _ in range(MAX_ROUNDS):
            if not self.unsent:
                return
            events, self.unsent = self.unsent, []
            ticket_events.send(sender=Work, events=events, work=self)
        if self.unsent:
            kinds = sorted({event.kind for event in self.unsent})
            raise TooManyRounds(f"events keep causing events: {', '.join(kinds)}")


_current: ContextVar[Work | None] = ContextVar("belay_work", default=None)


@contextmanager
def working() -> Iterator[Work]:
    """Open an operation, or join the one under way; the outermost owns the transaction and the signal."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    work = Work()
    token = _current.set(work)
    try:
        with transaction.atomic():
            yield work
            work.send()
            wake()
    finally:
        _current.reset(token)


def lock_tickets(ids: Iterable[int]) -> list[Ticket]:
    """Lock tickets in id order inside the operation under way (see `Work.lock`)."""
    work = _current.get()
    if work is None:
        raise LockOrder("tickets are locked inside an operation only")
    return work.lock(ids)


def clamp(ticket: Ticket, now: dt.datetime) -> dt.datetime:
    """Return `now`, but never before the ticket's last event (DESIGN 2)."""
    return max(now, ticket.last_event_at)


def digest_of(salt: bytes, text: Any) -> bytes:
    """Return the salted digest of one erasable text."""
    canonical = json.dumps(text, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(salt + canonical.encode()).digest()


def text_digest(entry: Entry | None, payload: Payload | None) -> bytes | None:
    """Return what stands in the chain for an event's erasable texts: entry, payload, or both; None without any."""
    digests = []
    if entry is not None:
        digests.append(digest_of(bytes(entry.salt), entry_text(entry)))
    if payload is not None:
        digests.append(digest_of(bytes(payload.salt), payload.text))
    if len(digests) == 2:
        return hashlib.sha256(b"".join(digests)).digest()
    return digests[0] if digests else None


def entry_text(entry: Entry) -> dict[str, Any]:
    """Return what of an entry is digested: all that a person wrote."""
    return {"body": entry.body, "fields": entry.fields}


_APPEND = """
WITH new AS (
    SELECT * FROM unnest(
        %(ticket)s::bigint[], %(kind)s::text[], %(actor)s::bigint[], %(at)s::timestamptz[],
        %(happened)s::timestamptz[], %(historic)s::boolean[], %(cause)s::bigint[], %(data)s::text[],
        %(digest)s::bytea[]
    ) WITH ORDINALITY AS n (
        ticket_id, kind, actor_id, at, happened_at, historic, cause_id, data, digest, place
    )
), numbered AS (
    SELECT new.*, new.data::jsonb AS facts, t.event_hash AS head,
           t.event_seq + row_number() OVER (PARTITION BY new.ticket_id ORDER BY new.place) AS seq
    FROM new JOIN tickets_ticket t ON t.id = new.ticket_id
), chained AS (
    SELECT numbered.*, tickets_chain(head, tickets_event_digest(
               ticket_id, seq, kind, actor_id, at, happened_at, historic, cause_id, facts, digest
           )) OVER (PARTITION BY ticket_id ORDER BY place) AS hash
    FROM numbered
), appended AS (
    INSERT INTO tickets_event (
        ticket_id, seq, kind, actor_id, at, happened_at, historic, cause_id, data, digest, hash
    )
    SELECT ticket_id, seq, kind, actor_id, at, happened_at, historic, cause_id, facts, digest, hash
    FROM chained ORDER BY place
    RETURNING id, ticket_id, seq, hash
), heads AS (
    SELECT DISTINCT ON (ticket_id) ticket_id, seq, hash, at FROM chained ORDER BY ticket_id, seq DESC
), counted AS (
    UPDATE tickets_ticket t
    SET event_seq = heads.seq, event_hash = heads.hash, last_event_at = heads.at
    FROM heads WHERE t.id = heads.ticket_id
)
SELECT chained.place, appended.id, appended.seq, appended.hash
FROM appended JOIN chained USING (ticket_id, seq) ORDER BY chained.place
"""


def _append(new: list[NewEvent], actor: User | None, now: dt.datetime) -> list[Event]:
    events = [_event_of(item, actor, now) for item in new]
    payloads = [_payload_of(item) for item in new]
    for item, event, payload in zip(new, events, payloads, strict=True):
        if item.entry is not None:
            item.entry.salt = secrets.token_bytes(16)
            item.entry.at = item.happened_at or event.at
        event.digest = text_digest(item.entry, payload)
    with connection.cursor() as cursor:
        cursor.execute(
            _APPEND,
            {
                "ticket": [event.ticket_id for event in events],
                "kind": [event.kind for event in events],
                "actor": [event.actor_id for event in events],
                "at": [event.at for event in events],
                "happened": [event.happened_at for event in events],
                "historic": [event.historic for event in events],
                "cause": [event.cause_id for event in events],
                "data": [json.dumps(event.data) for event in events],
                "digest": [psycopg2.Binary(e.digest) if e.digest else None for e in events],
            },
        )
        rows = cursor.fetchall()
    for event, (_, pk, seq, head) in zip(events, rows, strict=True):
        event.pk, event.seq, event.hash = pk, seq, bytes(head)
        event.ticket.event_seq, event.ticket.event_hash = seq, bytes(head)
        # As after save(): the row is there, though SQL of our own wrote it.
        event._state.adding = False  # noqa: SLF001
        event._state.db = connection.alias  # noqa: SLF001
    _write_texts(new, events, payloads)
    return events


def _event_of(item: NewEvent, actor: User | None, now: dt.datetime) -> Event:
    at = clamp(item.ticket, now)
    item.ticket.last_event_at = at
    return Event(
        ticket=item.ticket,
        kind=item.kind,
        actor=item.by or actor,
        at=at,
        happened_at=item.happened_at,
        historic=item.ticket.historic,
        cause=item.cause,
        data=dict(item.data),
    )


def _payload_of(item: NewEvent) -> Payload | None:
    text = {name: words for name, words in (item.text or {}).items() if words}
    return Payload(text=text, salt=secrets.token_bytes(16)) if text else None


def _write_texts(new: list[NewEvent], events: list[Event], payloads: list[Payload | None]) -> None:
    entries = []
    written = []
    for item, event, payload in zip(new, events, payloads, strict=True):
        if item.entry is not None:
            item.entry.event = event
            entries.append(item.entry)
        if payload is not None:
            payload.event = event
            written.append(payload)
    if written:
        Payload.objects.bulk_create(written)
    if entries:
        Entry.objects.bulk_create(entries)
