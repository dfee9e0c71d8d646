"""One mail for what would be too many: repeated tellings beyond a number a minute (DESIGN 3, exactly once).

Never SEV1, never the first telling of a contact at a (ticket, seq). What is folded waits for its digest in a state of
its own and ends as the digest does: sent, dead, or withdrawn when it was acknowledged meanwhile.
"""

import datetime as dt
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Q

from core.db import database_now
from core.durations import spoken
from notifications.letters import Action, Letter, TicketLine, compose, page
from notifications.models import Contact, Notification
from notifications.operations import new_message_id
from notifications.rendering import DIGEST, Line, Rendered, foldable_kinds, lines_of
from notifications.rules.delivery import how_many_singly
from tickets.models import Severity

MINUTE = dt.timedelta(minutes=1)
# A mail that long is still taken by every server; a digest that is full goes at once and the next one opens.
HOLDS = 1000

_WHY_CONTACT = "You get this mail because you are on the contact list of these steps."
_WHY = (
    "You were told of each ticket before: beyond {} messages a minute, repetitions come in one mail. "
    "SEV1 and what is new to you still come one by one."
)

State = Notification.State


class Address(NamedTuple):
    """Where messages go, as they are counted."""

    contact_id: int
    channel: str
    address: str


# Repetitions: this contact has heard of the ticket at this seq before. Who was called off or never reached has not.
_LOOK = """
SELECT n.id, n.contact_id, n.channel, n.address,
    n.round IS NOT NULL AND n.folded_into_id IS NULL AND n.kind = ANY(%(kinds)s)
    AND t.severity > %(critical)s
    AND EXISTS (
        SELECT FROM notifications_notification e
        WHERE e.ticket_id = n.ticket_id AND e.seq = n.seq AND e.contact_id = n.contact_id AND e.round IS NOT NULL
            AND e.id < n.id AND e.state NOT IN ('dead', 'withdrawn')
    ) AS foldable
FROM notifications_notification n LEFT JOIN tickets_ticket t ON t.id = n.ticket_id
WHERE n.id = ANY(%(ids)s) AND n.contact_id IS NOT NULL
ORDER BY n.due_at, n.id
"""

# What went out in the last minute or is on its way with others; a digest counts once, not by its lines.
_LATELY = """
SELECT a.place, (
    SELECT count(*) FROM (
        SELECT FROM notifications_notification n
        WHERE n.contact_id = a.contact_id AND n.sent_at > %(since)s
            AND n.channel = a.channel AND n.address = a.address AND n.folded_into_id IS NULL
        LIMIT %(enough)s
    ) sent
) + (
    SELECT count(*) FROM notifications_notification n
    WHERE n.state = 'sending' AND n.contact_id = a.contact_id AND n.channel = a.channel
        AND n.address = a.address AND NOT n.id = ANY(%(ids)s)
)
FROM unnest(%(places)s, %(contacts)s, %(channels)s, %(addresses)s) AS a (place, contact_id, channel, address)
"""

# Skipped where another worker is just claiming it: then a new one is opened, nobody waits for anybody.
_OPEN = """
SELECT d.id, (SELECT count(*) FROM notifications_notification f WHERE f.folded_into_id = d.id)
FROM notifications_notification d
WHERE d.contact_id = %s AND d.channel = %s AND d.address = %s
    AND d.kind = %s AND d.state = 'pending' AND d.attempts = 0 AND d.due_at > %s
ORDER BY d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED
"""

_FOLD = """
UPDATE notifications_notification
SET state = 'folded', folded_into_id = %s, lease_token = NULL, lease_until = NULL, attempts = attempts - 1
WHERE id = ANY(%s)
"""

# Rows that a withdrawal holds are skipped and come next time: two statements over many rows must not deadlock.
_SETTLE = """
WITH told AS (
    SELECT n.id FROM notifications_notification n
    WHERE n.folded_into_id = %(digest)s
        AND (n.state = 'folded' OR (%(sent)s AND n.state = 'withdrawn' AND n.id = ANY(%(rows)s)))
        AND EXISTS (
            SELECT FROM notifications_notification d WHERE d.id = %(digest)s AND d.lease_token = %(token)s
        )
    ORDER BY n.id FOR UPDATE OF n SKIP LOCKED
), settled AS (
    UPDATE notifications_notification n
    SET state = CASE WHEN %(sent)s THEN 'sent' ELSE 'dead' END,
        answer = %(answer)s,
        attempts = n.attempts + 1,
        sent_at = CASE WHEN %(sent)s THEN statement_timestamp() END,
        dead_at = CASE WHEN NOT %(sent)s THEN statement_timestamp() END,
        handled_at = CASE WHEN NOT %(sent)s AND n.seq IS NULL THEN statement_timestamp() END
    FROM told WHERE n.id = told.id
    RETURNING n.id, n.attempts
)
INSERT INTO notifications_delivery (notification_id, attempt, at, ok, answer)
SELECT id, attempts, statement_timestamp(), %(sent)s, %(answer)s FROM settled
"""


@dataclass(frozen=True, slots=True)
class Digest:
    """A rendered digest and the rows that it tells."""

    rendered: Rendered
    rows: tuple[int, ...]


def fold(ids: Sequence[int], *, now: dt.datetime) -> set[int]:
    """Fold what is too much of these claimed rows into digests; return which were.

    Inside the claim's transaction, which holds the rows. Workers that look at one address take turns.
    """
    above = settings.BELAY_DIGEST_ABOVE
    if not above or not ids:
        return set()
    values: dict[str, Any] = {"ids": list(ids), "kinds": foldable_kinds(), "critical": Severity.SEV1.value}
    foldable: dict[Address, list[int]] = defaultdict(list)
    singly: dict[Address, int] = defaultdict(int)
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, values)
        for pk, contact_id, channel, address, may_fold in cursor.fetchall():
            if may_fold:
                foldable[Address(contact_id, channel, address)].append(pk)
            else:
                singly[Address(contact_id, channel, address)] += 1
    if not foldable:
        return set()
    folded: set[int] = set()
    lately = _went_lately(sorted(foldable), ids, now=now)
    for address, rows in foldable.items():
        keep = how_many_singly(len(rows), above=above, others=lately[address] + singly[address])
        if too_many := rows[keep:]:
            _put_into_digest(address, too_many, now=now)
            folded.update(too_many)
    return folded


def render_digest(row: Notification) -> Digest | None:
    """Render a digest from what is still wanted now, None when nothing is.

    A row that can't be read goes by itself, where its failure stops nobody else's.
    """
    rows = list(Notification.objects.filter(folded_into=row, state=State.FOLDED).order_by("pk"))
    for folded in rows:
        folded.contact, folded.user = row.contact, row.user
    lines = lines_of(rows)
    if unreadable := [folded.pk for folded in rows if folded.pk not in lines]:
        # Not withdrawn_at: then it is over, and stays so.
        Notification.objects.filter(pk__in=unreadable, state=State.FOLDED).update(state=State.PENDING)
    if not lines:
        return None
    # The same ticket may have been told twice within the minute.
    latest = {lines[folded.pk].ticket_id: lines[folded.pk] for folded in rows if folded.pk in lines}
    room = row.contact is not None and row.contact.kind == Contact.Kind.ROOM
    return Digest(_letter(list(latest.values()), room=room), tuple(lines))


def settle_folded(
    row: Notification, told: Sequence[int], *, token: uuid.UUID, sent: bool, answer: str
) -> None:
    """End what a digest carried as the digest ends, each with its own delivery; before the digest itself is settled.

    `told` are the rows that it told: those withdrawn while it was on the wire were told all the same.
    """
    values: dict[str, Any] = {
        "digest": row.pk,
        "token": token,
        "rows": list(told),
        "sent": sent,
        "answer": f"in digest {row.pk}: {answer}"[:500],
    }
    # A withdrawal that held rows as we passed may have ended by now: they were told, and are ours to settle too.
    called_off = Q(state=State.WITHDRAWN, pk__in=list(told) if sent else [])
    waiting = Notification.objects.filter(Q(state=State.FOLDED) | called_off, folded_into=row)
    ours = Notification.objects.filter(pk=row.pk, lease_token=token)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, values)
        if not waiting.exists() or not ours.exists():
            return
        time.sleep(0.02)


def _went_lately(addresses: Sequence[Address], ids: Sequence[int], *, now: dt.datetime) -> dict[Address, int]:
    """Return how many messages each address got within the last minute, those on their way included."""
    with connection.cursor() as cursor:
        for address in addresses:
            # Held to the end of the claim: the next worker counts what this one decided.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"digest:{address}"])
        cursor.execute(
            _LATELY,
            {
                "ids": list(ids),
                "since": now - MINUTE,
                "enough": settings.BELAY_DIGEST_ABOVE,
                "places": list(range(len(addresses))),
                "contacts": [address.contact_id for address in addresses],
                "channels": [address.channel for address in addresses],
                "addresses": [address.address for address in addresses],
            },
        )
        return {addresses[place]: count for place, count in cursor.fetchall()}


def _put_into_digest(address: Address, rows: Sequence[int], *, now: dt.datetime) -> None:
    """Fold rows of one address into the digest that is open for it, or into a new one, due within the minute."""
    left = list(rows)
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [*address, DIGEST, now])
        digest_id, held = cursor.fetchone() or (None, 0)
        while left:
            if digest_id is None:
                digest_id, held = _new_digest(left[0], now=now).pk, 0
            these, left = left[: HOLDS - held], left[HOLDS - held :]
            cursor.execute(_FOLD, [digest_id, these])
            if held + len(these) >= HOLDS:
                Notification.objects.filter(pk=digest_id).update(due_at=now)
                digest_id = None


def _new_digest(first: int, *, now: dt.datetime) -> Notification:
    row = Notification.objects.get(pk=first)
    return Notification.objects.create(
        kind=DIGEST,
        contact_id=row.contact_id,
        method_id=row.method_id,
        user_id=row.user_id,
        channel=row.channel,
        address=row.address,
        message_id=new_message_id(),
        created_at=now,
        due_at=now + MINUTE,
    )


def _letter(lines: Sequence[Line], *, room: bool) -> Rendered:
    now = database_now()
    ordered = sorted(lines, key=lambda line: (line.severity, line.waiting_since, line.ticket_id))
    waits = [spoken(max(now - line.waiting_since, dt.timedelta(0))) for line in ordered]
    longest = spoken(max(now - min(line.waiting_since for line in ordered), dt.timedelta(0)))
    one = len(ordered) == 1
    tickets = "1 ticket still waits" if one else f"{len(ordered)} tickets still wait"
    return compose(
        Letter(
            subject=f"[SEV{ordered[0].severity}] {tickets} for you",
            title=f"{tickets} for you",
            lead=(
                f"Nobody has taken it for {longest}."
                if one
                else f"Nobody has taken them yet; the longest has waited {longest}.",
                "Each link asks for your sign-in: this mail went to a room."
                if room
                else "Each link opens a page with one button; no sign-in. Opening it takes nothing yet.",
            ),
            tickets=tuple(
                TicketLine(
                    number=line.ticket_id,
                    severity=line.severity,
                    subject=line.subject,
                    note=f"{line.place} · waiting {wait}",
                    action=Action(line.action, line.url),
                )
                for line, wait in zip(ordered, waits, strict=True)
            ),
            link=Action("The board", page("/board/")),
            footer=f"{_WHY_CONTACT} {_WHY.format(settings.BELAY_DIGEST_ABOVE)}",
        )
    )
