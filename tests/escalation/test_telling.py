"""Telling, acknowledging, nobody there and the top, sentence by sentence of DESIGN 3."""

from dataclasses import replace

import pytest

from accounts.models import Team
from core.errors import NotAllowed
from escalation import kinds
from escalation.engine import tick
from escalation.models import Escalation, Standing
from escalation.operations import (
    AlreadyAcknowledged,
    acknowledge,
    pass_on,
)
from notifications.models import Contact, ContactListEntry, ContactMethod, Notification
from tests.escalation.looking import at_l2, clock, due, fresh, run, tellings
from tests.house import HOUR, MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Event
from tickets.operations import (
    add_note,
    add_reply,
    assign_ticket,
)

# --- telling and acknowledging --------------------------------------------------------------------------------


def test_everybody_is_told_at_once_and_again_each_round_until_it_climbs(house: House) -> None:
    ticket = at_l2(house)

    run(house, 31, 39)

    assert [(r, a) for _, r, a, _ in tellings(ticket)] == [
        (n, a) for n in (1, 2, 3) for a in ("aisha@example.org", "duty2@example.org")
    ]


def test_in_turn_tells_one_after_another_with_the_wait_between(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = at_l2(house)
    seen = [(a) for _, _, a, _ in tellings(ticket)]
    assert seen == ["aisha@example.org"]

    tick(now=house.now + 34 * MIN)
    tick(now=house.now + 38 * MIN)

    assert [(r, a) for _, r, a, _ in tellings(ticket)] == [
        (1, "aisha@example.org"),
        (1, "duty2@example.org"),
        (2, "aisha@example.org"),
    ]


def test_a_list_edited_meanwhile_is_resolved_fresh(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = at_l2(house)
    ContactListEntry.objects.filter(contact_list=house.lists[2], contact__name="Duty L2").delete()
    extra = Contact.objects.get(name="Duty L3")
    ContactListEntry.objects.create(contact_list=house.lists[2], contact=extra, position=9)

    tick(now=house.now + 34 * MIN)

    assert {a for _, _, a, _ in tellings(ticket)} == {"aisha@example.org", "duty3@example.org"}


def test_entries_have_conditions_on_severity_and_round(house: House) -> None:
    ContactListEntry.objects.filter(contact__name="Duty L2").update(from_round=2)
    ContactListEntry.objects.filter(contact__name="Aisha Test").update(severities=[3])
    ticket = at_l2(house)

    tick(now=house.now + 34 * MIN)

    assert [(r, a) for _, r, a, _ in tellings(ticket)] == [
        (1, "aisha@example.org"),
        (2, "aisha@example.org"),
        (2, "duty2@example.org"),
    ]


def test_a_round_whose_conditions_leave_nobody_is_passed_over_at_once(house: House) -> None:
    ContactListEntry.objects.filter(contact_list=house.lists[2]).update(from_round=2)

    ticket = at_l2(house)

    assert [(r, a) for _, r, a, _ in tellings(ticket)] == [(2, "aisha@example.org"), (2, "duty2@example.org")]


def test_acknowledging_stops_telling_and_cancels_what_is_pending_while_the_tier_time_runs_on(
    house: House,
) -> None:
    ticket = at_l2(house)

    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 31 * MIN)

    assert {state for *_, state in tellings(ticket)} == {"withdrawn"}
    assert clock(ticket, "acknowledge") is None
    assert clock(ticket, "next_telling") is None
    assert due(ticket, "tier_time") == house.now + 60 * MIN
    assert fresh(ticket).assignee == house.second


@pytest.mark.parametrize(
    ("who", "allowed"), [("second", True), ("lead", True), ("outsider", False), ("agent", False)]
)
def test_only_the_current_step_or_a_lead_acknowledges(house: House, who: str, allowed: bool) -> None:
    ticket = at_l2(house)
    user = getattr(house, who)

    if allowed:
        acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=user, now=house.now + 31 * MIN)
        assert fresh(ticket).unacknowledged_since is None
    else:
        with pytest.raises(NotAllowed):
            acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=user, now=house.now + 31 * MIN)


def test_a_contact_without_an_account_acknowledges_by_link_and_takes_nothing(house: House) -> None:
    ticket = at_l2(house)
    duty = Contact.objects.get(name="Duty L2")

    acknowledge(ticket_id=ticket.pk, seen_seq=1, contact=duty, now=house.now + 31 * MIN, via="link")

    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert (escalation.acknowledged_contact, escalation.acknowledged_via) == (duty, "link")
    assert fresh(ticket).assignee is None


def test_somebody_who_was_not_told_at_this_seq_has_no_link(house: House) -> None:
    ticket = at_l2(house)

    with pytest.raises(NotAllowed):
        acknowledge(
            ticket_id=ticket.pk,
            seen_seq=1,
            contact=Contact.objects.get(name="Duty L3"),
            now=house.now + 31 * MIN,
            via="link",
        )


@pytest.mark.parametrize("verb", ["reply", "note", "take"])
def test_answering_or_taking_the_ticket_acknowledges(house: House, verb: str) -> None:
    ticket = at_l2(house)
    at = house.now + 31 * MIN

    match verb:
        case "reply":
            add_reply(ticket_id=ticket.pk, body="Mine.", actor=house.second, now=at)
        case "note":
            add_note(ticket_id=ticket.pk, body="Mine.", actor=house.second, now=at)
        case _:
            assign_ticket(ticket_id=ticket.pk, assignee=house.second, actor=house.second, now=at)

    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert escalation.acknowledged_by == house.second
    assert fresh(ticket).assignee == house.second
    assert Event.objects.get(ticket=ticket, kind=kinds.ACKNOWLEDGED).actor == house.second


def test_being_assigned_by_somebody_else_does_not_acknowledge(house: House) -> None:
    ticket = at_l2(house)

    assign_ticket(ticket_id=ticket.pk, assignee=house.second, actor=house.agent, now=house.now + 31 * MIN)

    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_at is None


def test_an_outsiders_note_does_not_acknowledge(house: House) -> None:
    ticket = at_l2(house)

    add_note(ticket_id=ticket.pk, body="Poor you.", actor=house.outsider, now=house.now + 31 * MIN)

    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_at is None


def test_a_second_acknowledgement_says_who_was_first(house: House) -> None:
    ticket = at_l2(house)
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 31 * MIN)

    with pytest.raises(AlreadyAcknowledged, match="Aisha"):
        acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.lead, now=house.now + 32 * MIN)


def test_i_cant_tells_the_next_one_at_once(house: House) -> None:
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = at_l2(house)

    pass_on(
        ticket_id=ticket.pk,
        seen_seq=1,
        contact=Contact.objects.get(user=house.second),
        now=house.now + 31 * MIN,
    )

    assert {a for _, _, a, _ in tellings(ticket)} == {"aisha@example.org", "duty2@example.org"}
    assert due(ticket, "next_telling") == house.now + 35 * MIN


def test_who_cant_is_not_told_again_and_when_nobody_is_left_the_fallback_is(house: House) -> None:
    ticket = at_l2(house)
    aisha, duty = Contact.objects.get(user=house.second), Contact.objects.get(name="Duty L2")

    pass_on(ticket_id=ticket.pk, seen_seq=1, contact=aisha, now=house.now + 31 * MIN)
    pass_on(ticket_id=ticket.pk, seen_seq=1, contact=aisha, now=house.now + 31 * MIN)
    assert [(r, a) for _, r, a, _ in tellings(ticket)] == [
        (1, "aisha@example.org"),
        (1, "duty2@example.org"),
        (2, "duty2@example.org"),
    ]
    pass_on(ticket_id=ticket.pk, seen_seq=1, contact=duty, now=house.now + 32 * MIN)

    assert [(r, a) for _, r, a, _ in tellings(ticket)][-1] == (3, "duty@example.org")
    tick(now=house.now + 40 * MIN)
    assert fresh(ticket).tier == 3
    assert Standing.objects.get(ticket=ticket).declined == []


def test_a_queue_tells_nobody_and_taking_is_its_acknowledgement_where_the_matrix_wants_one(
    house: House,
) -> None:
    desk, *rest = steps_for(house)
    republish(house, steps=(replace(desk, targets=dict.fromkeys(SEVERITIES, (5 * MIN, HOUR))), *rest))
    taken, untouched = house.open(), house.open()

    assign_ticket(ticket_id=taken.pk, assignee=house.agent, actor=house.agent, now=house.now + MIN)
    tick(now=house.now + 5 * MIN)

    assert fresh(taken).tier == 1
    assert fresh(untouched).tier == 2
    assert Escalation.objects.get(ticket=untouched, seq=1).trigger == "acknowledge"


# --- nobody there ---------------------------------------------------------------------------------------------


def test_a_list_that_reaches_nobody_tells_the_fallback_before_it_climbs(house: House) -> None:
    ContactMethod.objects.filter(contact__lists=house.lists[2]).update(is_active=False)

    ticket = at_l2(house)

    assert [(a) for _, _, a, _ in tellings(ticket)] == ["duty@example.org"]
    tick(now=house.now + 40 * MIN)
    assert fresh(ticket).tier == 3


def test_when_everybody_has_said_they_cant_the_fallback_is_asked_again(house: House) -> None:
    from notifications.operations import contacts_for

    steps = steps_for(house)
    republish(house, steps=(steps[0], replace(steps[1], contact_list_ids=(house.lists[2].pk,))))
    admin = contacts_for([house.admin])[house.admin.pk]
    ticket = at_l2(house)
    told = [*Contact.objects.filter(lists=house.lists[2]), house.fallback, admin]
    for minute, contact in enumerate(told, start=31):
        pass_on(ticket_id=ticket.pk, seen_seq=1, contact=contact, now=house.now + minute * MIN)

    tick(now=house.now + 39 * MIN)

    asked = [address for _, number, address, _ in tellings(ticket) if number == fresh(ticket).standing.round]
    assert asked == ["ada@example.org", "duty@example.org"]
    assert not Event.objects.filter(ticket=ticket, kind=kinds.NOBODY).exists()


def test_where_the_fallback_is_switched_off_the_admins_are_told(house: House) -> None:
    ContactMethod.objects.filter(contact__lists=house.lists[2]).update(is_active=False)
    Contact.objects.filter(pk=house.fallback.pk).update(is_active=False)
    Team.objects.update(lead=None)
    ticket = house.open()

    tick(now=house.now + 30 * MIN)

    assert [address for _, _, address, _ in tellings(ticket)] == ["ada@example.org"]
    overdue = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_LEAD)
    assert [row.address for row in overdue] == ["ada@example.org"]


def test_at_the_top_the_fallback_and_all_admins_are_told_every_interval(house: House) -> None:
    ContactMethod.objects.exclude(contact=house.fallback).update(is_active=False)
    ContactMethod.objects.filter(contact=house.fallback).update(is_active=True)
    ticket = house.open()
    from notifications.operations import contacts_for

    contacts_for([house.admin])

    run(house, 1, 58)

    top = {(r, a) for s, r, a, _ in tellings(ticket) if s == 3}
    assert {
        (1, "duty@example.org"),
        (1, "ada@example.org"),
        (2, "duty@example.org"),
        (2, "ada@example.org"),
    } <= top


# --- the top --------------------------------------------------------------------------------------------------


def test_at_the_top_the_acknowledgement_is_cleared_and_the_step_told_again(house: House) -> None:
    ticket = house.open()
    run(house, 1, 50)
    assert fresh(ticket).tier == 4
    acknowledge(ticket_id=ticket.pk, seen_seq=3, actor=house.manager, now=house.now + 51 * MIN)
    before = len(tellings(ticket))

    tick(now=house.now + 80 * MIN)

    escalation = Escalation.objects.get(ticket=ticket, seq=3)
    assert escalation.acknowledged_at is None
    assert len(tellings(ticket)) == before + 2
    assert due(ticket, "tier_time") == house.now + 110 * MIN
    assert Standing.objects.get(ticket=ticket).seq == 3
    assert Standing.objects.get(ticket=ticket).automatic_steps == 3
