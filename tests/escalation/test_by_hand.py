"""What people do by hand and ask for, sentence by sentence of DESIGN 3."""

from dataclasses import replace

import pytest

from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.engine import tick
from escalation.models import Escalation, EscalationRequest, Standing
from escalation.operations import (
    Moved,
    acknowledge,
    decline_request,
    deescalate,
    escalate,
    grant_request,
    request_escalation,
)
from notifications.models import Notification
from tests.escalation.looking import DAY, SECOND, at_l2, clock, due, fresh, tellings
from tests.house import MIN, SEVERITIES, House, republish, steps_for
from tickets.operations import (
    assign_ticket,
)

# --- by hand --------------------------------------------------------------------------------------------------


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


# --- the requester's wish -------------------------------------------------------------------------------------


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
