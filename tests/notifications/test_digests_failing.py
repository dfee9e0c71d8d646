"""A digest that fails, dies or is called off on its way: each of its tellings ends as it should."""

import asyncio
import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import IntegrityError, connection, transaction

from core.db import database_now
from notifications import engine
from notifications.channels import email
from notifications.digests import DIGEST
from notifications.models import Contact, Delivery, Notification
from notifications.operations import retry_dead_letter, withdraw
from tests import mail
from tests.helpers import free_port, race
from tests.notifications.folding import (
    ABOVE,
    State,
    a_minute_passes,
    digest_mails,
    listed,
    many_tickets,
    rows,
    send_all,
    tell,
    told_again,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("three_a_minute")]


@dataclass
class Meddling(mail.Mailbox):
    """A server during whose taking of a mail something happens."""

    meddle: Any = None
    done: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Take the address after the meddling, in a thread of its own."""
        if self.meddle is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._run)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def _run(self) -> None:
        try:
            self.meddle()
        finally:
            connection.close()


def test_what_is_acknowledged_while_the_digest_is_on_the_wire_was_told_all_the_same(
    ann: Contact, smtp: mail.Mailbox, settings: Any
) -> None:
    tickets = told_again(ann, 6)
    send_all()
    server = Meddling(meddle=lambda: withdraw(groups=[f"telling:{tickets[4]}:0"], now=database_now()))
    controller = mail.start(server, free_port())
    settings.EMAIL_PORT = server.port
    email._hang_up()

    a_minute_passes()
    send_all()
    controller.stop()

    (message,) = digest_mails(server)
    assert listed(message) == tickets[ABOVE:]
    taken = Notification.objects.get(ticket=tickets[4], round=2)
    assert taken.state == State.SENT
    assert taken.withdrawn_at is not None


def test_a_digest_that_is_refused_for_good_makes_each_of_its_tellings_a_dead_letter(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = told_again(ann, 6)
    send_all()
    withdraw(groups=[f"telling:{tickets[5]}:0"], now=database_now())

    smtp.answer = "550 no such mailbox"
    a_minute_passes()
    send_all()

    digest = Notification.objects.get(kind=DIGEST)
    assert digest.state == State.DEAD
    assert digest.handled_at is not None
    dead = Notification.objects.filter(folded_into=digest, state=State.DEAD, handled_at__isnull=True)
    assert sorted(dead.values_list("ticket", flat=True)) == tickets[3:5]
    assert [(d.ok, "550" in d.answer) for d in Delivery.objects.filter(notification__in=dead)] == [
        (False, True)
    ] * 2
    assert rows(State.WITHDRAWN) == 1
    assert ann.methods.get().failing_since is not None


def test_a_telling_whose_digest_died_goes_singly_when_it_is_tried_again(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    told_again(ann, 6)
    send_all()
    smtp.answer = "550 no such mailbox"
    a_minute_passes()
    send_all()
    dead = Notification.objects.filter(state=State.DEAD).exclude(kind=DIGEST)

    smtp.answer = "250 OK"
    before = len(smtp.mails)
    for row in list(dead):
        retry_dead_letter(notification_id=row.pk, actor=None, now=database_now())
    send_all()

    assert len(smtp.mails) - before == 3
    assert rows(State.SENT, round=2) == 6


def test_a_digest_that_fails_for_now_keeps_its_tellings_and_its_message_id(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = told_again(ann, 6)
    send_all()
    smtp.answer = "451 come back later"
    a_minute_passes()
    send_all()
    assert rows(State.FOLDED) == 3

    smtp.answer = "250 OK"
    a_minute_passes()
    send_all()

    digest = Notification.objects.get(kind=DIGEST)
    (message,) = digest_mails(smtp)
    assert listed(message) == tickets[ABOVE:]
    assert [(d.attempt, d.ok) for d in digest.deliveries.order_by("pk")] == [(1, False), (2, True)]
    assert rows(State.SENT, round=2) == 6


def test_a_digest_whose_worker_died_is_sent_again_under_its_message_id(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = told_again(ann, 6)
    send_all()
    a_minute_passes()
    dead_worker = uuid.uuid4()
    (digest_id,) = engine.claim(token=dead_worker, now=database_now())
    Notification.objects.filter(pk=digest_id).update(lease_until=database_now() - dt.timedelta(seconds=1))

    send_all()
    engine.deliver(digest_id, dead_worker)

    (message,) = digest_mails(smtp)
    assert listed(message) == tickets[ABOVE:]
    assert rows(State.SENT, round=2) == 6


def test_a_row_that_cannot_be_a_line_goes_by_itself_and_stops_no_other(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = told_again(ann, 6)
    Notification.objects.filter(ticket=tickets[4], round=2).update(
        context={"unreadable": "lost", "subject": "alone"}
    )
    send_all()

    a_minute_passes()
    send_all()

    (message,) = digest_mails(smtp)
    assert listed(message) == [tickets[3], tickets[5]]
    assert [m["Subject"] for m in smtp.mails].count("alone") == 1
    assert rows(State.SENT, round=2) == 6


def test_two_workers_fold_what_one_would(ann: Contact, smtp: mail.Mailbox) -> None:
    told_again(ann, 240)

    race(send_all, send_all)

    assert len(smtp.mails) == ABOVE
    assert rows(State.FOLDED) == 240 - ABOVE

    a_minute_passes()
    race(send_all, send_all)

    told = [number for message in digest_mails(smtp) for number in listed(message)]
    assert len(told) == len(set(told)) == 240 - ABOVE
    assert rows(State.SENT, round=2) == 240


def test_withdrawing_many_while_their_digest_is_settled_neither_waits_for_ever_nor_is_lost(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = told_again(ann, 300)
    send_all()
    a_minute_passes()

    def call_off() -> None:
        for half in (tickets[::-2], tickets[::2]):
            with transaction.atomic():
                for pk in half:
                    withdraw(groups=[f"telling:{pk}:0"], now=database_now())

    assert race(send_all, call_off)[1] is None

    told = [number for message in digest_mails(smtp) for number in listed(message)]
    assert rows(State.FOLDED) == 0
    assert rows(State.SENT, folded_into__isnull=False) == len(told)
    assert rows(State.WITHDRAWN) == 297 - len(told)


def test_a_folded_row_without_a_digest_is_refused_by_the_database(ann: Contact) -> None:
    tell(ann, many_tickets(1), 1)

    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.update(state=State.FOLDED)
