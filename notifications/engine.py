"""Claim, send, settle: delivery at least once (DESIGN 3, exactly once; DESIGN 4).

A row is leased in a transaction of its own, re-checked, sent outside any transaction and settled by its lease token.
A worker that dies in between leaves an expired lease; the row is sent again with the same Message-ID.
"""

import datetime as dt
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from django.db import close_old_connections, connection, connections, transaction

from core.db import database_now
from core.wake import wake
from notifications.channels import Envelope, Failed, FailedForGood, sender_for
from notifications.models import ContactMethod, Delivery, Notification
from notifications.operations import mail_host
from notifications.rendering import render
from notifications.rules import retry_after
from notifications.ticks import record_delivery_tick, tally

log = logging.getLogger("belay.delivery")

BATCH = 40
# Longer than any send may take (the channel's own time-out is far shorter), short enough to matter at 03:00.
LEASE = dt.timedelta(seconds=60)
# How many messages one tick sends side by side, so that one hanging recipient does not hold the rest.
SENDERS = 4

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


def tick(*, senders: int = SENDERS) -> int:
    """Send what is due until nothing is left; return how many rows were handled.

    With one sender all is done in the calling thread, on its connection.
    """
    handled = 0
    started = database_now()
    while True:
        token = uuid.uuid4()
        ids = claim(token=token, now=database_now())
        if not ids:
            break
        if senders == 1:
            for pk in ids:
                deliver(pk, token)
        else:
            list(_pool(senders).map(_deliver_in_thread, ids, [token] * len(ids)))
        handled += len(ids)
    record_delivery_tick(started)
    return handled


@cache
def _pool(senders: int) -> ThreadPoolExecutor:
    # Lives as long as the process: its threads keep their database and mail connections.
    return ThreadPoolExecutor(max_workers=senders, thread_name_prefix="send")


def claim(*, token: uuid.UUID, now: dt.datetime, batch: int = BATCH) -> list[int]:
    """Lease due rows under `token` and return their ids; rows that others hold are skipped."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"token": token, "until": now + LEASE, "now": now, "batch": batch})
        claimed = cursor.fetchall()
    tally.count("belay_lease_expiries_total", sum(lapsed for _, lapsed in claimed))
    return [pk for pk, _ in claimed]


def deliver(notification_id: int, token: uuid.UUID) -> None:
    """Re-check, send and settle one leased row; never raises, whatever the message does."""
    # One statement re-checks that the lease is still ours and renews it: a batch may have taken longer than a lease.
    held = Notification.objects.filter(
        pk=notification_id, lease_token=token, state=Notification.State.SENDING
    ).update(lease_until=database_now() + LEASE)
    if not held:
        return
    row = Notification.objects.select_related("ticket", "contact", "user").get(pk=notification_id)
    if row.withdrawn_at is not None:
        _settle(row, token, state=Notification.State.WITHDRAWN, answer="withdrawn before it was sent")
        return
    try:
        rendered = render(row)
        envelope = Envelope(
            address=row.address,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            key=row.message_id,
            thread=f"<ticket-{row.ticket_id}@{mail_host()}>" if row.ticket_id else "",
        )
        answer = sender_for(row.channel)(envelope)
    except FailedForGood as error:
        _fail(row, token, str(error), for_good=True)
    except Failed as error:
        _fail(row, token, str(error), for_good=False)
    except Exception as error:  # a message that can't be rendered must not stop the others
        log.exception("notification %s can't be sent", row.pk)
        _fail(row, token, f"{type(error).__name__}: {error}", for_good=False)
    else:
        _settle(row, token, state=Notification.State.SENT, answer=answer)


def _deliver_in_thread(notification_id: int, token: uuid.UUID) -> None:
    close_old_connections()
    try:
        deliver(notification_id, token)
    except Exception:  # the database went away: the lease runs out and the row is sent again
        log.exception("delivery of %s was cut off", notification_id)
        connections.close_all()


def _fail(row: Notification, token: uuid.UUID, answer: str, *, for_good: bool) -> None:
    pause = None if for_good else retry_after(row.attempts)
    if pause is None:
        _settle(row, token, state=Notification.State.DEAD, answer=answer)
    else:
        _settle(row, token, state=Notification.State.PENDING, answer=answer, pause=pause)


def _settle(
    row: Notification, token: uuid.UUID, *, state: str, answer: str, pause: dt.timedelta | None = None
) -> None:
    """End the lease under `token`; if it is no longer ours, nothing is written."""
    now = database_now()
    answer = answer[:500]
    changes: dict[str, Any] = {
        "state": state,
        "answer": answer,
        "lease_token": None,
        "lease_until": None,
    }
    if state == Notification.State.SENT:
        changes["sent_at"] = now
    elif state == Notification.State.DEAD:
        changes["dead_at"] = now
        # Only tellings have a consequence that the escalation engine draws.
        changes["handled_at"] = None if row.round is not None else now
    elif state == Notification.State.WITHDRAWN:
        changes["withdrawn_at"] = now
    elif pause is not None:
        changes["due_at"] = now + pause
    with transaction.atomic():
        settled = Notification.objects.filter(pk=row.pk, lease_token=token).update(**changes)
        # Withdrawn while it was on the wire: nobody waits for another attempt, nor for what a dead letter causes.
        Notification.objects.filter(
            pk=row.pk,
            withdrawn_at__isnull=False,
            state__in=(Notification.State.PENDING, Notification.State.DEAD),
        ).update(state=Notification.State.WITHDRAWN, dead_at=None, handled_at=None)
        if settled and state != Notification.State.WITHDRAWN:
            Delivery.objects.create(
                notification_id=row.pk,
                attempt=row.attempts,
                at=now,
                ok=state == Notification.State.SENT,
                answer=answer,
            )
            _mark_method(row, state, now)
    if settled:
        # Pending again: it failed and will be tried once more.
        outcome = "failed" if state == Notification.State.PENDING else state
        tally.count("belay_deliveries_total", channel=row.channel, outcome=str(outcome))
    if settled and state == Notification.State.DEAD:
        wake("escalation.tick")


def _mark_method(row: Notification, state: str, now: dt.datetime) -> None:
    """Keep the method's record: proven by the first success, failing since the first dead letter."""
    if row.method_id is None:
        return
    methods = ContactMethod.objects.filter(pk=row.method_id)
    if state == Notification.State.SENT:
        methods.filter(proven_at__isnull=True).update(proven_at=now)
        methods.filter(failing_since__isnull=False).update(failing_since=None)
    elif state == Notification.State.DEAD:
        methods.filter(failing_since__isnull=True).update(failing_since=now)
