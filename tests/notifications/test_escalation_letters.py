"""The mails of escalation say what to act on first: take what, until when, who is next, and why."""

import datetime as dt
import re
from dataclasses import replace

import pytest

from core.db import database_now
from escalation.engine import tick
from escalation.models import EscalationRequest
from escalation.operations import (
    acknowledge,
    decline_request,
    deescalate,
    escalate,
    grant_request,
    pass_on,
    request_escalation,
)
from escalation.outlook import outlook_of
from escalation.queries import read_acknowledge_link
from notifications import engine
from notifications.models import Contact, ContactMethod, Notification
from notifications.rendering import Rendered, render
from tests import mail
from tests.house import MIN, House, republish, steps_for
from tickets.models import Impact, Service, Ticket, Urgency

HANDOFF = {"impact": "46 people", "tried": "backup concentrator", "suspected": "", "next_action": "roll back"}


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


def letters(ticket: Ticket, kind: str, address: str = "") -> list[Rendered]:
    rows = Notification.objects.filter(ticket=ticket, kind=kind)
    if address:
        rows = rows.filter(address=address)
    return [render(row) for row in rows.select_related("user", "contact", "ticket").order_by("pk")]


def climbed(house: House, **more: object) -> Ticket:
    """Return a ticket that an agent escalated to L2 with a handoff, 20 minutes after it was opened."""
    service = Service.objects.create(name="Payments")
    ticket = house.open(
        subject="Payments down", service=service, impact=Impact.HIGH, urgency=Urgency.HIGH, **more
    )
    escalate(
        ticket_id=ticket.pk,
        seen_seq=0,
        actor=house.agent,
        now=house.now + 20 * MIN,
        reason="Needs the core team",
        handoff=HANDOFF,
    )
    return ticket


def test_a_telling_says_first_what_to_take_until_when_and_who_is_next(house: House) -> None:
    Contact.objects.filter(user=house.second).update(time_zone="Europe/Madrid")
    ticket = climbed(house)

    (told,) = letters(ticket, "escalation.told", "aisha@example.org")

    assert told.subject == f"[SEV1] #{ticket.pk} Payments down — L2, please take it"
    first, why, instructions = told.text.split("\n\n")[1:4]
    assert re.fullmatch(
        r"Please take it by .*\d\d:\d\d \(Europe/Madrid\), in \d+ min\. After that all of Network are told again\.",
        first,
    )
    assert why == "Piet Test escalated it from Service desk."
    assert instructions == "When to reach out: First, by day and night."


def test_a_telling_carries_a_link_of_its_own_contact_and_seq(house: House) -> None:
    ticket = climbed(house)
    contact = Contact.objects.get(user=house.second)

    (told,) = letters(ticket, "escalation.told", "aisha@example.org")

    (token,) = re.findall(r"^https?://\S+/a/(\S+)/$", told.text, re.MULTILINE)
    link = read_acknowledge_link(token)
    assert (link.ticket_id, link.seq, link.contact_id) == (ticket.pk, 1, contact.pk)
    assert f"/a/{token}/" in told.html


def test_a_telling_tells_what_is_known(house: House) -> None:
    ticket = climbed(house)

    (told,) = letters(ticket, "escalation.told", "aisha@example.org")

    for words in (
        "Payments",
        "High, urgency high",
        "Service desk 20 min",
        "Duty L2 (on the way)",
        "Handoff from Piet Test",
        "Impact: 46 people",
        "Tried so far: backup concentrator",
        "Next action: roll back",
        "Needs the core team",
        "it climbs to Core network",
        f"/t/{ticket.pk}/",
    ):
        assert words in told.text
        assert words in told.html
    assert "Suspected cause" not in told.text


def test_in_turn_the_next_one_is_named(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = climbed(house)

    (told,) = letters(ticket, "escalation.told")

    assert "After that Duty L2 is told." in told.text


def test_when_the_lists_are_through_the_climb_is_what_comes_next(house: House) -> None:
    step = replace(steps_for(house)[1], wait=30 * MIN)
    republish(house, steps=(steps_for(house)[0], step, *steps_for(house)[2:]))
    ticket = climbed(house)

    (told, _) = letters(ticket, "escalation.told")

    assert "After that it climbs to Core network." in told.text
    assert "If nobody takes it" not in told.text


@pytest.mark.parametrize(
    ("at", "seq", "words"),
    [
        (30, 1, "Its time at Service desk ran out."),
        (40, 2, "Nobody at Network took it in time."),
    ],
)
def test_a_climb_by_clock_says_which_one(house: House, at: int, seq: int, words: str) -> None:
    ticket = house.open(severity=1)
    for minute in (30, 40):
        if minute <= at:
            tick(now=house.now + minute * MIN)

    row = Notification.objects.filter(ticket=ticket, seq=seq, kind="escalation.told").first()

    assert row is not None
    assert words in render(row).text
    assert "Carla Test wrote" in render(row).text


def test_the_second_round_says_that_nobody_took_it(house: House) -> None:
    ticket = climbed(house)
    tick(now=house.now + 24 * MIN + dt.timedelta(seconds=1))

    first, second = letters(ticket, "escalation.told", "aisha@example.org")

    assert "Nobody has taken it so far." not in first.text
    assert "Nobody has taken it so far." in second.text


def test_being_handed_back_is_said_with_the_reason(house: House) -> None:
    ticket = climbed(house)
    escalate(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 21 * MIN, reason="core")
    deescalate(
        ticket_id=ticket.pk,
        seen_seq=2,
        to_position=2,
        actor=house.third,
        now=house.now + 22 * MIN,
        reason="Only a cable",
    )

    row = Notification.objects.filter(ticket=ticket, seq=3, kind="escalation.told").first()

    assert row is not None
    text = render(row).text
    assert "Tomas Test handed it back from Core network." in text
    assert "Only a cable" in text


def test_the_fallback_learns_why_they_are_told(house: House) -> None:
    ContactMethod.objects.exclude(contact=house.fallback).update(is_active=False)
    ticket = climbed(house)

    (told,) = letters(ticket, "escalation.fallback")

    assert "Nobody on the contact list of Network can be reached" in told.text
    assert "/a/" in told.text


def test_a_link_for_a_room_says_that_it_asks_for_a_sign_in(house: House) -> None:
    Contact.objects.filter(name="Duty L2").update(kind=Contact.Kind.ROOM)
    ticket = climbed(house)

    (told,) = letters(ticket, "escalation.told", "duty2@example.org")

    assert "asks for your sign-in" in told.text


def test_the_lead_reads_which_promise_was_missed(house: House) -> None:
    ticket = house.open(severity=1)
    tick(now=house.now + 20 * MIN)

    (missed,) = letters(ticket, "escalation.lead")

    assert missed.subject.endswith("— the first answer is overdue")
    assert "We missed a promise: the first answer was due" in missed.text
    assert "Nobody owns the ticket." in missed.text


def test_the_owner_reads_what_runs_out(house: House) -> None:
    from tickets.operations import assign_ticket

    ticket = house.open(severity=1)
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=house.now)
    tick(now=house.now + 23 * MIN)

    warned = [
        letter for letter in letters(ticket, "escalation.owner") if "the time at this tier" in letter.subject
    ]

    assert len(warned) == 1
    assert "is due soon" in warned[0].subject


def test_the_requesters_wish_reaches_the_lead_and_the_answer_the_requester(house: House) -> None:
    ticket = house.open(severity=2)
    wish = request_escalation(
        ticket_id=ticket.pk, actor=house.requester, reason="Shops <closed>", now=house.now + MIN
    )
    (asked,) = letters(ticket, "escalation.requested")
    decline_request(
        request_id=wish.pk, actor=house.lead, reason="Fix is rolling out", now=house.now + 2 * MIN
    )
    (answered,) = letters(ticket, "escalation.answered")

    assert asked.subject.endswith("— the requester asks for escalation")
    assert "Shops <closed>" in asked.text
    assert "Shops &lt;closed&gt;" in asked.html
    assert "Answer by" in asked.text
    assert "We did not escalate your request." in answered.text
    assert "Fix is rolling out" in answered.text
    assert f"/portal/{ticket.pk}/" in answered.text


def test_a_granted_wish_says_who_has_it_now(house: House) -> None:
    ticket = house.open(severity=2)
    wish = request_escalation(
        ticket_id=ticket.pk, actor=house.requester, reason="Please", now=house.now + MIN
    )
    grant_request(request_id=wish.pk, actor=house.lead, now=house.now + 2 * MIN)

    (answered,) = letters(ticket, "escalation.answered")

    assert EscalationRequest.objects.get(pk=wish.pk).state == "granted"
    assert "We escalated your request to L2." in answered.text


def test_the_confirmation_names_the_promises(house: House) -> None:
    ticket = house.open(severity=2)

    (opened,) = letters(ticket, "ticket.opened")

    assert re.search(r"We promise: a first answer by .* in \d+ min; a solution by .* in \d+ h", opened.text)


def test_nobody_is_next_once_somebody_took_it(house: House) -> None:
    ticket = climbed(house)
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 21 * MIN)
    ticket.refresh_from_db()

    outlook = outlook_of(ticket, 1, contact_id=None, now=database_now())

    assert outlook is not None
    assert (outlook.until, outlook.then, outlook.climbs_at) == (None, "", None)


def test_the_outlook_knows_who_cannot(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = climbed(house)
    pass_on(
        ticket_id=ticket.pk,
        seen_seq=1,
        contact=Contact.objects.get(user=house.second),
        now=house.now + 21 * MIN,
    )

    outlook = outlook_of(ticket, 1, contact_id=None, now=database_now())

    assert outlook is not None
    assert {told.name: told.outcome for told in outlook.told} == {
        "Aisha Test": "can't",
        "Duty L2": "on the way",
    }
    assert outlook.then == "Aisha Test is told again"
    assert outlook_of(ticket, 7, contact_id=None, now=database_now()) is None


def test_every_kind_that_escalation_sends_can_be_delivered(house: House, smtp: mail.Mailbox) -> None:
    house.open(severity=1, at=database_now())
    ticket = climbed(house)
    for minute in range(20, 70, 3):
        tick(now=house.now + minute * MIN)
    Notification.objects.filter(state="pending").update(due_at=database_now())
    kinds = set(Notification.objects.filter(state="pending").values_list("kind", flat=True))

    engine.tick(senders=1)

    assert {"escalation.told", "escalation.lead"} <= kinds
    assert not Notification.objects.exclude(state__in=("sent", "withdrawn")).exists()
    assert any(f"#{ticket.pk}" in str(message["Subject"]) for message in smtp.mails)
