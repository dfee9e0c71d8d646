"""Too many repetitions to one address come in one digest; nothing that is new or critical ever does."""

import datetime as dt
import re
import uuid
from email.message import EmailMessage
from typing import Any

import pytest

from core.db import database_now
from escalation import engine as escalation
from escalation import kinds
from escalation.operations import acknowledge
from escalation.queries import read_acknowledge_link
from notifications import digests, engine, leasing
from notifications.digests import DIGEST
from notifications.models import Contact, ContactMethod, Delivery, Notification
from notifications.operations import create_contact, withdraw
from notifications.rules.delivery import how_many_singly
from tests import mail
from tests.house import MIN, House
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
    text_of,
    told_again,
    told_before,
)
from tickets.models import Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("three_a_minute")]


@pytest.mark.parametrize(
    ("repetitions", "others", "singly"),
    [(10, 0, 3), (2, 0, 2), (10, 2, 1), (10, 3, 0), (10, 9, 0), (0, 0, 0)],
)
def test_what_still_goes_singly(repetitions: int, others: int, singly: int) -> None:
    assert how_many_singly(repetitions, above=ABOVE, others=others) == singly


def test_repetitions_beyond_the_number_come_in_one_digest_within_a_minute(
    ann: Contact, smtp: mail.Mailbox
) -> None:
    tickets = told_again(ann, 8)

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
    told_again(ann, 8)

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
    told_again(ann, 13)

    send_all()

    assert [len(listed(message)) for message in digest_mails(smtp)] == [4, 4]
    assert rows(State.FOLDED) == 2


def test_a_ticket_told_twice_within_the_minute_stands_there_once(ann: Contact, smtp: mail.Mailbox) -> None:
    tickets = told_again(ann, 5)
    tell(ann, tickets, 3)
    send_all()

    a_minute_passes()
    send_all()

    (message,) = digest_mails(smtp)
    assert sorted(listed(message)) == tickets
    assert rows(State.SENT, folded_into__isnull=False) == 7


def test_what_was_acknowledged_meanwhile_is_left_out(ann: Contact, smtp: mail.Mailbox) -> None:
    tickets = told_again(ann, 8)
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
    tickets = told_again(ann, 5)
    send_all()

    withdraw(groups=[f"telling:{pk}:0" for pk in tickets], now=database_now())
    a_minute_passes()
    send_all()

    assert digest_mails(smtp) == []
    digest = Notification.objects.get(kind=DIGEST)
    assert (digest.state, digest.answer) == (State.WITHDRAWN, "nothing was left to tell")


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
def house(standing_house: House) -> House:
    return standing_house


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
