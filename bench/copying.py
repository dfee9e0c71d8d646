"""Copy the played lives by set-based SQL until there are as many tickets as are wanted.

Every copied row is its pattern's row with ids mapped, instants moved into the past by the copy's age, another requester
and another subject; events are digested and chained anew by the database's own functions. So a copy has whatever
columns the operations fill.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Min

from accounts.models import Role, User
from bench.house import DAY
from escalation.models import Clock, Escalation, Standing
from notifications.models import Delivery, Notification
from tickets.kinds import OPENED
from tickets.models import Entry, Event, Payload, Ticket
from tickets.timeline import digest_of, entry_text

# For so long after the build nothing is due but what a measurement wants due.
FRESH = 7 * DAY
# No copy is older than its pattern by more.
_LONGEST_AGE = 12 * DAY
_CHUNK = 25_000


def copy_tickets(
    patterns: Sequence[Ticket], *, copies: int, base: dt.datetime, trusted: bool, say: Callable[[str], None]
) -> None:
    """Copy the patterns, which have lived until `base`, that many times in all; tell `say` how far it is."""
    _check_that_all_is_copied()
    _prepare(patterns, base, copies=copies)
    statements = [_tickets_with_events(), *(table.insert() for table in _OTHERS)]
    for first in range(1, copies + 1, _CHUNK):
        last = min(first + _CHUNK - 1, copies)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL work_mem = '256MB'")
            if trusted:
                cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
                if cursor.fetchone()[0]:
                    cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement, {"first": first, "last": last})
        say(f"{last:,} of {copies:,} tickets copied")
    with connection.cursor() as cursor:
        for model in (Ticket, Event, Entry, Notification):
            table = model._meta.db_table
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")


# As Python writes an aware UTC datetime into JSON.
_INSTANT = r"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00"


def _instants(document: str) -> str:
    """Return two columns for a pattern: how many kinds of instants its document holds, and the one called due_at.

    0: none. 1: whole seconds under due_at, by far the most frequent. 2: others, for which each word is looked at.
    """
    other = f"({document} - 'due_at')::text ~ '{_INSTANT}'"
    return (
        f"CASE WHEN {document}::text !~ '{_INSTANT}' THEN 0 "
        f"WHEN {other} OR {document}->>'due_at' LIKE '%.%' THEN 2 ELSE 1 END AS moves, "
        f"({document}->>'due_at')::timestamptz AS instant"
    )


# Rows that a copy's ids are mapped by, at their place among the pattern's.
_PATTERNS = f"""
CREATE TEMP TABLE b_event AS
    SELECT e.*, c.seq AS cause_seq, {_instants("e.data")}
    FROM tickets_event e LEFT JOIN tickets_event c ON c.id = e.cause_id AND c.ticket_id = e.ticket_id;
CREATE TEMP TABLE b_entry AS
    SELECT y.*, e.seq AS event_seq, row_number() OVER (PARTITION BY y.ticket_id ORDER BY y.id) AS place
    FROM tickets_entry y JOIN tickets_event e ON e.id = y.event_id;
CREATE TEMP TABLE b_payload AS
    SELECT p.*, e.ticket_id, e.seq AS event_seq, e.kind
    FROM tickets_payload p JOIN tickets_event e ON e.id = p.event_id;
CREATE TEMP TABLE b_notification AS
    SELECT n.*, e.seq AS event_seq, y.place AS entry_place, {_instants("n.context")},
           row_number() OVER (PARTITION BY n.ticket_id ORDER BY n.id) AS place,
           -- telling:<ticket>:<seq> or ticket:<ticket>
           substring(n."group" from '^[a-z]+:') AS group_head,
           substring(n."group" from '^[a-z]+:[0-9]+(.*)') AS group_tail
    FROM notifications_notification n
    LEFT JOIN tickets_event e ON e.id = (n.context->>'event')::bigint
    LEFT JOIN b_entry y ON y.id = (n.context->>'entry')::bigint
    WHERE n.ticket_id IS NOT NULL;
CREATE TEMP TABLE b_delivery AS
    SELECT d.*, n.ticket_id, n.place FROM notifications_delivery d JOIN b_notification n ON n.id = d.notification_id;
CREATE TEMP TABLE b_ticket AS SELECT * FROM tickets_ticket;
CREATE TEMP TABLE b_standing AS SELECT * FROM escalation_standing;
CREATE TEMP TABLE b_escalation AS SELECT * FROM escalation_escalation;
CREATE TEMP TABLE b_clock AS SELECT * FROM escalation_clock;
CREATE TEMP TABLE b_pattern (
    place bigint, ticket_id bigint, room double precision, entry_digest bytea,
    events bigint, entries bigint, notes bigint
);
"""

# Which copy has which pattern, age and requester, and where its rows' ids begin. Numbered in the order of opening.
_COPIES = """
CREATE TEMP TABLE b_copy AS
WITH chosen AS (
    SELECT n, p.ticket_id AS pattern_id, p.entry_digest, p.events, p.entries, p.notes,
           floor((hashint8extended(n, 2) & 1048575) / 1048576.0 * p.room) AS age
    FROM generate_series(1::bigint, %(copies)s) n
    JOIN b_pattern p ON p.place = (hashint8extended(n, 1) & 4294967295) %% %(patterns)s
), ordered AS (
    SELECT chosen.*, row_number() OVER (ORDER BY t.opened_at - age * interval '1 second', n) AS place
    FROM chosen JOIN b_ticket t ON t.id = pattern_id
), people AS (
    SELECT id, email, organisation_id, row_number() OVER (ORDER BY id) - 1 AS place
    FROM accounts_user WHERE role = 'requester'
)
SELECT o.place, o.pattern_id, o.entry_digest, o.age * interval '1 second' AS age,
       (SELECT max(id) FROM tickets_ticket) + o.place AS ticket_id,
       t.requester_id AS was_requester, u.id AS requester_id, u.email AS address, u.organisation_id,
       t.subject || ' (' || o.place || ')' AS subject,
       (SELECT max(id) FROM tickets_event) + (sum(o.events) OVER w)::bigint - o.events AS event0,
       (SELECT max(id) FROM tickets_entry) + (sum(o.entries) OVER w)::bigint - o.entries AS entry0,
       (SELECT max(id) FROM notifications_notification) + (sum(o.notes) OVER w)::bigint - o.notes AS note0
FROM ordered o JOIN b_ticket t ON t.id = o.pattern_id
JOIN people u ON u.place = (hashint8extended(o.place, 3) & 4294967295) %% %(people)s
WINDOW w AS (ORDER BY o.place);
CREATE INDEX ON b_copy (place);
ANALYZE b_copy;
"""

# Instants inside JSON documents, written as Python writes them. The earliest first, so that none is moved twice.
_MOVED = f"""
CREATE FUNCTION pg_temp.moved(doc jsonb, age interval) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    words text := doc::text;
    instant text;
BEGIN
    FOR instant IN
        SELECT DISTINCT (regexp_matches(words, '{_INSTANT}', 'g'))[1] ORDER BY 1
    LOOP
        words := replace(words, instant, regexp_replace(
            to_char((instant::timestamptz - age) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\\.000000$', ''
        ) || '+00:00');
    END LOOP;
    RETURN words::jsonb;
END
$$;
"""


def _prepare(patterns: Sequence[Ticket], base: dt.datetime, *, copies: int) -> None:
    """Lay down what the copies are made of; they live in this connection's temporary tables."""
    rows = [[place, ticket.pk, *_measures(ticket, base)] for place, ticket in enumerate(patterns)]
    with connection.cursor() as cursor:
        cursor.execute(_PATTERNS)
        cursor.executemany("INSERT INTO b_pattern VALUES (%s, %s, %s, %s, %s, %s, %s)", rows)
        for name in ("event", "entry", "payload", "notification", "delivery", "escalation", "clock"):
            cursor.execute(f"CREATE INDEX ON b_{name} (ticket_id); ANALYZE b_{name}")
        cursor.execute("ANALYZE b_pattern; ANALYZE b_ticket")
        people = User.objects.filter(role=Role.REQUESTER).count()
        cursor.execute(_COPIES, {"copies": copies, "patterns": len(patterns), "people": people})
        cursor.execute(_MOVED)


def _measures(ticket: Ticket, base: dt.datetime) -> list[Any]:
    """Return how much older a copy may be (seconds), the digest of the first message, and how many rows there are."""
    fires_at = Clock.objects.filter(ticket=ticket, fires_at__isnull=False).aggregate(at=Min("fires_at"))["at"]
    room = min(fires_at - base - FRESH, _LONGEST_AGE)
    if room < DAY:
        raise RuntimeError(f"#{ticket.pk} is due at {fires_at}: too soon to be copied")
    first = Entry.objects.get(ticket=ticket, event__kind=OPENED)
    return [
        room.total_seconds(),
        digest_of(bytes(first.salt), entry_text(first)),
        Event.objects.filter(ticket=ticket).count(),
        Entry.objects.filter(ticket=ticket).count(),
        Notification.objects.filter(ticket=ticket).count(),
    ]


@dataclass(frozen=True)
class _Table:
    """How one table's rows are copied: `s` is the pattern's row, `c` the copy."""

    model: type[models.Model]
    source: str
    changed: Mapping[str, str]
    left_out: Sequence[str] = ("id",)
    pattern: str = "s.ticket_id"

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield each column with the expression that fills it."""
        for field in self.model._meta.concrete_fields:
            name = field.column or field.name
            if name in self.left_out:
                continue
            moved = f's."{name}" - c.age' if isinstance(field, models.DateTimeField) else f's."{name}"'
            yield name, self.changed.get(name, moved)

    def selected(self) -> str:
        return ", ".join(f'{expression} AS "{name}"' for name, expression in self.columns())

    def insert(self) -> str:
        table = self.model._meta.db_table
        names = ", ".join(f'"{name}"' for name, _ in self.columns())
        return (
            f"INSERT INTO {table} ({names}) SELECT {self.selected()} FROM b_copy c JOIN {self.source} s "
            f"ON {self.pattern} = c.pattern_id WHERE c.place BETWEEN %(first)s AND %(last)s ORDER BY c.place"
        )


def _moved(column: str) -> str:
    """Return the expression for a document of events or notifications, whose patterns know what instants it has."""
    due = "to_char((s.instant - c.age) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')"
    return (
        f"CASE s.moves WHEN 0 THEN s.{column} WHEN 1 THEN jsonb_set(s.{column}, '{{due_at}}', to_jsonb({due})) "
        f"ELSE pg_temp.moved(s.{column}, c.age) END"
    )


def _moved_list(column: str) -> str:
    """Return the expression for a list that is nearly always empty."""
    return f"CASE WHEN s.{column} = '[]' THEN s.{column} ELSE pg_temp.moved(s.{column}, c.age) END"


_ACTOR = "CASE WHEN s.{0} = c.was_requester THEN c.requester_id ELSE s.{0} END"
_EVENT = _Table(
    Event,
    "b_event",
    {
        "id": "c.event0 + s.seq",
        "ticket_id": "c.ticket_id",
        "actor_id": _ACTOR.format("actor_id"),
        "cause_id": "coalesce(c.event0 + s.cause_seq, s.cause_id)",
        "data": _moved("data"),
        "digest": "CASE WHEN s.kind = 'opened' THEN sha256(c.entry_digest || sha256(p.salt || convert_to("
        "'{\"subject\":' || to_jsonb(c.subject)::text || '}', 'UTF8'))) ELSE s.digest END",
    },
    left_out=("x", "hash"),
)
_TICKET = _Table(
    Ticket,
    "b_ticket",
    {
        "id": "c.ticket_id",
        "subject": "c.subject",
        "requester_id": "c.requester_id",
        "organisation_id": "c.organisation_id",
        "event_hash": "h.hash",
    },
    left_out=(),
    pattern="s.id",
)
_OTHERS = (
    _Table(
        Entry,
        "b_entry",
        {
            "id": "c.entry0 + s.place",
            "ticket_id": "c.ticket_id",
            "event_id": "c.event0 + s.event_seq",
            "author_id": _ACTOR.format("author_id"),
        },
        left_out=(),
    ),
    _Table(
        Payload,
        "b_payload",
        {
            "event_id": "c.event0 + s.event_seq",
            "text": "CASE WHEN s.kind = 'opened' THEN jsonb_set(s.text, '{subject}', to_jsonb(c.subject)) "
            "ELSE s.text END",
        },
    ),
    _Table(Standing, "b_standing", {"ticket_id": "c.ticket_id"}),
    _Table(
        Escalation,
        "b_escalation",
        {"ticket_id": "c.ticket_id", "co_triggers": _moved_list("co_triggers")},
    ),
    _Table(Clock, "b_clock", {"ticket_id": "c.ticket_id", "pauses": _moved_list("pauses")}),
    _Table(
        Notification,
        "b_notification",
        {
            "id": "c.note0 + s.place",
            "ticket_id": "c.ticket_id",
            "group": "s.group_head || c.ticket_id || s.group_tail",
            "user_id": _ACTOR.format("user_id"),
            "address": "CASE WHEN s.user_id = c.was_requester THEN c.address ELSE s.address END",
            "message_id": "'<' || replace(gen_random_uuid()::text, '-', '') || '@' || split_part(s.message_id, '@', 2)",
            "context": f"{_moved('context')} "
            "|| CASE WHEN s.event_seq IS NULL THEN '{}' ELSE jsonb_build_object('event', c.event0 + s.event_seq) END "
            "|| CASE WHEN s.entry_place IS NULL THEN '{}' "
            "ELSE jsonb_build_object('entry', c.entry0 + s.entry_place) END",
        },
        left_out=(),
    ),
    _Table(Delivery, "b_delivery", {"notification_id": "c.note0 + s.place"}),
)


def _tickets_with_events() -> str:
    """Return the statement that copies tickets and their timelines: heads of chains go onto the tickets."""
    events = ", ".join(f'"{name}"' for name, _ in _EVENT.columns())
    tickets = ", ".join(f'"{name}"' for name, _ in _TICKET.columns())
    return f"""
WITH told AS (
    SELECT {_EVENT.selected()}
    FROM b_copy c JOIN b_event s ON s.ticket_id = c.pattern_id
    LEFT JOIN b_payload p ON p.ticket_id = s.ticket_id AND p.event_seq = s.seq
    WHERE c.place BETWEEN %(first)s AND %(last)s
), chained AS (
    SELECT told.*, tickets_chain(''::bytea, tickets_event_digest(
        ticket_id, seq, kind, actor_id, at, happened_at, historic, cause_id, data, digest
    )) OVER (PARTITION BY ticket_id ORDER BY seq) AS hash
    FROM told
), appended AS (
    INSERT INTO tickets_event ({events}, hash) SELECT {events}, hash FROM chained
), heads AS (
    SELECT DISTINCT ON (ticket_id) ticket_id, hash FROM chained ORDER BY ticket_id, seq DESC
)
INSERT INTO tickets_ticket ({tickets})
SELECT {_TICKET.selected()}
FROM b_copy c JOIN b_ticket s ON s.id = c.pattern_id JOIN heads h ON h.ticket_id = c.ticket_id
WHERE c.place BETWEEN %(first)s AND %(last)s ORDER BY c.place
"""


def _check_that_all_is_copied() -> None:
    """Refuse patterns with rows that no copy would get: a later table that the operations fill."""
    copied = {table.model for table in (_TICKET, _EVENT, *_OTHERS)}
    for model in copied:
        for relation in model._meta.related_objects:
            other = relation.related_model
            if other not in copied and not isinstance(other, str) and other._default_manager.exists():
                raise RuntimeError(
                    f"{other.__name__} has rows about {model.__name__}, which bench can't copy yet"
                )
