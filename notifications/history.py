"""Record messages of a past that was played, not lived, as sent: nobody is to get thirty days of mail at once."""

import datetime as dt

from django.db import transaction
from django.db.models import F

from notifications.models import Delivery, Notification

ANSWER = "250 2.0.0 accepted"


def record_sent(*, before: dt.datetime) -> int:
    """Mark every pending message created before `before` as sent when it was due, with its delivery; return how many.

    For demos only, on a database that nothing delivers from yet.
    """
    with transaction.atomic():
        pending = Notification.objects.select_for_update().filter(
            state=Notification.State.PENDING, created_at__lt=before
        )
        ids = dict(pending.values_list("pk", "due_at"))
        Delivery.objects.bulk_create(
            [Delivery(notification_id=pk, attempt=1, at=at, ok=True, answer=ANSWER) for pk, at in ids.items()]
        )
        return Notification.objects.filter(pk__in=ids).update(
            state=Notification.State.SENT, sent_at=F("due_at"), attempts=1, answer=ANSWER
        )
