"""Tests of contact methods: a message to one of them through the real outbox."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from core.errors import Refused
from notifications.models import Contact, ContactMethod, Notification
from notifications.operations.methods import permit_change
from notifications.operations.outbox import Message, enqueue

TEST = "notifications.test"
# One click is enough, and every SMS costs something.
PAUSE = dt.timedelta(seconds=10)


def send_test(*, method: ContactMethod, actor: User | None, now: dt.datetime) -> Notification:
    """Put a test message to one method into the outbox and return its row.

    Whoever may change the method may test it. Raises NotAllowed, and Refused while another test is ten seconds young.
    """
    permit_change(method.contact, actor)
    with transaction.atomic():
        contact = Contact.objects.select_for_update(no_key=True).get(pk=method.contact_id)
        tests = Notification.objects.filter(contact=contact, kind=TEST, method=method).order_by("-pk")
        if tests.filter(created_at__gt=now - PAUSE).exists():
            raise Refused(
                f"A test to {method} was sent a moment ago.",
                field="method",
                value=str(method),
                mend=f"Wait {PAUSE.seconds} seconds.",
            )
        message = Message(
            kind=TEST,
            channel=method.channel,
            address=method.address,
            contact_id=contact.pk,
            method_id=method.pk,
            user_id=contact.user_id,
            context={"by": actor.name if actor is not None else "Belay"},
        )
        enqueue(messages=[message], now=now)
        row = tests.first()
        assert row is not None
        return row
