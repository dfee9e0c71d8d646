"""Too many repetitions to one address come in one digest; nothing that is new or critical ever does."""

import asyncio
import datetime as dt
import re
import uuid
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from core.db import database_now
from escalation import engine as escalation
from escalation import kinds
from escalation.operations import acknowledge
from escalation.queries import read_acknowledge_link
from notifications import digests, engine, leasing
from notifications.channels import email
from notifications.digests import DIGEST
from notifications.models import Contact, ContactMethod, Delivery, Notification
from notifications.operations import Message, create_contact, enqueue, retry_dead_letter, withdraw
from notifications.rules import how_many_singly
from tests import mail
from tests.helpers import free_port, race
from tests.house import MIN, House, build_house
from tests.notifications.cast import person, ticket
from tickets.models import Severity, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

State = Notification.State
ABOVE = 3


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    settings.BELAY_DIGEST_ABOVE = ABOVE


@pytest.fixture
def ann() -> Contact:
    return create_contact(name="Ann", email="ann@example.org")


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


@pytest.mark.parametrize(
    ("repetitions", "others", "singly"),
    [(10, 0, 3), (2, 0, 2), (10, 2, 1), (10, 3, 0), (10, 9, 0), (0, 0, 0)],
)
def test_what_still_goes_singly(repetitions: int, others: int, singly: int) -> None:
    assert how_many_singly(repetitions, above=ABOVE, others=others) == singly


def test_repetitions_beyond_the_number_come_in_one_digest_within_a_minute(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = many_tickets(8)
    told_before(ann, tickets)
    tell(ann, tickets, 2)

    send_all()

    assert len(smtp.mails) == ABOVE
    assert rows(State.FOLDED) == 5
    digest = Notification.objects.get(kind=DIGEST)
    assert digest.due_at - database_now() < dt.timedelta(minutes=1)

    a_minute_passes()
    send_all()

    (message,) = digest_mails(smtp)
    assert message["To"] == "ann@example.org"
    assert message["Subject"] == "[SEV3] 5 tickets still wait for you"
    assert listed(message) == tickets[ABOVE:]
    assert rows(State.SENT, round=2) == 8
    assert set(Notification.objects.filter(folded_into=digest).values_list("answer", flat=True)) == {
        f"in digest {digest.pk}: accepted"
    }
    told = Delivery.objects.filter(notification__round=2, ok=True)
    assert sorted(told.values_list("notification__ticket", "attempt")) == [(pk, 1) for pk in tickets]


def test_first_messages_and_sev1_are_never_folded(ann: Contact, smtp: mail.Mailbox) -> None:
    new, critical, known = many_tickets(6), many_tickets(6, critical=6), many_tickets(2)
    told_before(ann, critical + known)
    tell(ann, new, 1)
    tell(ann, critical + known, 2)

    send_all()

    assert len(smtp.mails) == 12
    folded = Notification.objects.filter(state=State.FOLDED).values_list("ticket", flat=True)
    assert sorted(folded) == known


def test_a_first_message_that_never_arrived_makes_the_next_one_the_first(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = many_tickets(5)
    told_before(ann, tickets)
    Notification.objects.filter(round=1).update(state=State.DEAD, sent_at=None, dead_at=database_now())
    tell(ann, tickets, 2)

    send_all()

    assert len(smtp.mails) == 5


def test_zero_switches_digests_off(ann: Contact, smtp: mail.Mailbox, settings: Any) -> None:
    settings.BELAY_DIGEST_ABOVE = 0
    tickets = many_tickets(8)
    told_before(ann, tickets)
    tell(ann, tickets, 2)

    send_all()

    assert len(smtp.mails) == 8


def test_only_what_went_to_this_address_in_the_last_minute_counts(ann: Contact, smtp: mail.Mailbox) -> None:
    bob = create_contact(name="Bob", email="bob@example.org")
    tickets = many_tickets(8)
    for contact in (ann, bob):
        told_before(contact, tickets)
    tell(bob, tickets[:3], 2)
    tell(ann, tickets[:2], 2)
    send_all()

    tell(ann, tickets[2:4], 2)
    send_all()

    assert rows(State.FOLDED) == 1

    a_minute_passes()
    tell(ann, tickets[4:6], 2)
    send_all()

    # The digest itself went out just now and counts as one message.
    assert rows(State.FOLDED) == 0
    assert len(digest_mails(smtp)) == 1


def test_what_comes_while_a_digest_is_open_joins_it(ann: Contact, smtp: mail.Mailbox) -> None:
    tickets = many_tickets(9)
    told_before(ann, tickets)
    for part in (tickets[:5], tickets[5:7], tickets[7:]):
        tell(ann, part, 2)
        send_all()

    a_minute_passes()
    send_all()

    (message,) = digest_mails(smtp)
    assert listed(message) == tickets[ABOVE:]


def test_a_full_digest_goes_at_once_and_the_next_one_opens(
    ann: Contact, smtp: mail.Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "HOLDS", 4)
    tickets = many_tickets(13)
    told_before(ann, tickets)
    tell(ann, tickets, 2)

    send_all()

    assert [len(listed(message)) for message in digest_mails(smtp)] == [4, 4]
    assert rows(State.FOLDED) == 2


def test_a_ticket_told_twice_within_the_minute_stands_there_once(ann: Contact, smtp: mail.Mailbox) -> None:
    tickets = many_tickets(5)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
    tell(ann, tickets, 3)
    send_all()

    a_minute_passes()
    send_all()

    (message,) = digest_mails(smtp)
    assert sorted(listed(message)) == tickets
    assert rows(State.SENT, folded_into__isnull=False) == 7


def test_what_was_acknowledged_meanwhile_is_left_out(ann: Contact, smtp: mail.Mailbox) -> None:
    tickets = many_tickets(8)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
    send_all()

    withdraw(groups=[f"telling:{tickets[5]}:0"], now=database_now())
    a_minute_passes()
    send_all()

    (message,) = digest_mails(smtp)
    assert listed(message) == [tickets[3], tickets[4], tickets[6], tickets[7]]
    gone = Notification.objects.get(ticket=tickets[5], round=2)
    assert gone.state == State.WITHDRAWN
    assert not gone.deliveries.exists()


def test_a_digest_with_nothing_left_is_withdrawn(ann: Contact, smtp: mail.Mailbox) -> None:
    tickets = many_tickets(5)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
    send_all()

    withdraw(groups=[f"telling:{pk}:0" for pk in tickets], now=database_now())
    a_minute_passes()
    send_all()

    assert digest_mails(smtp) == []
    digest = Notification.objects.get(kind=DIGEST)
    assert (digest.state, digest.answer) == (State.WITHDRAWN, "nothing was left to tell")


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
    tickets = many_tickets(6)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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
    tickets = many_tickets(6)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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
    tickets = many_tickets(6)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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
    tickets = many_tickets(6)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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
    tickets = many_tickets(6)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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
    tickets = many_tickets(6)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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
    tickets = many_tickets(240)
    told_before(ann, tickets)
    tell(ann, tickets, 2)

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
    tickets = many_tickets(300)
    told_before(ann, tickets)
    tell(ann, tickets, 2)
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


@pytest.mark.parametrize(
    ("count", "critical", "digests_expected"),
    [(300, 30, 1), pytest.param(5000, 500, 5, marks=pytest.mark.slow)],
)
def test_after_an_outage_what_is_new_or_critical_goes_singly_and_the_rest_in_digests(
    ann: Contact, smtp: mail.Mailbox, settings: Any, count: int, critical: int, digests_expected: int
) -> None:
    """Each ticket was told once and then again, all of it due at the same instant to the same contact."""
    settings.BELAY_DIGEST_ABOVE = 20
    tickets = many_tickets(count, critical=critical)
    tell(ann, tickets, 1)
    tell(ann, tickets, 2)

    engine.tick()
    a_minute_passes()
    engine.tick()

    assert rows(State.SENT) == 2 * count
    messages = digest_mails(smtp)
    told = [number for message in messages for number in listed(message)]
    assert len(messages) == digests_expected
    assert sorted(told) == tickets[critical:]
    assert len(smtp.mails) - len(messages) == count + critical


@pytest.fixture
def house() -> House:
    return build_house()


def climbed(house: House, count: int) -> list[Ticket]:
    """Return tickets at L2 whose contacts were told, and then again."""
    opened = [house.open(subject=f"Payments <b>{number}</b> fail", severity=3) for number in range(count)]
    escalation.tick(now=house.now + 30 * MIN)
    Notification.objects.exclude(kind=kinds.TELL).delete()
    before = database_now() - dt.timedelta(minutes=5)
    Notification.objects.update(state=State.SENT, sent_at=before)
    escalation.tick(now=house.now + 35 * MIN)
    Notification.objects.filter(kind=kinds.TELL, round=2).update(due_at=database_now())
    Notification.objects.filter(state=State.PENDING).exclude(kind=kinds.TELL).delete()
    return opened


def digest_for(smtp: mail.Mailbox, address: str) -> EmailMessage:
    (message,) = [message for message in digest_mails(smtp) if message["To"] == address]
    return message


def test_a_digest_acknowledges_per_ticket(house: House, smtp: mail.Mailbox) -> None:
    tickets = climbed(house, 6)
    send_all()
    a_minute_passes()
    send_all()

    message = digest_for(smtp, "aisha@example.org")

    text = text_of(message)
    assert listed(message) == [ticket.pk for ticket in tickets[ABOVE:]]
    assert "L2 Network · waiting" in text
    html = message.get_body(("html",))
    assert html is not None
    assert "Payments &lt;b&gt;4&lt;/b&gt; fail" in html.get_content()
    links = [read_acknowledge_link(token) for token in re.findall(r"Take it: \S+/a/([^/\s]+)/", text)]
    contact = Contact.objects.get(user=house.second)
    assert [(link.ticket_id, link.seq, link.contact_id) for link in links] == [
        (ticket.pk, 1, contact.pk) for ticket in tickets[ABOVE:]
    ]


def test_a_digest_to_a_room_links_to_the_tickets(house: House, smtp: mail.Mailbox) -> None:
    Contact.objects.filter(name="Duty L2").update(kind=Contact.Kind.ROOM)
    tickets = climbed(house, 5)
    send_all()
    a_minute_passes()
    send_all()

    text = text_of(digest_for(smtp, "duty2@example.org"))

    assert "/a/" not in text
    assert f"Open: http://localhost:8000/t/{tickets[-1].pk}/" in text


def test_an_acknowledged_ticket_is_not_in_the_digest(house: House, smtp: mail.Mailbox) -> None:
    tickets = climbed(house, 6)
    send_all()
    acknowledge(ticket_id=tickets[4].pk, seen_seq=1, actor=house.second, now=house.now + 36 * MIN)

    a_minute_passes()
    send_all()

    assert listed(digest_for(smtp, "aisha@example.org")) == [tickets[3].pk, tickets[5].pk]


def test_each_telling_of_a_dead_digest_goes_to_the_contacts_next_method(
    house: House, smtp: mail.Mailbox
) -> None:
    aisha = Contact.objects.get(user=house.second)
    ContactMethod.objects.create(contact=aisha, address="aisha@example.net", position=2)
    tickets = climbed(house, 6)
    send_all()
    smtp.answer = "550 no such mailbox"
    a_minute_passes()
    send_all()

    escalation.tick(now=house.now + 36 * MIN)

    again = Notification.objects.filter(address="aisha@example.net")
    assert sorted(again.values_list("ticket", flat=True)) == [ticket.pk for ticket in tickets[ABOVE:]]
    assert not Notification.objects.filter(state=State.DEAD, handled_at__isnull=True).exists()


def test_folding_costs_the_same_number_of_queries_however_many_rows(
    ann: Contact, django_assert_num_queries: Any
) -> None:
    counts = []
    for contact, size in ((ann, 10), (create_contact(name="Bob", email="bob@example.org"), 90)):
        tickets = many_tickets(size)
        told_before(contact, tickets)
        tell(contact, tickets, 2)
        with django_assert_num_queries(100, exact=False) as seen:
            claimed = leasing.claim(token=uuid.uuid4(), now=database_now())
        counts.append(len(seen))
        assert len(claimed) == ABOVE

    assert counts[0] == counts[1]
