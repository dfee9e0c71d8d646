"""The engine climbs, tells and stops as DESIGN 3 says; time is passed in."""

import datetime as dt

from escalation.engine import tick
from escalation.models import Clock, Escalation
from escalation.operations import acknowledge
from notifications.models import Notification
from tests.house import HOUR, MIN, House
from tickets.models import Event, Ticket

SECOND = dt.timedelta(seconds=1)


def told(ticket: Ticket, seq: int) -> list[tuple[int, str]]:
    rows = Notification.objects.filter(ticket=ticket, seq=seq, round__isnull=False)
    return sorted(rows.values_list("round", "address"))


def at_tier(ticket: Ticket) -> int:
    ticket.refresh_from_db()
    return ticket.tier


def test_a_new_ticket_sits_at_the_first_step_with_a_clock(house: House) -> None:
    ticket = house.open(severity=1)

    ticket.refresh_from_db()
    assert (ticket.tier, ticket.team, ticket.severity) == (1, house.desk, 1)
    assert ticket.tier_due_at == house.now + 30 * MIN
    kinds = set(Clock.objects.filter(ticket=ticket).values_list("kind", flat=True))
    assert kinds == {"tier_time", "first_response", "resolution"}
    assert not Notification.objects.filter(ticket=ticket, round__isnull=False).exists()


def test_nothing_happens_before_the_deadline(house: House) -> None:
    ticket = house.open(severity=1)

    tick(now=house.now + 30 * MIN - SECOND)

    assert at_tier(ticket) == 1


def test_when_the_time_at_a_tier_runs_out_the_ticket_climbs_and_the_next_list_is_told(house: House) -> None:
    ticket = house.open(severity=1)

    tick(now=house.now + 30 * MIN)

    ticket.refresh_from_db()
    assert (ticket.tier, ticket.team, ticket.assignee) == (2, house.network, None)
    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert (escalation.trigger, escalation.late_by) == ("tier_time", dt.timedelta(0))
    assert told(ticket, 1) == [(1, "aisha@example.org"), (1, "duty2@example.org")]
    assert ticket.unacknowledged_since == house.now + 30 * MIN


def test_an_untouched_ticket_climbs_to_management_each_step_on_its_due(house: House) -> None:
    ticket = house.open(severity=1)
    seen = []

    for minute in range(80):
        tick(now=house.now + minute * MIN + SECOND)
        seen.append(at_tier(ticket))

    # 30 min at L1, then 10 min to acknowledge at L2 and at L3
    assert seen.index(2) == 30
    assert seen.index(3) == 40
    assert seen.index(4) == 50
    assert told(ticket, 1) == sorted(
        (round_number, address)
        for round_number in (1, 2, 3)
        for address in ("aisha@example.org", "duty2@example.org")
    )


def test_after_an_acknowledgement_nobody_else_is_told_until_the_time_at_the_tier_is_over(
    house: House,
) -> None:
    ticket = house.open(severity=1)
    tick(now=house.now + 30 * MIN)

    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 31 * MIN)
    for minute in range(31, 60):
        tick(now=house.now + minute * MIN)

    ticket.refresh_from_db()
    assert (ticket.tier, ticket.assignee, ticket.unacknowledged_since) == (2, house.second, None)
    assert len(told(ticket, 1)) == 2
    tick(now=house.now + HOUR)
    assert at_tier(ticket) == 3


def test_the_timeline_is_a_chain_that_verifies(house: House) -> None:
    ticket = house.open(severity=1)
    tick(now=house.now + 30 * MIN)

    events = list(Event.objects.filter(ticket=ticket).order_by("seq"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ticket.refresh_from_db()
    assert bytes(events[-1].hash) == bytes(ticket.event_hash)
