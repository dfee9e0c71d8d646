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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from core.bulk import documents, instants, make, octets, plain, texts
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


@dataclass(slots=True)
class Along:
    """Where a held ticket stands and when it is due, to be written together with its events (see `Work.record`)."""

    ticket: Ticket
    next_due_at: dt.datetime | None
    tier_due_at: dt.datetime | None
    unacknowledged_since: dt.datetime | None


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
                self.tickets[ticket.id] = ticket
            unknown = [pk for pk in missing if pk not in self.tickets]
            if unknown:
                raise Ticket.DoesNotExist(f"no ticket {unknown[0]}")
        return [self.tickets[pk] for pk in wanted]

    def hold(self, tickets: Iterable[Ticket]) -> None:
        """Take tickets that this transaction has just inserted or claimed as locked."""
        for ticket in tickets:
            self.tickets[ticket.id] = ticket

    def record(
        self,
        events: Iterable[NewEvent],
        *,
        actor: User | None,
        now: dt.datetime,
        along: Sequence["Along"] = (),
    ) -> list[Event]:
        """Append `events` to their tickets' chains and return them in the order given.

        The tickets must be held. No event is earlier than the one before it on its ticket (DESIGN 2). Costs three
        statements at most, however many events. `along` are columns of held tickets to be written by the statement
        that moves their counters anyway: a ticket row is wide and much indexed, writing it once is what is cheap.
        """
        new = list(events)
        if not new and not along:
            return []
        for item in new:
            if item.ticket.id not in self.tickets:
                raise LockOrder(f"ticket {item.ticket.id} is not held by this operation")
        recorded = _append(new, actor, now, along)
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


# The chain in the append: numbered, hashed and counted by the database (docs/decisions/0002). Tickets that have
# something written along have it in the same UPDATE.
_APPEND = """
WITH new AS (
    SELECT * FROM ROWS FROM (
        unnest(%(ticket)s::bigint[]), unnest(%(kind)s::text[]), unnest(%(actor)s::bigint[]),
        unnest(%(at)s::timestamptz[]), unnest(%(happened)s::timestamptz[]), unnest(%(historic)s::boolean[]),
        unnest(%(cause)s::bigint[]), jsonb_array_elements(%(data)s::jsonb), unnest(%(digest)s::bytea[])
    ) WITH ORDINALITY AS n (
        ticket_id, kind, actor_id, at, happened_at, historic, cause_id, facts, digest, place
    )
), numbered AS (
    SELECT new.*, t.event_hash AS head,
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
    {update}
)
SELECT chained.place, appended.id, appended.seq, appended.hash
FROM appended JOIN chained USING (ticket_id, seq) ORDER BY chained.place
"""

_COUNT = """
    UPDATE tickets_ticket t
    SET event_seq = heads.seq, event_hash = heads.hash, last_event_at = heads.at
    FROM heads WHERE t.id = heads.ticket_id
"""

_COUNT_ALONG = """
    UPDATE tickets_ticket t
    SET event_seq = COALESCE(heads.seq, t.event_seq), event_hash = COALESCE(heads.hash, t.event_hash),
        last_event_at = COALESCE(heads.at, t.last_event_at),
        tier = along.tier, tier_since = along.tier_since, team_id = along.team_id, assignee_id = along.assignee_id,
        next_due_at = along.next_due_at, tier_due_at = along.tier_due_at,
        unacknowledged_since = along.unacknowledged_since
    FROM unnest(
        %(a_ticket)s::bigint[], %(a_tier)s::smallint[], %(a_since)s::timestamptz[], %(a_team)s::bigint[],
        %(a_assignee)s::bigint[], %(a_next)s::timestamptz[], %(a_tier_due)s::timestamptz[],
        %(a_unacknowledged)s::timestamptz[]
    ) AS along (
        id, tier, tier_since, team_id, assignee_id, next_due_at, tier_due_at, unacknowledged_since
    ) LEFT JOIN heads ON heads.ticket_id = along.id
    WHERE t.id = along.id
"""


def _append(
    new: list[NewEvent], actor: User | None, now: dt.datetime, along: Sequence[Along] = ()
) -> list[Event]:
    events = [_event_of(item, actor, now) for item in new]
    payloads = [_payload_of(item) for item in new]
    for item, event, payload in zip(new, events, payloads, strict=True):
        if item.entry is None and payload is None:
            continue
        if item.entry is not None:
            item.entry.salt = secrets.token_bytes(16)
            item.entry.at = item.happened_at or event.at
        event.digest = text_digest(item.entry, payload)
    if along and not {item.ticket.id for item in new} <= {row.ticket.id for row in along}:
        raise ValueError("what is written along must cover every ticket that has an event")
    values = {
        "ticket": plain([item.ticket.id for item in new]),
        "kind": texts([item.kind for item in new]),
        "actor": plain([event.actor_id for event in events]),
        "at": instants([event.at for event in events]),
        "happened": instants([event.happened_at for event in events]),
        "historic": plain([event.historic for event in events]),
        "cause": plain([event.cause_id for event in events]),
        "data": documents([event.data for event in events]),
        "digest": octets([event.digest for event in events]),
    }
    if along:
        tickets = [row.ticket for row in along]
        values |= {
            "a_ticket": plain([ticket.id for ticket in tickets]),
            "a_tier": plain([int(ticket.tier) for ticket in tickets]),
            "a_since": instants([ticket.tier_since for ticket in tickets]),
            "a_team": plain([ticket.team_id for ticket in tickets]),
            "a_assignee": plain([ticket.assignee_id for ticket in tickets]),
            "a_next": instants([row.next_due_at for row in along]),
            "a_tier_due": instants([row.tier_due_at for row in along]),
            "a_unacknowledged": instants([row.unacknowledged_since for row in along]),
        }
    with connection.cursor() as cursor:
        cursor.execute(_APPEND.format(update=_COUNT_ALONG if along else _COUNT), values)
        rows = cursor.fetchall()
    alias = connection.alias
    for item, event, (_, pk, seq, head) in zip(new, events, rows, strict=True):
        event.id, event.seq, event.hash = pk, seq, bytes(head)
        item.ticket.event_seq, item.ticket.event_hash = seq, event.hash
        # As after save(): the row is there, though SQL of our own wrote it.
        event._state.adding = False  # noqa: SLF001
        event._state.db = alias  # noqa: SLF001
    for row in along:
        row.ticket.next_due_at, row.ticket.tier_due_at = row.next_due_at, row.tier_due_at
        row.ticket.unacknowledged_since = row.unacknowledged_since
    _write_texts(new, events, payloads)
    return events


def _event_of(item: NewEvent, actor: User | None, now: dt.datetime) -> Event:
    ticket = item.ticket
    at = clamp(ticket, now)
    ticket.last_event_at = at
    by = item.by or actor
    values: dict[str, Any] = {
        "id": None,
        "ticket_id": ticket.id,
        "seq": None,
        "kind": item.kind,
        "actor_id": by.pk if by is not None else None,
        "at": at,
        "happened_at": item.happened_at,
        "historic": ticket.historic,
        "cause_id": item.cause.pk if item.cause is not None else None,
        "data": dict(item.data),
        "digest": None,
        "hash": None,
        "x": None,
    }
    return make(Event, values, ticket=ticket, actor=by)


def _payload_of(item: NewEvent) -> Payload | None:
    if not item.text:
        return None
    text = {name: words for name, words in item.text.items() if words}
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
