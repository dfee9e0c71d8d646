"""DESIGN 3, sentence by sentence, against the real operations and engine on PostgreSQL."""

import datetime as dt
from dataclasses import replace

import pytest

from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, Escalation, EscalationRequest, Standing
from escalation.operations import (
    AlreadyAcknowledged,
    Moved,
    PromiseSpec,
    acknowledge,
    decline_request,
    deescalate,
    escalate,
    grant_request,
    pass_on,
    publish_path,
    request_escalation,
)
from notifications.models import Contact, ContactListEntry, ContactMethod, Notification
from tests.house import HOUR, MIN, SEVERITIES, House, default_spec, republish, steps_for
from tickets.models import Category, Event, Service, Status, Ticket
from tickets.operations import (
    add_note,
    add_reply,
    assign_ticket,
    change_status,
    post_update,
    set_details,
    set_severity,
)

SECOND = dt.timedelta(seconds=1)
DAY = 24 * HOUR


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.get(pk=ticket.pk)


def clock(ticket: Ticket, kind: str) -> Clock | None:
    return Clock.objects.filter(ticket=ticket, kind=kind, state__in=("running", "paused")).first()


def due(ticket: Ticket, kind: str) -> dt.datetime | None:
    found = clock(ticket, kind)
    return found.due_at if found is not None else None


def tellings(ticket: Ticket) -> list[tuple[int, int, str, str]]:
    rows = Notification.objects.filter(ticket=ticket, round__isnull=False)
    return sorted(rows.values_list("seq", "round", "address", "state"))


def run(house: House, start: int, stop: int) -> None:
    """Tick every minute from `start` to `stop` (minutes after the house was built)."""
    for minute in range(start, stop + 1):
        tick(now=house.now + minute * MIN)


def at_l2(house: House, **more: object) -> Ticket:
    ticket = house.open(**more)
    tick(now=house.now + 30 * MIN)
    return fresh(ticket)


# --- clocks -------------------------------------------------------------------------------------------------------


def test_new_clocks_start_where_the_old_one_was_due_when_the_engine_was_punctual(house: House) -> None:
    ticket = house.open()

    tick(now=house.now + 30 * MIN + 59 * SECOND)

    assert due(ticket, "tier_time") == house.now + 60 * MIN
    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert escalation.late_by == 59 * SECOND


def test_after_an_outage_a_ticket_climbs_one_step_and_the_next_tier_has_its_full_time(house: House) -> None:
    ticket = house.open()
    late = house.now + 6 * HOUR

    tick(now=late)

    assert fresh(ticket).tier == 2
    assert due(ticket, "tier_time") == late + 30 * MIN
    assert due(ticket, "acknowledge") == late + 10 * MIN
    assert Escalation.objects.get(ticket=ticket, seq=1).late_by == 6 * HOUR - 30 * MIN


def test_a_warning_goes_to_the_owner_at_three_quarters_of_the_time(house: House) -> None:
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)

    tick(now=house.now + dt.timedelta(minutes=22, seconds=30))

    warning = Event.objects.get(ticket=ticket, kind=kinds.WARNED, data__clock="tier_time")
    assert warning.data["sent"]
    sent = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_OWNER, context__clock="tier_time")
    assert [row.address for row in sent] == ["piet@example.org"]
    tick(now=house.now + 23 * MIN)
    assert Event.objects.filter(ticket=ticket, kind=kinds.WARNED, data__clock="tier_time").count() == 1


def test_a_warning_whose_deadline_has_passed_is_recorded_not_sent(house: House) -> None:
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)

    tick(now=house.now + 31 * MIN)

    warned = Event.objects.filter(ticket=ticket, kind=kinds.WARNED, data__clock="tier_time")
    assert [event.data["sent"] for event in warned] == [False]
    assert not Notification.objects.filter(
        ticket=ticket, kind=kinds.TELL_OWNER, context__clock="tier_time"
    ).exists()


def test_editing_the_path_never_moves_a_running_clock(house: House) -> None:
    ticket = house.open()
    before = due(ticket, "tier_time")

    republish(
        house,
        steps=tuple(
            replace(step, targets=dict.fromkeys(SEVERITIES, (MIN, MIN))) for step in steps_for(house)
        ),
    )

    assert due(ticket, "tier_time") == before
    tick(now=house.now + 30 * MIN)
    # The ticket stays on the version it entered.
    assert due(ticket, "tier_time") == house.now + 60 * MIN


def test_all_that_is_due_is_decided_together_as_one_step(house: House) -> None:
    promises = {s: PromiseSpec(resolution=30 * MIN) for s in SEVERITIES}
    republish(house, promises=promises)
    ticket = house.open()

    tick(now=house.now + 30 * MIN)

    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert escalation.trigger == "tier_time"
    assert [c["kind"] for c in escalation.co_triggers] == ["resolution"]
    run(house, 30, 39)
    assert fresh(ticket).tier == 2


# --- promises -----------------------------------------------------------------------------------------------------


def test_a_public_answer_keeps_the_first_response_and_a_note_does_not(house: House) -> None:
    ticket = house.open()

    add_note(ticket_id=ticket.pk, body="Hm.", actor=house.agent, now=house.now + MIN)
    assert clock(ticket, "first_response") is not None
    add_reply(ticket_id=ticket.pk, body="We look.", actor=house.agent, now=house.now + 2 * MIN)

    assert Clock.objects.get(ticket=ticket, kind="first_response").state == "met"


def test_a_customer_who_writes_again_is_promised_the_next_response(house: House) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="We look.", actor=house.agent, now=house.now + MIN)

    add_reply(ticket_id=ticket.pk, body="And?", actor=house.requester, now=house.now + 10 * MIN)

    assert due(ticket, "next_response") == house.now + 70 * MIN


def test_a_missed_first_response_tells_the_lead_once(house: House) -> None:
    ticket = house.open()

    tick(now=house.now + 20 * MIN)
    tick(now=house.now + 21 * MIN)

    told = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_LEAD)
    assert [row.address for row in told] == ["lena@example.org"]
    assert fresh(ticket).tier == 1


def test_a_missed_resolution_climbs_where_the_path_says_so(house: House) -> None:
    republish(house, promises={s: PromiseSpec(resolution=10 * MIN) for s in SEVERITIES})
    ticket = house.open()

    tick(now=house.now + 10 * MIN)

    assert Escalation.objects.get(ticket=ticket, seq=1).trigger == "resolution"


def test_an_overdue_update_reminds_the_owner_then_the_lead_then_involves_management(house: House) -> None:
    long = dict.fromkeys(SEVERITIES, (None, 10 * DAY))
    desk, *_, board = steps_for(house)
    republish(
        house,
        steps=(
            replace(desk, targets=long),
            replace(board, targets=dict.fromkeys(SEVERITIES, (HOUR, 10 * DAY))),
        ),
        promises={s: PromiseSpec(update_every=20 * MIN) for s in SEVERITIES},
    )
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)

    tick(now=house.now + 20 * MIN)
    owner = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_OWNER, context__what="due")
    assert [row.address for row in owner] == ["piet@example.org"]
    tick(now=house.now + 40 * MIN)
    lead = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_LEAD)
    assert [row.address for row in lead] == ["lena@example.org"]
    tick(now=house.now + 60 * MIN)

    assert Escalation.objects.get(ticket=ticket, seq=1).trigger == "stakeholder_update"
    ticket = fresh(ticket)
    # Involving raises the tier; the team and the person at work stay.
    assert (ticket.tier, ticket.team, ticket.assignee) == (4, house.desk, house.agent)


def test_an_update_in_time_starts_the_cadence_anew(house: House) -> None:
    republish(house, promises={s: PromiseSpec(update_every=20 * MIN) for s in SEVERITIES})
    ticket = house.open()

    post_update(ticket_id=ticket.pk, body="Still on it.", actor=house.agent, now=house.now + 15 * MIN)

    assert due(ticket, "stakeholder_update") == house.now + 35 * MIN


# --- waiting ------------------------------------------------------------------------------------------------------


def test_waiting_needs_a_public_answer_first(house: House) -> None:
    ticket = house.open()

    with pytest.raises(Refused, match="public reply"):
        change_status(ticket_id=ticket.pk, status=Status.WAITING, actor=house.agent, now=house.now)


def test_on_hold_needs_a_reason(house: House) -> None:
    ticket = house.open()

    with pytest.raises(Refused, match="reason"):
        change_status(ticket_id=ticket.pk, status=Status.HOLD, actor=house.agent, now=house.now)


def test_waiting_pauses_resolution_and_tier_time_and_time_used_stays_used(house: House) -> None:
    ticket = house.open()
    add_reply(
        ticket_id=ticket.pk,
        body="Which office?",
        actor=house.agent,
        now=house.now + 10 * MIN,
        then_status=Status.WAITING,
    )
    states = dict(
        Clock.objects.filter(ticket=ticket, state__in=("running", "paused")).values_list("kind", "state")
    )
    assert states == {"tier_time": "paused", "resolution": "paused", "follow_up": "running"}
    assert fresh(ticket).tier_due_at is None

    add_reply(ticket_id=ticket.pk, body="Madrid.", actor=house.requester, now=house.now + 5 * HOUR)

    assert fresh(ticket).status == Status.OPEN
    assert due(ticket, "tier_time") == house.now + 5 * HOUR + 20 * MIN
    assert due(ticket, "resolution") == house.now + 5 * HOUR + 8 * HOUR - 10 * MIN
    assert clock(ticket, "follow_up") is None


def test_a_waiting_ticket_comes_back_after_the_follow_up_and_its_owner_is_told(house: House) -> None:
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=house.now)
    add_reply(ticket_id=ticket.pk, body="?", actor=house.agent, now=house.now, then_status=Status.WAITING)
    follow_up = due(ticket, "follow_up")
    assert follow_up == house.now + 3 * DAY

    tick(now=follow_up)

    assert fresh(ticket).status == Status.OPEN
    assert due(ticket, "tier_time") == follow_up + 30 * MIN
    told = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_OWNER, context__what="follow_up")
    assert [row.address for row in told] == ["piet@example.org"]


def test_on_hold_pauses_only_when_the_path_says_so(house: House) -> None:
    running = house.open()
    republish(house, hold_pauses=True)
    standing_still = house.open()

    for ticket in (running, standing_still):
        change_status(
            ticket_id=ticket.pk, status=Status.HOLD, actor=house.agent, now=house.now, reason="Vendor."
        )

    assert clock(running, "tier_time").state == "running"
    assert clock(standing_still, "tier_time").state == "paused"
    assert clock(running, "follow_up") is not None


def test_a_deadline_missed_before_the_pause_stays_missed(house: House) -> None:
    ticket = house.open()
    add_reply(
        ticket_id=ticket.pk,
        body="?",
        actor=house.outsider,
        now=house.now + 31 * MIN,
        then_status=Status.WAITING,
    )

    tick(now=house.now + 32 * MIN)

    assert fresh(ticket).tier == 2


# --- telling and acknowledging ------------------------------------------------------------------------------------


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


# --- nobody there -------------------------------------------------------------------------------------------------


def test_a_list_that_reaches_nobody_tells_the_fallback_before_it_climbs(house: House) -> None:
    ContactMethod.objects.filter(contact__lists=house.lists[2]).update(is_active=False)

    ticket = at_l2(house)

    assert [(a) for _, _, a, _ in tellings(ticket)] == ["duty@example.org"]
    tick(now=house.now + 40 * MIN)
    assert fresh(ticket).tier == 3


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


# --- the top ------------------------------------------------------------------------------------------------------


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


# --- by hand ------------------------------------------------------------------------------------------------------


def test_any_agent_escalates_any_ticket_with_a_reason_and_a_handoff(house: House) -> None:
    ticket = house.open()

    escalation = escalate(
        ticket_id=ticket.pk,
        seen_seq=0,
        actor=house.outsider,
        now=house.now + MIN,
        reason="Needs core access.",
        handoff={"impact": "46 people", "tried": "Rebooted"},
    )

    assert (escalation.seq, escalation.trigger, escalation.to_tier) == (1, "agent", 2)
    assert escalation.handoff is not None
    assert escalation.handoff.fields == {"impact": "46 people", "tried": "Rebooted"}
    assert len(tellings(ticket)) == 2


def test_a_stale_seq_changes_nothing_and_says_where_the_ticket_is(house: House) -> None:
    ticket = at_l2(house)

    with pytest.raises(Moved, match="Network since 3 s") as moved:
        escalate(
            ticket_id=ticket.pk,
            seen_seq=0,
            actor=house.agent,
            now=house.now + 30 * MIN + 3 * SECOND,
            reason="Again.",
        )

    assert (moved.value.seq, moved.value.tier) == (1, 2)
    assert fresh(ticket).tier == 2


def test_skipping_steps_is_one_climb(house: House) -> None:
    ticket = house.open()

    escalate(
        ticket_id=ticket.pk, seen_seq=0, to_position=3, actor=house.agent, now=house.now, reason="Core down."
    )

    assert fresh(ticket).tier == 3
    assert Standing.objects.get(ticket=ticket).seq == 1


@pytest.mark.parametrize(("target", "reason"), [(1, "x"), (9, "x"), (None, "")])
def test_a_climb_that_makes_no_sense_is_refused(house: House, target: int | None, reason: str) -> None:
    ticket = house.open()

    with pytest.raises(Refused):
        escalate(
            ticket_id=ticket.pk,
            seen_seq=0,
            to_position=target,
            actor=house.agent,
            now=house.now,
            reason=reason,
        )


def test_the_current_team_hands_back_once_and_then_a_lead_confirms(house: House) -> None:
    ticket = at_l2(house)
    at = house.now + 35 * MIN

    deescalate(
        ticket_id=ticket.pk, seen_seq=1, to_position=1, actor=house.second, now=at, reason="Known fix 12."
    )

    assert (fresh(ticket).tier, fresh(ticket).team) == (1, house.desk)
    assert due(ticket, "tier_time") == at + 30 * MIN
    escalate(ticket_id=ticket.pk, seen_seq=2, actor=house.agent, now=at, reason="Fix 12 did not help.")
    with pytest.raises(NotAllowed, match="lead"):
        deescalate(
            ticket_id=ticket.pk, seen_seq=3, to_position=1, actor=house.second, now=at, reason="Try 13."
        )
    deescalate(ticket_id=ticket.pk, seen_seq=3, to_position=1, actor=house.lead, now=at, reason="Agreed.")
    assert fresh(ticket).tier == 1


def test_other_teams_hand_nothing_back(house: House) -> None:
    ticket = at_l2(house)

    with pytest.raises(NotAllowed):
        deescalate(
            ticket_id=ticket.pk, seen_seq=1, to_position=1, actor=house.outsider, now=house.now, reason="No."
        )


# --- the requester's wish -----------------------------------------------------------------------------------------


def test_a_wish_is_asked_once_per_step_and_goes_to_the_lead(house: House) -> None:
    ticket = house.open()

    request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Orders stop.", now=house.now)

    told = Notification.objects.filter(ticket=ticket, kind=kinds.TELL_REQUEST)
    assert [row.address for row in told] == ["lena@example.org"]
    with pytest.raises(Conflict):
        request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Please!", now=house.now)


def test_a_granted_wish_climbs(house: House) -> None:
    ticket = house.open()
    request = request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Stop.", now=house.now)

    grant_request(request_id=request.pk, actor=house.lead, now=house.now + MIN)

    assert Escalation.objects.get(ticket=ticket, seq=1).trigger == "requester"
    request.refresh_from_db()
    assert request.state == "granted"


def test_a_declined_wish_tells_the_requester_why(house: House) -> None:
    ticket = house.open()
    request = request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Stop.", now=house.now)

    decline_request(request_id=request.pk, actor=house.lead, reason="Fix at noon.", now=house.now + MIN)

    assert fresh(ticket).tier == 1
    assert clock(ticket, "request") is None
    told = Notification.objects.get(ticket=ticket, kind=kinds.TELL_ANSWER)
    assert told.address == house.requester.email
    with pytest.raises(Conflict):
        grant_request(request_id=request.pk, actor=house.lead, now=house.now + 2 * MIN)


def test_an_unanswered_wish_climbs_but_never_into_management_by_itself(house: House) -> None:
    long = dict.fromkeys(SEVERITIES, (30 * MIN, 10 * DAY))
    republish(house, steps=tuple(replace(step, targets=long) for step in steps_for(house)))
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=house.now)
    request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Stop.", now=house.now)

    tick(now=house.now + 30 * MIN)

    assert fresh(ticket).tier == 2
    assert EscalationRequest.objects.get(ticket=ticket, seq=0).state == "expired"
    escalate(ticket_id=ticket.pk, seen_seq=1, actor=house.agent, now=house.now + 31 * MIN, reason="Core.")
    acknowledge(ticket_id=ticket.pk, seen_seq=2, actor=house.third, now=house.now + 31 * MIN)
    request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Still.", now=house.now + 31 * MIN)
    tick(now=house.now + 61 * MIN)
    tick(now=house.now + 91 * MIN)
    assert fresh(ticket).tier == 3
    assert Notification.objects.filter(ticket=ticket, kind=kinds.TELL_REQUEST).count() == 4


# --- changes under way --------------------------------------------------------------------------------------------


def test_a_risen_severity_restarts_the_step_and_recomputes_promises_from_their_start(house: House) -> None:
    steps = steps_for(house)
    tight = {
        1: (5 * MIN, 10 * MIN),
        2: (10 * MIN, 30 * MIN),
        3: (10 * MIN, 30 * MIN),
        4: (10 * MIN, 30 * MIN),
    }
    promises = {s: PromiseSpec(resolution=(2 if s == 1 else 8) * HOUR) for s in SEVERITIES}
    republish(house, steps=(replace(steps[0], targets=tight), *steps[1:]), promises=promises)
    ticket = house.open()

    set_severity(
        ticket_id=ticket.pk, severity=1, actor=house.agent, now=house.now + 20 * MIN, reason="All offices."
    )

    assert due(ticket, "tier_time") == house.now + 30 * MIN
    assert due(ticket, "resolution") == house.now + 2 * HOUR


def test_lowering_the_severity_lowers_no_tier_and_moves_no_step_clock(house: House) -> None:
    ticket = at_l2(house, severity=1)
    before = due(ticket, "tier_time")

    set_severity(
        ticket_id=ticket.pk, severity=4, actor=house.agent, now=house.now + 31 * MIN, reason="One desk."
    )

    assert fresh(ticket).tier == 2
    assert due(ticket, "tier_time") == before


def test_another_service_chooses_the_path_anew_at_the_same_tier_or_above(house: House) -> None:
    service = Service.objects.create(name="Payments")
    spec = default_spec(house)
    other = replace(
        spec,
        name="Payments",
        is_default=False,
        position=1,
        conditions={"services": [service.pk]},
        steps=tuple(replace(step, name=f"Pay {step.name}") for step in spec.steps),
    )
    publish_path(path_id=None, spec=other, actor=house.admin, now=house.now)
    ticket = at_l2(house)

    set_details(
        ticket_id=ticket.pk, changes={"service": service}, actor=house.agent, now=house.now + 31 * MIN
    )

    standing = Standing.objects.get(ticket=ticket)
    assert (standing.version.path.name, standing.step.name, standing.seq) == ("Payments", "Pay Network", 2)
    assert Escalation.objects.get(ticket=ticket, seq=2).kind == "remap"
    assert due(ticket, "tier_time") == house.now + 61 * MIN
    assert due(ticket, "resolution") == house.now + 8 * HOUR


def test_conditions_may_skip_steps_as_one_climb(house: House) -> None:
    steps = steps_for(house)
    skip = {"severities": [1]}
    republish(house, steps=(*(replace(s, skip_when=skip) for s in steps[:2]), *steps[2:]))

    ticket = house.open(severity=1)

    assert fresh(ticket).tier == 3
    rows = Escalation.objects.filter(ticket=ticket).order_by("seq").values_list("seq", "kind", "trigger")
    assert list(rows) == [(0, "entered", "opened"), (1, "climb", "path")]
    assert {a for _, _, a, _ in tellings(ticket)} == {"tomas@example.org", "duty3@example.org"}


def test_a_detail_that_no_path_asks_for_changes_no_step(house: House) -> None:
    ticket = at_l2(house)
    category = Category.objects.create(name="Network")

    set_details(
        ticket_id=ticket.pk, changes={"category": category}, actor=house.agent, now=house.now + 31 * MIN
    )

    assert Standing.objects.get(ticket=ticket).seq == 1


def test_resolving_stops_every_clock_and_withdraws_what_is_pending(house: House) -> None:
    ticket = at_l2(house)

    change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.second, now=house.now + 31 * MIN)

    assert not Clock.objects.filter(ticket=ticket, state__in=("running", "paused")).exists()
    assert {state for *_, state in tellings(ticket)} == {"withdrawn"}
    assert fresh(ticket).next_due_at is None
    run(house, 32, 70)
    assert fresh(ticket).tier == 2


def test_a_reopened_ticket_returns_to_the_last_step_that_transfers_with_full_time(house: House) -> None:
    ticket = house.open()
    run(house, 1, 50)
    assert fresh(ticket).tier == 4
    assign_ticket(ticket_id=ticket.pk, assignee=house.third, actor=house.lead, now=house.now + 51 * MIN)
    change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.third, now=house.now + 52 * MIN)
    at = house.now + 3 * HOUR

    add_reply(ticket_id=ticket.pk, body="It is back.", actor=house.requester, now=at)

    ticket = fresh(ticket)
    assert (ticket.tier, ticket.status, ticket.assignee, ticket.reopened_count) == (3, "open", house.third, 1)
    assert due(ticket, "tier_time") == at + 30 * MIN
    # 8 h less the 52 minutes used
    assert due(ticket, "resolution") == at + 8 * HOUR - 52 * MIN
    last = Escalation.objects.filter(ticket=ticket).latest("seq")
    assert (last.kind, last.trigger) == ("return", "reopened")
    assert {a for s, _, a, _ in tellings(ticket) if s == last.seq} == {
        "tomas@example.org",
        "duty3@example.org",
    }


def test_a_breach_never_fires_twice(house: House) -> None:
    republish(
        house,
        promises={s: PromiseSpec(resolution=10 * MIN) for s in SEVERITIES},
        on_resolution_due="tell_lead",
    )
    ticket = house.open()
    tick(now=house.now + 10 * MIN)
    change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 11 * MIN)
    change_status(ticket_id=ticket.pk, status=Status.OPEN, actor=house.agent, now=house.now + 12 * MIN)

    run(house, 13, 40)

    assert Notification.objects.filter(ticket=ticket, kind=kinds.TELL_LEAD).count() == 1


def test_automatic_replies_never_reopen(house: House) -> None:
    ticket = house.open()
    change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + MIN)

    add_reply(
        ticket_id=ticket.pk,
        body="Out of office.",
        actor=house.requester,
        now=house.now + 2 * MIN,
        automatic=True,
    )

    assert fresh(ticket).status == Status.RESOLVED


def test_the_engine_costs_the_same_for_many_tickets(house: House) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(count: int, at: dt.datetime) -> int:
        for _ in range(count):
            house.open(at=at)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            tick(now=at + 30 * MIN)
        return len(captured)

    few = queries(3, house.now)
    many = queries(30, house.now + DAY)
    assert many <= few + 8
