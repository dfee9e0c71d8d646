"""Lease outbox rows, hold on to them and settle them: one statement each, by the lease's token.

Nothing here sends. A lease lost is a row that somebody else sends; whoever lost it writes nothing.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from core.db import PreparedStatement
from core.wake import wake
from notifications.digests import fold
from notifications.models import Contact, ContactMethod, Notification
from notifications.rendering import Prepared, Rendered
from notifications.ticks import tally

BATCH = 200
# Longer than any send may take (the channel's own time-out is far shorter), short enough to matter at 03:00.
LEASE = dt.timedelta(seconds=60)
# What a send has at least in hand; a lease is renewed only where less is left, for that costs a commit.
IN_HAND = dt.timedelta(seconds=50)
LONGEST_ANSWER = 500

State = Notification.State

# Two probes, each in the order of its own partial index: one OR would sort the whole backlog for every batch.
_CLAIM = """
WITH lapsed AS MATERIALIZED (
    SELECT id FROM notifications_notification WHERE state = 'sending' AND lease_until < %(now)s
    ORDER BY lease_until, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), pending AS MATERIALIZED (
    SELECT id FROM notifications_notification WHERE state = 'pending' AND due_at <= %(now)s
    ORDER BY due_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
UPDATE notifications_notification n
SET state = 'sending', lease_token = %(token)s, lease_until = %(until)s, attempts = n.attempts + 1
FROM (SELECT id, 1 AS lapsed FROM lapsed UNION ALL SELECT id, 0 FROM pending LIMIT %(batch)s) due
WHERE n.id = due.id
RETURNING n.id, due.lapsed
"""

# Nothing is written while the lease has enough left: most sends cost a read here.
_HOLD = PreparedStatement(
    "belay_hold",
    {"id": "bigint", "token": "uuid", "in_hand": "interval", "lease": "interval"},
    """
WITH held AS MATERIALIZED (
    SELECT id, withdrawn_at, lease_until >= statement_timestamp() + %(in_hand)s AS in_hand
    FROM notifications_notification WHERE id = %(id)s AND lease_token = %(token)s AND state = 'sending'
), renewed AS (
    UPDATE notifications_notification n SET lease_until = statement_timestamp() + %(lease)s
    FROM held WHERE n.id = held.id AND NOT held.in_hand AND n.lease_token = %(token)s
    RETURNING n.id
)
SELECT withdrawn_at IS NOT NULL FROM held WHERE in_hand OR EXISTS (SELECT FROM renewed)
""",
)

# Withdrawn while it was on the wire: nobody waits for another attempt, nor for what a dead letter causes.
_SETTLE = PreparedStatement(
    "belay_settle",
    {"id": "bigint", "token": "uuid", "state": "text", "answer": "text", "pause": "interval"},
    """
WITH settled AS (
    UPDATE notifications_notification n
    SET state = CASE WHEN n.withdrawn_at IS NOT NULL AND %(state)s IN ('pending', 'dead') THEN 'withdrawn'
                     ELSE %(state)s END,
        answer = %(answer)s,
        lease_token = NULL,
        lease_until = NULL,
        withdrawn_at = CASE WHEN %(state)s = 'withdrawn' THEN COALESCE(n.withdrawn_at, statement_timestamp())
                            ELSE n.withdrawn_at END,
        sent_at = CASE WHEN %(state)s = 'sent' THEN statement_timestamp() ELSE n.sent_at END,
        -- Of a dead letter: when its consequence is due, at once.
        due_at = CASE WHEN %(state)s = 'pending' THEN statement_timestamp() + %(pause)s
                      WHEN %(state)s = 'dead' THEN LEAST(n.due_at, statement_timestamp()) ELSE n.due_at END,
        dead_at = CASE WHEN %(state)s = 'dead' AND n.withdrawn_at IS NULL THEN statement_timestamp() END,
        -- Only tellings have a consequence that the escalation engine draws.
        handled_at = CASE WHEN %(state)s = 'dead' AND n.withdrawn_at IS NULL AND n.round IS NULL
                          THEN statement_timestamp() END
    WHERE n.id = %(id)s AND n.lease_token = %(token)s
    RETURNING n.id, n.attempts, n.state
), recorded AS (
    INSERT INTO notifications_delivery (notification_id, attempt, at, ok, answer)
    SELECT id, attempts, statement_timestamp(), %(state)s = 'sent', %(answer)s
    FROM settled WHERE %(state)s <> 'withdrawn'
)
SELECT state FROM settled
""",
)

# As if it had not been leased, but for the pause.
_PUT_BACK = PreparedStatement(
    "belay_put_back",
    {"id": "bigint", "token": "uuid", "pause": "interval"},
    """
UPDATE notifications_notification
SET state = CASE WHEN withdrawn_at IS NULL THEN 'pending' ELSE 'withdrawn' END,
    attempts = attempts - 1,
    lease_token = NULL,
    lease_until = NULL,
    due_at = statement_timestamp() + %(pause)s
WHERE id = %(id)s AND lease_token = %(token)s
RETURNING id
""",
)

# Proven by the first success, failing since the first dead letter.
_MARK = """
UPDATE notifications_contactmethod
SET proven_at = CASE WHEN %(sent)s THEN COALESCE(proven_at, statement_timestamp()) ELSE proven_at END,
    failing_since = CASE WHEN %(sent)s THEN NULL ELSE COALESCE(failing_since, statement_timestamp()) END
WHERE id = %(method)s
"""


@dataclass(frozen=True, slots=True)
class Leased:
    """A row that is ours to send for as long as its lease lasts, and what it is rendered from."""

    row: Notification
    token: uuid.UUID
    prepared: Prepared

    def render(self) -> Rendered:
        """Render the row. Raises UnknownKind, and whatever the row itself causes."""
        return self.prepared.render(self.row)


class Hold(Enum):
    """What became of a lease."""

    LOST = "lost"
    WITHDRAWN = "withdrawn"
    OURS = "ours"


def claim(*, token: uuid.UUID, now: dt.datetime, batch: int = BATCH) -> list[int]:
    """Lease due rows under `token` and return their ids; rows that others hold are skipped.

    Repetitions that are too many for their address go into its digest instead. Empty only when nothing is due.
    """
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_CLAIM, {"token": token, "until": now + LEASE, "now": now, "batch": batch})
                rows = cursor.fetchall()
            claimed = [pk for pk, _ in rows]
            folded = fold(claimed, now=now)
        tally.count("belay_lease_expiries_total", sum(lapsed for _, lapsed in rows))
        if len(claimed) > len(folded) or not claimed:
            return [pk for pk in claimed if pk not in folded]


def load(ids: list[int], token: uuid.UUID) -> list[Leased]:
    """Return leased rows, the longest due first, with what they are rendered from; constant queries for all."""
    rows = list(Notification.objects.filter(pk__in=ids).order_by("due_at", "pk"))
    contacts = Contact.objects.in_bulk({row.contact_id for row in rows if row.contact_id is not None})
    methods = ContactMethod.objects.in_bulk({row.method_id for row in rows if row.method_id is not None})
    users = User.objects.in_bulk({row.user_id for row in rows if row.user_id is not None})
    for row in rows:
        # Few people, many rows: joins would build each person once for every row.
        row.contact = contacts.get(row.contact_id or 0)
        row.method = methods.get(row.method_id or 0)
        row.user = users.get(row.user_id or 0)
    prepared = Prepared(rows)
    return [Leased(row, token, prepared) for row in rows]


def hold(leased: Leased) -> Hold:
    """Re-check that the lease is still ours and its row still wanted; a lease that runs low is renewed."""
    values: dict[str, Any] = {"id": leased.row.pk, "token": leased.token, "lease": LEASE, "in_hand": IN_HAND}
    found = _HOLD.fetch_one(values)
    if found is None:
        return Hold.LOST
    return Hold.WITHDRAWN if found[0] else Hold.OURS


def settle(leased: Leased, *, state: str, answer: str, pause: dt.timedelta | None = None) -> bool:
    """End a lease: sent, dead, withdrawn, or pending again after `pause`; tell whether it was still ours.

    One statement writes the row and its delivery, so that a worker killed beside it leaves both or neither.
    """
    values: dict[str, Any] = {
        "id": leased.row.pk,
        "token": leased.token,
        "state": str(state),
        # PostgreSQL stores no NUL, and servers may answer anything.
        "answer": answer.replace("\0", "")[:LONGEST_ANSWER],
        "pause": pause or dt.timedelta(0),
    }
    settled = _SETTLE.fetch_one(values)
    if settled is None:
        return False
    # Pending again: it failed and will be tried once more.
    outcome = "failed" if settled[0] == State.PENDING else str(settled[0])
    tally.count("belay_deliveries_total", channel=leased.row.channel, outcome=outcome)
    _mark_method(leased.row.method, state)
    if settled[0] == State.DEAD:
        wake("escalation.tick")
    return True


def put_back(leased: Leased, *, pause: dt.timedelta) -> bool:
    """End a lease of which no use was made; tell whether it was still ours. It counts as no attempt."""
    values: dict[str, Any] = {"id": leased.row.pk, "token": leased.token, "pause": pause}
    return _PUT_BACK.fetch_one(values) is not None


def _mark_method(method: ContactMethod | None, state: str) -> None:
    """Keep the method's record; written only where it changes."""
    if method is None or state not in (State.SENT, State.DEAD):
        return
    sent = state == State.SENT
    if sent and method.proven_at is not None and method.failing_since is None:
        return
    if not sent and method.failing_since is not None:
        return
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"sent": sent, "method": method.pk})
    method.refresh_from_db(fields=["proven_at", "failing_since"])
