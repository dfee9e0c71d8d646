"""Merged: the survivor takes the highest tier and the earliest promises; the rest ends (DESIGN 3, changes)."""

import datetime as dt

import pytest

from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, Escalation, EscalationRequest, HandoffQuestion, Standing
from escalation.operations import PromiseSpec, acknowledge, consult, escalate, request_escalation, send_back
from notifications.models import Notification
from tests.escalation.looking import at_l2, clock, due, fresh, tellings
from tests.house import HOUR, MIN, SEVERITIES, House, republish
from tickets.models import Event, Status, Ticket
from tickets.operations import add_reply, change_status, declare_major, link_to_incident, merge_tickets


def merge(house: House, survivor: Ticket, *losers: Ticket, at: dt.datetime) -> None:
    merge_tickets(loser_ids=[t.pk for t in losers], survivor_id=survivor.pk, actor=house.lead, now=at)


def test_the_other_s_clocks_messages_wishes_and_questions_end(house: House) -> None:
    loser = house.open()
    escalate(ticket_id=loser.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights.")
    send_back(ticket_id=loser.pk, seen_seq=1, actor=house.second, now=house.now, question="Which?")
    consult(
        ticket_id=loser.pk, seen_seq=1, to_position=3, actor=house.second, now=house.now, question="Which?"
    )
    request_escalation(ticket_id=loser.pk, actor=house.requester, reason="Soon!", now=house.now)
    survivor = house.open()

    merge(house, survivor, loser, at=house.now + MIN)

    assert not Clock.objects.filter(ticket=loser, state__in=("running", "paused")).exists()
    assert "met" not in Clock.objects.filter(ticket=loser).values_list("state", flat=True)
    pending = Notification.objects.filter(ticket=loser, state="pending", kind__startswith="escalation.")
    assert not pending.exists()
    assert EscalationRequest.objects.get(ticket=loser).state == "overtaken"
    assert HandoffQuestion.objects.get(ticket=loser).state == "overtaken"
    row = fresh(loser)
    assert (row.next_due_at, row.tier_due_at, row.unacknowledged_since) == (None, None, None)
    for minute in range(2, 90):
        tick(now=house.now + minute * MIN)
    assert Escalation.objects.filter(ticket=loser).count() == 2


def test_the_survivor_climbs_to_the_highest_tier_in_one_step(house: House) -> None:
    loser = house.open()
    escalate(
        ticket_id=loser.pk, seen_seq=0, to_position=3, actor=house.agent, now=house.now, reason="Core down."
    )
    survivor, lower = house.open(), house.open()
    escalate(ticket_id=lower.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights.")
    at = house.now + 5 * MIN

    merge(house, survivor, loser, lower, at=at)

    row = Escalation.objects.filter(ticket=survivor).latest("seq")
    assert (row.kind, row.trigger, row.to_tier) == ("climb", "merged", 3)
    assert (fresh(survivor).tier, fresh(survivor).team) == (3, house.core)
    assert due(survivor, "acknowledge") == at + 10 * MIN
    assert [address for _, _, address, _ in tellings(survivor)] == ["duty3@example.org", "tomas@example.org"]


def test_a_survivor_that_stands_as_high_stays_where_it_is(house: House) -> None:
    survivor = at_l2(house)
    acknowledge(ticket_id=survivor.pk, seen_seq=1, actor=house.second, now=house.now + 31 * MIN)
    before = due(survivor, "tier_time")

    merge(house, survivor, house.open(at=house.now + 31 * MIN), at=house.now + 32 * MIN)

    assert (Standing.objects.get(ticket=survivor).seq, due(survivor, "tier_time")) == (1, before)
    assert fresh(survivor).assignee == house.second


def test_a_higher_severity_and_a_higher_tier_are_one_climb(house: House) -> None:
    survivor = house.open(severity=3)
    loser = house.open(severity=1)
    escalate(ticket_id=loser.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights.")

    merge(house, survivor, loser, at=house.now + MIN)

    row = fresh(survivor)
    assert (row.severity, row.tier, Standing.objects.get(ticket=survivor).seq) == (1, 2, 1)
    assert len(tellings(survivor)) == 2


def test_a_higher_severity_restarts_the_step_like_any_other_rise(house: House) -> None:
    survivor, loser = house.open(severity=3), house.open(severity=1, at=house.now + 20 * MIN)

    merge(house, survivor, loser, at=house.now + 21 * MIN)

    assert due(survivor, "tier_time") == house.now + 51 * MIN


def test_the_earliest_of_each_promise_wins_and_explains_itself(house: House) -> None:
    older = house.open()
    survivor = house.open(at=house.now + 15 * MIN)
    assert due(survivor, "resolution") == house.now + 15 * MIN + 8 * HOUR

    merge(house, survivor, older, at=house.now + 16 * MIN)

    resolution, first = clock(survivor, "resolution"), clock(survivor, "first_response")
    assert resolution is not None
    assert first is not None
    assert (resolution.due_at, resolution.started_at) == (house.now + 8 * HOUR, house.now)
    assert first.due_at == house.now + 20 * MIN
    assert fresh(survivor).next_due_at == first.due_at
    cancelled = Clock.objects.filter(ticket=survivor, state="cancelled")
    assert sorted(cancelled.values_list("kind", flat=True)) == ["first_response", "resolution"]


def test_a_later_promise_changes_nothing(house: House) -> None:
    survivor = house.open()
    later = house.open(at=house.now + 5 * MIN)
    before = set(Clock.objects.filter(ticket=survivor).values_list("pk", "due_at"))

    merge(house, survivor, later, at=house.now + 6 * MIN)

    assert set(Clock.objects.filter(ticket=survivor).values_list("pk", "due_at")) == before


def test_a_promise_that_was_kept_stays_kept(house: House) -> None:
    survivor = house.open()
    add_reply(ticket_id=survivor.pk, body="On it.", actor=house.agent, now=house.now + MIN)
    loser = house.open()

    merge(house, survivor, loser, at=house.now + 2 * MIN)

    assert clock(survivor, "first_response") is None
    assert Clock.objects.get(ticket=survivor, kind="first_response").state == "met"


def test_somebody_who_waits_for_the_next_answer_still_waits(house: House) -> None:
    survivor, loser = house.open(), house.open()
    for ticket in (survivor, loser):
        add_reply(ticket_id=ticket.pk, body="On it.", actor=house.agent, now=house.now + MIN)
    add_reply(ticket_id=loser.pk, body="And?", actor=house.requester, now=house.now + 2 * MIN)

    merge(house, survivor, loser, at=house.now + 3 * MIN)

    assert due(survivor, "next_response") == house.now + 2 * MIN + HOUR


def test_a_promise_that_stood_still_runs_on_with_what_was_left(house: House) -> None:
    loser = house.open()
    add_reply(ticket_id=loser.pk, body="Which?", actor=house.agent, now=house.now + HOUR)
    change_status(ticket_id=loser.pk, status=Status.WAITING, actor=house.agent, now=house.now + HOUR)
    survivor = house.open(at=house.now + 5 * HOUR)
    at = house.now + 5 * HOUR + MIN

    merge(house, survivor, loser, at=at)

    # 8 h less the one that was used; the survivor's own was due a minute before 13 h.
    resolution = clock(survivor, "resolution")
    assert resolution is not None
    assert resolution.due_at == at + 7 * HOUR
    assert resolution.used == HOUR
    assert resolution.pauses == [[(house.now + HOUR).isoformat(), at.isoformat()]]


def test_on_a_waiting_survivor_a_promise_taken_over_stands_still(house: House) -> None:
    survivor = house.open(at=house.now + HOUR)
    add_reply(ticket_id=survivor.pk, body="Which?", actor=house.agent, now=house.now + HOUR)
    change_status(ticket_id=survivor.pk, status=Status.WAITING, actor=house.agent, now=house.now + HOUR)
    loser = house.open()
    at = house.now + 3 * HOUR

    merge(house, survivor, loser, at=at)

    resolution = clock(survivor, "resolution")
    assert resolution is not None
    assert (resolution.state, resolution.used, resolution.due_at) == ("paused", 3 * HOUR, None)
    assert clock(survivor, "follow_up") is not None


def test_a_missed_promise_fires_once_on_the_survivor(house: House) -> None:
    republish(
        house,
        promises={s: PromiseSpec(resolution=10 * MIN) for s in SEVERITIES},
        on_resolution_due="tell_lead",
    )
    survivor = house.open()
    tick(now=house.now + 10 * MIN)
    loser = house.open(at=house.now + 10 * MIN)

    merge(house, survivor, loser, at=house.now + 11 * MIN)
    tick(now=house.now + 25 * MIN)

    assert clock(survivor, "resolution") is None
    assert Notification.objects.filter(ticket=survivor, kind=kinds.TELL_LEAD).count() == 1


@pytest.mark.parametrize("count", [2, 6])
def test_each_survivor_keeps_one_clock_per_promise(count: int, house: House) -> None:
    tickets = [house.open(at=house.now + n * MIN) for n in range(count)]

    merge(house, tickets[-1], *tickets[:-1], at=house.now + 10 * MIN)

    assert due(tickets[-1], "resolution") == house.now + 8 * HOUR
    live = Clock.objects.filter(ticket__in=tickets, state__in=("running", "paused"))
    assert set(live.values_list("ticket", flat=True)) == {tickets[-1].pk}
    assert Event.objects.filter(ticket=tickets[-1], kind="merged").count() == 1


def test_on_a_linked_survivor_an_update_that_is_overdue_stands_still(house: House) -> None:
    republish(house, promises={s: PromiseSpec(update_every=HOUR) for s in SEVERITIES})
    loser, parent = house.open(), house.open(at=house.now + 50 * MIN)
    survivor = house.open(at=house.now + 50 * MIN)
    declare_major(ticket_id=parent.pk, actor=house.agent, now=house.now + 50 * MIN)
    link_to_incident(
        ticket_ids=[survivor.pk], incident_id=parent.pk, actor=house.agent, now=house.now + 50 * MIN
    )

    merge(house, survivor, loser, at=house.now + 61 * MIN)

    update = clock(survivor, "stakeholder_update")
    assert update is not None
    assert (update.state, update.fires_at) == ("paused", None)
