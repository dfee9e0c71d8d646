"""Consult: a higher step is told and asked for help while tier and clocks stay (DESIGN 3, by hand)."""

import datetime as dt
from dataclasses import replace

import pytest

from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.models import Clock, Standing
from escalation.operations import Moved, consult, escalate
from notifications.models import Contact, ContactListEntry, ContactMethod, Notification
from notifications.rendering import render
from tests.escalation.looking import at_l2, fresh
from tests.house import MIN, House, republish, steps_for
from tickets.models import Event, Status, Ticket
from tickets.operations import change_status


def asked(ticket: Ticket) -> list[tuple[str, str]]:
    rows = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_CONSULT)
    return sorted(rows.values_list("address", "state"))


def ask(house: House, ticket: Ticket, *, step: int = 3, seq: int = 0, **more: object) -> object:
    values = {"actor": house.agent, "question": "Which rule?", "now": house.now + MIN}
    return consult(ticket_id=ticket.pk, seen_seq=seq, to_position=step, **(values | more))  # type: ignore[arg-type]


def test_a_consulted_step_is_told_once_and_nothing_else_changes(house: House) -> None:
    ticket = at_l2(house)
    before = fresh(ticket)
    clocks = set(Clock.objects.filter(ticket=ticket).values_list("kind", "due_at", "state"))

    ask(house, ticket, seq=1, now=house.now + 31 * MIN)

    after = fresh(ticket)
    assert asked(ticket) == [("duty3@example.org", "pending"), ("tomas@example.org", "pending")]
    assert set(Clock.objects.filter(ticket=ticket).values_list("kind", "due_at", "state")) == clocks
    assert (after.tier, after.team, after.assignee, after.unacknowledged_since) == (
        before.tier,
        before.team,
        before.assignee,
        before.unacknowledged_since,
    )
    assert Standing.objects.get(ticket=ticket).seq == 1


def test_the_timeline_says_who_was_asked_and_keeps_the_question_apart(house: House) -> None:
    ticket = house.open()

    ask(house, ticket)

    event = Event.objects.select_related("payload").get(ticket=ticket, kind=kinds.CONSULTED)
    names = Contact.objects.filter(pk__in=event.data["contacts"]).values_list("name", flat=True)
    assert (event.data["seq"], event.data["to"], sorted(names)) == (0, 3, ["Duty L3", "Tomas Test"])
    assert event.payload.text == {"question": "Which rule?"}
    assert "Which rule?" not in str(event.data)


def test_the_message_says_who_asks_what_and_that_the_ticket_stays(house: House) -> None:
    ticket = house.open()

    ask(house, ticket)

    mail = render(Notification.objects.filter(ticket=ticket, kind=kinds.TELL_CONSULT).earliest("pk"))
    assert "Piet Test asks Core network for help" in mail.subject
    for words in ("stays with Service desk", "Which rule?", f"/t/{ticket.pk}/", "When L2 has a handoff."):
        assert words in mail.text


def test_an_erased_question_is_sent_no_more(house: House) -> None:
    ticket = house.open()
    ask(house, ticket)
    event = Event.objects.select_related("payload").get(ticket=ticket, kind=kinds.CONSULTED)
    event.payload.text, event.payload.erased_at = {}, house.now
    event.payload.save()

    mail = render(Notification.objects.filter(ticket=ticket, kind=kinds.TELL_CONSULT).earliest("pk"))

    assert "(These words have been erased.)" in mail.text


def test_a_step_that_is_only_a_queue_is_asked_through_its_team_s_lead(house: House) -> None:
    steps = steps_for(house)
    republish(house, steps=(steps[0], replace(steps[1], contact_list_ids=()), *steps[2:]))
    ticket = house.open()

    ask(house, ticket, step=2)

    assert asked(ticket) == [("lena@example.org", "pending")]


def test_where_nobody_can_be_reached_the_fallback_contact_is_asked(house: House) -> None:
    ticket = house.open()
    ContactMethod.objects.filter(contact__lists=house.lists[3]).update(is_active=False)

    ask(house, ticket)

    assert asked(ticket) == [("duty@example.org", "pending")]
    event = Event.objects.get(ticket=ticket, kind=kinds.CONSULTED)
    assert event.data["fallback"] is True
    mail = render(Notification.objects.get(ticket=ticket, kind=kinds.TELL_CONSULT))
    assert "nobody of the step that was asked can be reached" in mail.text


def test_where_not_even_an_admin_can_be_reached_the_asker_learns_it(house: House) -> None:
    ticket = house.open()
    for user in (house.admin,):
        Contact.objects.create(name=user.name, user=user)
    ContactMethod.objects.update(is_active=False)

    with pytest.raises(Conflict, match="can be reached"):
        ask(house, ticket)

    assert not Event.objects.filter(ticket=ticket, kind=kinds.CONSULTED).exists()


def test_whoever_asks_is_not_told_of_their_own_question(house: House) -> None:
    ticket = house.open()

    ask(house, ticket, actor=house.third)

    assert asked(ticket) == [("duty3@example.org", "pending")]


def test_entries_for_other_severities_are_left_alone(house: House) -> None:
    ticket = house.open(severity=3)
    ContactListEntry.objects.filter(contact_list=house.lists[3], contact__user=house.third).update(
        severities=[1]
    )

    ask(house, ticket)

    assert asked(ticket) == [("duty3@example.org", "pending")]


@pytest.mark.parametrize("how", ["climbs", "is resolved"])
def test_what_is_still_pending_is_withdrawn_when_the_ticket(house: House, how: str) -> None:
    ticket = house.open()
    ask(house, ticket)
    at = house.now + 2 * MIN

    if how == "climbs":
        escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=at, reason="Now.")
    else:
        change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=at)

    assert {state for _, state in asked(ticket)} == {"withdrawn"}


@pytest.mark.parametrize(("step", "question"), [(1, "Why?"), (0, "Why?"), (5, "Why?"), (2, "  ")])
def test_a_consultation_that_makes_no_sense_is_refused(house: House, step: int, question: str) -> None:
    ticket = house.open()

    with pytest.raises(Refused) as refused:
        ask(house, ticket, step=step, question=question)

    assert refused.value.field == ("question" if not question.strip() else "to_position")
    assert refused.value.mend
    assert asked(ticket) == []


def test_a_stale_seq_asks_nobody(house: House) -> None:
    ticket = at_l2(house)

    with pytest.raises(Moved):
        ask(house, ticket, seq=0, now=house.now + 31 * MIN)

    assert asked(ticket) == []


def test_only_people_who_work_tickets_consult(house: House) -> None:
    ticket = house.open()

    with pytest.raises(NotAllowed):
        ask(house, ticket, actor=house.requester)


def test_a_finished_ticket_asks_nobody(house: House) -> None:
    ticket = house.open()
    change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=house.now)

    with pytest.raises(Conflict, match="is resolved"):
        ask(house, ticket, now=house.now + dt.timedelta(hours=1))
