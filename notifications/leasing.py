"""Lease outbox rows, hold on to them and settle them: by the lease's token, one statement for several.

Nothing here sends. A lease lost is a row that somebody else sends; whoever lost it writes nothing.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from core.db import PreparedStatement
from core.wake import wake
from notifications.digests import fold
from notifications.models import Channel, Contact, ContactMethod, Notification, Provider
from notifications.rendering import Prepared, Rendered
from notifications.ticks import tally
from notifications.wording import Templates, templates_for, worded

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
    SELECT id FROM notifications_notification WHERE state = 'sending' AND lease_until < %(now)s{channel}
    ORDER BY lease_until, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), pending AS MATERIALIZED (
    SELECT id FROM notifications_notification WHERE state = 'pending' AND due_at <= %(now)s{channel}
    ORDER BY due_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
UPDATE notifications_notification n
SET state = 'sending', lease_token = %(token)s, lease_until = %(until)s, attempts = n.attempts + 1
FROM (SELECT id, 1 AS lapsed FROM lapsed UNION ALL SELECT id, 0 FROM pending LIMIT %(batch)s) due
WHERE n.id = due.id
RETURNING n.id, due.lapsed
"""
_CLAIM_ANY = _CLAIM.format(channel="")
_CLAIM_OF_CHANNEL = _CLAIM.format(channel=" AND channel = %(channel)s")

# Probes of outbox_due_elsewhere and outbox_leased, one pair per channel.
_DUE_CHANNELS = """
SELECT c.name FROM unnest(%(channels)s) c (name)
WHERE EXISTS (
    SELECT FROM notifications_notification
    WHERE state = 'pending' AND channel <> 'email' AND channel = c.name AND due_at <= %(now)s
) OR EXISTS (
    SELECT FROM notifications_notification WHERE state = 'sending' AND lease_until < %(now)s AND channel = c.name
)
"""

# What senders ask for between one message and the next: rows they have sent are settled, rows they are about to send
# are held. A lease with enough left is not renewed: most sends cost a read here.
# Withdrawn while it was on the wire: nobody waits for another attempt, nor for what a dead letter causes.
_EXCHANGE_SQL = """
WITH done AS MATERIALIZED (
    SELECT * FROM unnest(
        %(ids)s::bigint[], %(tokens)s::uuid[], %(states)s::text[], %(answers)s::text[], %(pauses)s::interval[]
    ) d (id, token, state, answer, pause)
), free AS MATERIALIZED (
    SELECT n.id FROM notifications_notification n JOIN done d ON n.id = d.id AND n.lease_token = d.token
    FOR NO KEY UPDATE OF n{locked}
), settled AS (
    UPDATE notifications_notification n
    SET state = CASE WHEN n.withdrawn_at IS NOT NULL AND d.state IN ('pending', 'dead') THEN 'withdrawn'
                     ELSE d.state END,
        answer = d.answer,
        lease_token = NULL,
        lease_until = NULL,
        withdrawn_at = CASE WHEN d.state = 'withdrawn' THEN COALESCE(n.withdrawn_at, statement_timestamp())
                            ELSE n.withdrawn_at END,
        sent_at = CASE WHEN d.state = 'sent' THEN statement_timestamp() ELSE n.sent_at END,
        -- Of a dead letter: when its consequence is due, at once.
        due_at = CASE WHEN d.state = 'pending' THEN statement_timestamp() + d.pause
                      WHEN d.state = 'dead' THEN LEAST(n.due_at, statement_timestamp()) ELSE n.due_at END,
        dead_at = CASE WHEN d.state = 'dead' AND n.withdrawn_at IS NULL THEN statement_timestamp() END,
        -- What somebody was to act on at a step has a consequence that the escalation engine draws: tellings, and
        -- letters to a lead or an owner.
        handled_at = CASE WHEN d.state = 'dead' AND n.withdrawn_at IS NULL AND n.seq IS NULL
                          THEN statement_timestamp() END
    FROM done d JOIN free USING (id)
    WHERE n.id = d.id AND n.lease_token = d.token
    RETURNING n.id, n.attempts, n.state, d.state AS wanted
), recorded AS (
    INSERT INTO notifications_delivery (notification_id, attempt, at, ok, answer)
    SELECT s.id, s.attempts, statement_timestamp(), s.wanted = 'sent', d.answer
    FROM settled s JOIN done d USING (id) WHERE s.wanted <> 'withdrawn'
), held AS MATERIALIZED (
    SELECT n.id, n.withdrawn_at, n.lease_until >= statement_timestamp() + %(in_hand)s AS in_hand
    FROM notifications_notification n
    JOIN unnest(%(next_ids)s::bigint[], %(next_tokens)s::uuid[]) h (id, token) ON n.id = h.id
    WHERE n.lease_token = h.token AND n.state = 'sending'
), renewed AS (
    UPDATE notifications_notification n SET lease_until = statement_timestamp() + %(lease)s
    FROM held h JOIN unnest(%(next_ids)s::bigint[], %(next_tokens)s::uuid[]) t (id, token) USING (id)
    WHERE n.id = h.id AND NOT h.in_hand AND n.lease_token = t.token
    RETURNING n.id
)
SELECT id, state::text, NULL::boolean FROM settled
UNION ALL
SELECT id, NULL, withdrawn_at IS NOT NULL FROM held WHERE in_hand OR id IN (SELECT id FROM renewed)
"""
_EXCHANGE_TYPES = {
    "ids": "bigint[]",
    "tokens": "uuid[]",
    "states": "text[]",
    "answers": "text[]",
    "pauses": "interval[]",
    "next_ids": "bigint[]",
    "next_tokens": "uuid[]",
    "in_hand": "interval",
    "lease": "interval",
}
# Of several rows, one that somebody else has locked is left out: whoever waits for it must not hold the others'.
_EXCHANGE = PreparedStatement("belay_exchange", _EXCHANGE_TYPES, _EXCHANGE_SQL.format(locked=" SKIP LOCKED"))
_ALONE = PreparedStatement("belay_exchange_alone", _EXCHANGE_TYPES, _EXCHANGE_SQL.format(locked=""))

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
    templates: Templates = field(default_factory=dict)

    def render(self) -> Rendered:
        """Render the row, in an admin's words if there are any. Raises UnknownKind, and what the row itself causes."""
        return self.worded(self.prepared.render(self.row))

    def worded(self, rendered: Rendered) -> Rendered:
        """Return what was rendered for the row in the words that were made for its kind."""
        return worded(self.row, rendered, self.templates)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a leased row ends: sent, dead, withdrawn, or pending again after `pause`."""

    leased: Leased
    state: str
    answer: str
    pause: dt.timedelta = dt.timedelta(0)


class Hold(Enum):
    """What became of a lease."""

    LOST = "lost"
    WITHDRAWN = "withdrawn"
    OURS = "ours"


def due_channels(channels: Sequence[str], now: dt.datetime) -> list[str]:
    """Return those of these channels, other than mail, on which anything is to be sent now."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE_CHANNELS, {"channels": list(channels), "now": now})
        return [name for (name,) in cursor.fetchall()]


def claim(*, token: uuid.UUID, now: dt.datetime, batch: int = BATCH, channel: str | None = None) -> list[int]:
    """Lease due rows under `token` and return their ids; rows that others hold are skipped.

    Of one channel, so that its senders hold up no other's; None takes whatever is due.

    Repetitions that are too many for their address go into its digest instead. Empty only when nothing is due.
    """
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    _CLAIM_ANY if channel is None else _CLAIM_OF_CHANNEL,
                    {"token": token, "until": now + LEASE, "now": now, "batch": batch, "channel": channel},
                )
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
    _name_providers([method for method in methods.values() if method.channel != Channel.EMAIL])
    prepared = Prepared(rows)
    templates = templates_for(rows)
    return [Leased(row, token, prepared, templates) for row in rows]


def _name_providers(methods: Sequence[ContactMethod]) -> None:
    """Fill in who carries each method's messages: its own provider, else the channel's first; one query at most."""
    if not methods:
        return
    providers = list(Provider.objects.filter(is_active=True).order_by("pk"))
    for method in methods:
        own = (one for one in providers if one.pk == method.provider_id)
        first = (one for one in providers if method.provider_id is None and one.channel == method.channel)
        method.provider = next(own, None) or next(first, None)


def exchange(
    outcomes: Sequence[Outcome], wanted: Sequence[Leased], *, waiting: bool = False
) -> tuple[dict[int, str], dict[int, Hold]]:
    """Settle rows and hold on to others, in one statement; return both by the rows' ids.

    Of the outcomes those that are missing from the answer are not settled: their lease was lost, or (unless `waiting`)
    somebody else has the row locked. Of the wanted, all are answered. A row and its delivery are written by the same
    statement, so that a worker killed beside it leaves both or neither; a lease that runs low is renewed.
    """
    values: dict[str, Any] = {
        "ids": [one.leased.row.pk for one in outcomes],
        "tokens": [one.leased.token for one in outcomes],
        "states": [str(one.state) for one in outcomes],
        # PostgreSQL stores no NUL, and servers may answer anything.
        "answers": [one.answer.replace("\0", "")[:LONGEST_ANSWER] for one in outcomes],
        "pauses": [one.pause for one in outcomes],
        "next_ids": [leased.row.pk for leased in wanted],
        "next_tokens": [leased.token for leased in wanted],
        "lease": LEASE,
        "in_hand": IN_HAND,
    }
    settled: dict[int, str] = {}
    held = {leased.row.pk: Hold.LOST for leased in wanted}
    for pk, state, withdrawn in (_ALONE if waiting else _EXCHANGE).fetch_all(values):
        if state is not None:
            settled[pk] = state
        else:
            held[pk] = Hold.WITHDRAWN if withdrawn else Hold.OURS
    return settled, held


def hold(leased: Leased) -> Hold:
    """Re-check that the lease is still ours and its row still wanted; a lease that runs low is renewed."""
    _, held = exchange([], [leased])
    return held[leased.row.pk]


def settle(outcome: Outcome) -> bool:
    """End one lease, waiting for whoever has the row locked; tell whether it was still ours."""
    settled, _ = exchange([outcome], [], waiting=True)
    state = settled.get(outcome.leased.row.pk)
    if state is None:
        return False
    note_settled(outcome, state)
    return True


def note_settled(outcome: Outcome, state: str) -> None:
    """Count a row that was settled, keep its contact method's record and ring for what a dead letter causes."""
    # Pending again: it failed and will be tried once more.
    ended = "failed" if state == State.PENDING else state
    tally.count("belay_deliveries_total", channel=outcome.leased.row.channel, outcome=ended)
    _mark_method(outcome.leased.row.method, outcome.state)
    if state == State.DEAD:
        wake("escalation.tick")


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
