"""Many tickets told to one contact, and what came of it: for the tests of digests."""

import datetime as dt
import re
import uuid
from email.message import EmailMessage
from typing import Any

from django.db import connection
from django.db.models import F

from core.db import database_now
from notifications import engine
from notifications.digests import DIGEST
from notifications.models import Contact, Notification
from notifications.operations import Message, enqueue
from tests import mail
from tests.notifications.cast import person, ticket
from tickets.models import Severity, Ticket

State = Notification.State
ABOVE = 3


def many_tickets(count: int, *, critical: int = 0) -> list[int]:
    """Return tickets of which the first `critical` are SEV1; copies of one, for building thousands takes minutes."""
    first = ticket(person(f"Carla{uuid.uuid4().hex}"), now=database_now())
    names = [column.column for column in Ticket._meta.concrete_fields if column.column != "id"]
    listed = ", ".join(connection.ops.quote_name(name) for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tickets_ticket ({listed}) SELECT {listed} FROM tickets_ticket, generate_series(2, %s)"  # noqa: S608
            " WHERE id = %s",
            [count, first.pk],
        )
    ids = list(Ticket.objects.filter(pk__gte=first.pk).order_by("pk").values_list("pk", flat=True))
    Ticket.objects.filter(pk__in=ids).update(severity=Severity.SEV3)
    Ticket.objects.filter(pk__in=ids[:critical]).update(severity=Severity.SEV1)
    Notification.objects.filter(kind__startswith="ticket.").delete()
    return ids


def tell(contact: Contact, tickets: list[int], round_number: int, **more: Any) -> None:
    """Queue one telling of each ticket to a contact, due now."""
    method = contact.methods.order_by("position").first()
    assert method is not None
    enqueue(
        messages=[
            Message(
                kind="test.plain",
                ticket_id=pk,
                seq=0,
                round=round_number,
                contact_id=contact.pk,
                method_id=method.pk,
                address=method.address,
                group=f"telling:{pk}:0",
                context={"subject": f"ticket {pk} round {round_number}"},
                **more,
            )
            for pk in tickets
        ],
        now=database_now(),
    )


def told_before(contact: Contact, tickets: list[int]) -> None:
    """Let a contact have heard of these tickets long enough ago not to count."""
    tell(contact, tickets, 1)
    before = database_now() - dt.timedelta(minutes=5)
    Notification.objects.filter(ticket__in=tickets, round=1).update(
        state=State.SENT, sent_at=before, due_at=before
    )


def send_all() -> int:
    return engine.tick(senders=1)


def a_minute_passes() -> None:
    """Let everything have been sent a minute earlier and open digests be due."""
    minute = dt.timedelta(minutes=1, seconds=1)
    Notification.objects.filter(sent_at__isnull=False).update(sent_at=F("sent_at") - minute)
    Notification.objects.filter(state=State.PENDING).update(due_at=F("due_at") - minute)


def rows(state: str, **more: Any) -> int:
    return Notification.objects.filter(state=state, **more).exclude(kind=DIGEST).count()


def digest_mails(smtp: mail.Mailbox) -> list[EmailMessage]:
    ids = set(Notification.objects.filter(kind=DIGEST).values_list("message_id", flat=True))
    return [message for message in smtp.mails if message["Message-ID"] in ids]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def listed(message: EmailMessage) -> list[int]:
    """Return the tickets of a digest in its order."""
    return [int(number) for number in re.findall(r"^SEV\d  #(\d+)  ", text_of(message), re.MULTILINE)]


def told_again(contact: Contact, count: int) -> list[int]:
    """Return tickets that a contact has heard of, and is told of once more now."""
    tickets = many_tickets(count)
    told_before(contact, tickets)
    tell(contact, tickets, 2)
    return tickets
