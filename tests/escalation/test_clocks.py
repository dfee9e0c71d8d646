"""Clocks, promises and waiting, sentence by sentence of DESIGN 3."""

import datetime as dt
from dataclasses import replace

import pytest

from core.errors import Refused
from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, Escalation
from escalation.operations import (
    PromiseSpec,
)
from notifications.models import Notification
from tests.escalation.looking import DAY, SECOND, clock, due, fresh, run
from tests.house import HOUR, MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Event, Status
from tickets.operations import (
    add_note,
    add_reply,
    assign_ticket,
    change_status,
    post_update,
)

# --- clocks ---------------------------------------------------------------------------------------------------


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


# --- promises -------------------------------------------------------------------------------------------------


def test_a_public_answer_keeps_the_first_response_and_a_note_does_not(house: House) -> None:
    ticket = house.open()

    add_note(ticket_id=ticket.pk, body="Hm.", actor=house.agent, now=house.now + MIN)
    assert clock(ticket, "first_response") is not None
    add_reply(ticket_id=ticket.pk, body="We look.", actor=house.agent, now=house.now + 2 * MIN)

    assert Clock.objects.get(ticket=ticket, kind="first_response").state == "met"


def test_an_answer_that_resolves_the_ticket_keeps_the_first_response(house: House) -> None:
    ticket = house.open()

    add_reply(
        ticket_id=ticket.pk,
        body="Fixed.",
        actor=house.agent,
        now=house.now + MIN,
        then_status=Status.RESOLVED,
    )

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


# --- waiting --------------------------------------------------------------------------------------------------


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


def test_a_ticket_that_climbs_at_its_follow_up_still_tells_who_owned_it(house: House) -> None:
    desk, *above = steps_for(house)
    desk = replace(desk, targets=dict.fromkeys(SEVERITIES, (None, DAY)))
    republish(house, follow_up_days=1, steps=(desk, *above))
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=house.now)
    change_status(ticket_id=ticket.pk, status=Status.HOLD, actor=house.agent, now=house.now, reason="Vendor.")

    tick(now=house.now + DAY)

    assert fresh(ticket).tier == 2
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
