"""Linked to a major incident: what it takes over, what runs on, what comes back (DESIGN 3, changes under way)."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Conflict
from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, Escalation, EscalationRequest
from escalation.operations import (
    PromiseSpec,
    acknowledge,
    deescalate,
    escalate,
    grant_request,
    pass_on,
    request_escalation,
)
from escalation.operations.incidents import follow_incidents
from notifications.models import Contact, Notification
from tests.escalation.incidents import link, major, state, unlink
from tests.escalation.looking import DAY, at_l2, due, fresh, run, tellings
from tests.house import HOUR, MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Event, Status, Ticket
from tickets.operations import (
    add_reply,
    assign_ticket,
    change_status,
    link_to_incident,
    post_update,
    set_severity,
)

SUSPENDED = ("tier_time", "acknowledge", "next_telling", "stakeholder_update")


@pytest.fixture
def cadenced(house: House) -> House:
    promises = {
        s: PromiseSpec(
            first_response=20 * MIN, next_response=HOUR, resolution=8 * HOUR, update_every=2 * HOUR
        )
        for s in SEVERITIES
    }
    republish(house, promises=promises)
    return house


def test_what_the_incident_takes_over_stands_still_and_nobody_is_told(cadenced: House) -> None:
    house = cadenced
    child = at_l2(house)
    parent = major(house, at=house.now + 31 * MIN)

    link(house, parent, child, house.now + 32 * MIN)

    assert {kind: state(child, kind) for kind in SUSPENDED} == dict.fromkeys(SUSPENDED, "paused")
    assert (state(child, "first_response"), state(child, "resolution")) == (None, "running")
    assert {told for *_, told in tellings(child)} == {"withdrawn"}
    row = fresh(child)
    assert (row.tier_due_at, row.unacknowledged_since) == (None, None)
    assert row.next_due_at == due(child, "resolution")
    run(house, 33, 80)
    assert fresh(child).tier == 2
    assert len(tellings(child)) == 2


def test_unlinking_resumes_what_was_left(cadenced: House) -> None:
    house = cadenced
    child = at_l2(house)
    parent = major(house)
    before = {kind: due(child, kind) for kind in SUSPENDED}

    link(house, parent, child, house.now + 32 * MIN)
    unlink(house, child, house.now + 92 * MIN)

    after = {kind: due(child, kind) for kind in SUSPENDED}
    assert after == {kind: at + HOUR for kind, at in before.items() if at is not None}
    assert fresh(child).unacknowledged_since == house.now + 30 * MIN
    # Two of the four minutes until the next round were used.
    tick(now=house.now + 94 * MIN)
    assert [number for _, number, *_ in tellings(child)] == [1, 1, 2, 2]
    events = Event.objects.filter(ticket=child, kind__in=(kinds.SUSPENDED, kinds.RESUMED))
    assert list(events.order_by("pk").values_list("kind", flat=True)) == [kinds.SUSPENDED, kinds.RESUMED]


def test_what_was_due_when_it_was_linked_is_due_again_when_it_is_unlinked(house: House) -> None:
    child, parent = house.open(), major(house)

    link(house, parent, child, house.now + 31 * MIN)
    tick(now=house.now + 32 * MIN)
    assert fresh(child).tier == 1
    unlink(house, child, house.now + 60 * MIN)
    tick(now=house.now + 61 * MIN)

    assert fresh(child).tier == 2


def test_the_resolution_runs_for_the_record_only(house: House) -> None:
    republish(house, promises={s: PromiseSpec(resolution=HOUR) for s in SEVERITIES})
    child, parent = house.open(), major(house)
    assign_ticket(ticket_id=child.pk, assignee=house.agent, actor=house.agent, now=house.now)
    link(house, parent, child, house.now + MIN)

    tick(now=house.now + 50 * MIN)
    tick(now=house.now + HOUR)

    assert Clock.objects.get(ticket=child, kind="resolution").state == "fired"
    events = Event.objects.filter(ticket=child, kind__in=(kinds.WARNED, kinds.DUE)).order_by("pk")
    assert [(event.kind, event.data["clock"], event.data.get("sent")) for event in events] == [
        (kinds.WARNED, "resolution", False),
        (kinds.DUE, "resolution", None),
    ]
    assert not Notification.objects.filter(ticket=child, kind__startswith="escalation.").exists()
    assert fresh(child).tier == 1


def test_an_overdue_first_response_tells_the_lead_and_moves_nothing(house: House) -> None:
    republish(house, on_first_response_due="climb")
    child, parent = house.open(), major(house)
    link(house, parent, child, house.now + MIN)

    tick(now=house.now + 20 * MIN)

    assert fresh(child).tier == 1
    assert Notification.objects.filter(ticket=child, kind=kinds.TELL_LEAD).count() == 1


def wait(house: House, child: Ticket, status: str, at: dt.datetime) -> None:
    change_status(ticket_id=child.pk, status=status, actor=None, now=at, reason="Asked.")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # waits 10..40, linked 20..30: 30 minutes in all
        ([(10, "wait"), (20, "link"), (30, "unlink"), (40, "open")], 30),
        # linked 10..40, waits 20..30
        ([(10, "link"), (20, "wait"), (30, "open"), (40, "unlink")], 30),
        # waits 10..30, linked 20..40
        ([(10, "wait"), (20, "link"), (30, "open"), (40, "unlink")], 30),
        # linked 10..30, waits 20..40
        ([(10, "link"), (20, "wait"), (30, "unlink"), (40, "open")], 30),
        # one after the other
        ([(10, "link"), (15, "unlink"), (20, "wait"), (25, "open")], 10),
    ],
)
def test_waiting_and_being_linked_compose(house: House, steps: list[tuple[int, str]], expected: int) -> None:
    republish(house, steps=_patient(house))
    parent, child = major(house), house.open()
    before = due(child, "tier_time")
    assert before is not None

    for minute, what in steps:
        _do(house, parent, child, what, house.now + minute * MIN)

    assert due(child, "tier_time") == before + expected * MIN


def _patient(house: House) -> tuple[object, ...]:
    long = dict.fromkeys(SEVERITIES, (10 * DAY, 10 * DAY))
    return tuple(replace(step, targets=long, wait=10 * DAY) for step in steps_for(house))


def _do(house: House, parent: Ticket, child: Ticket, what: str, at: dt.datetime) -> None:
    match what:
        case "link":
            link(house, parent, child, at)
        case "unlink":
            unlink(house, child, at)
        case "wait":
            wait(house, child, Status.WAITING, at)
        case "open":
            wait(house, child, Status.OPEN, at)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(1, 90), st.sampled_from(["link", "unlink", "wait", "open"])),
        min_size=1,
        max_size=10,
    )
)
def test_law_linking_and_waiting_conserve_every_budget(house: House, moves: list[tuple[int, str]]) -> None:
    republish(
        house,
        steps=_patient(house),
        promises={s: PromiseSpec(resolution=10 * DAY, update_every=10 * DAY) for s in SEVERITIES},
        follow_up_days=20,
    )
    parent, child = major(house), house.open()
    escalate(ticket_id=child.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights.")
    kinds_there = (*SUSPENDED, "resolution")
    before = {kind: due(child, kind) for kind in kinds_there}
    at, linked, waiting = house.now, False, False
    stood = dict.fromkeys(kinds_there, dt.timedelta(0))

    for minutes, what in [*moves, (1, "unlink"), (1, "open")]:
        passed = minutes * MIN
        for kind in kinds_there:
            if (linked and kind in SUSPENDED) or (waiting and kind in ("tier_time", "resolution")):
                stood[kind] += passed
        at += passed
        _do(house, parent, child, what, at)
        linked = what == "link" or (linked and what != "unlink")
        waiting = what == "wait" or (waiting and what != "open")

    assert {kind: due(child, kind) for kind in kinds_there} == {
        kind: was + stood[kind] for kind, was in before.items() if was is not None
    }


def test_a_waiting_ticket_that_is_linked_still_follows_up(house: House) -> None:
    parent, child = major(house), house.open()
    wait(house, child, Status.WAITING, house.now + MIN)
    link(house, parent, child, house.now + 2 * MIN)

    tick(now=house.now + 4 * DAY)

    assert fresh(child).status == Status.OPEN
    assert state(child, "tier_time") == "paused"


def test_a_linked_ticket_that_is_reopened_still_stands_still(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    change_status(ticket_id=child.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 33 * MIN)
    told = len(tellings(child))

    add_reply(ticket_id=child.pk, body="Still down.", actor=house.requester, now=house.now + 34 * MIN)

    assert (state(child, "tier_time"), state(child, "acknowledge")) == ("paused", "paused")
    assert state(child, "resolution") == "running"
    assert len(tellings(child)) == told
    unlink(house, child, house.now + 35 * MIN)
    tick(now=house.now + 39 * MIN)
    assert len(tellings(child)) > told


def test_a_ticket_reopened_after_its_incident_was_over_runs(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    for ticket in (child, parent):
        change_status(
            ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 33 * MIN
        )
    tick(now=house.now + 34 * MIN)

    add_reply(ticket_id=child.pk, body="Still down.", actor=house.requester, now=house.now + 35 * MIN)

    assert due(child, "tier_time") == house.now + 65 * MIN


def test_a_risen_severity_restarts_the_step_but_lets_it_stand_still(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    told = len(tellings(child))

    set_severity(
        ticket_id=child.pk, severity=1, actor=house.agent, now=house.now + 33 * MIN, reason="All offices."
    )

    assert (state(child, "tier_time"), state(child, "acknowledge")) == ("paused", "paused")
    assert len(tellings(child)) == told
    unlink(house, child, house.now + 50 * MIN)
    assert due(child, "tier_time") == house.now + 80 * MIN


def test_a_step_that_was_reached_while_linked_is_told_when_it_is_unlinked(house: House) -> None:
    steps = steps_for(house)
    skips = replace(steps[0], skip_when={"severities": [1]})
    republish(house, steps=(skips, *steps[1:]))
    parent, child = major(house), house.open()
    link(house, parent, child, house.now + MIN)
    set_severity(
        ticket_id=child.pk, severity=1, actor=house.agent, now=house.now + 2 * MIN, reason="All offices."
    )
    assert (fresh(child).tier, tellings(child)) == (2, [])

    unlink(house, child, house.now + 10 * MIN)

    assert [(number, told) for _, number, _, told in tellings(child)] == [(1, "pending"), (1, "pending")]
    assert due(child, "next_telling") == house.now + 14 * MIN


def test_a_step_that_began_again_while_linked_is_told_when_it_runs_on(house: House) -> None:
    steps = steps_for(house)
    # Told once, and no acknowledgement is wanted: nothing would tell it later.
    once = replace(steps[1], rounds=1, targets=dict.fromkeys(SEVERITIES, (None, 30 * MIN)))
    republish(house, steps=(steps[0], once, *steps[2:]))
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    change_status(ticket_id=child.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 33 * MIN)
    add_reply(ticket_id=child.pk, body="Still down.", actor=house.requester, now=house.now + 34 * MIN)
    assert len(tellings(child)) == 2

    unlink(house, child, house.now + 40 * MIN)
    assert [number for _, number, *_ in tellings(child)] == [1, 1, 2, 2]
    tick(now=house.now + 44 * MIN)

    assert (len(tellings(child)), state(child, "next_telling")) == (4, None)


@pytest.mark.parametrize(
    ("sent", "rounds"), [(False, [1, 1, 2, 2]), (True, [1, 1])], ids=["withdrawn", "went out before"]
)
def test_who_was_to_be_told_once_is_told_when_it_runs_on_unless_they_have_heard(
    house: House, sent: bool, rounds: list[int]
) -> None:
    steps = steps_for(house)
    once = replace(steps[1], rounds=1, targets=dict.fromkeys(SEVERITIES, (None, 30 * MIN)))
    republish(house, steps=(steps[0], once, *steps[2:]))
    parent, child = major(house), at_l2(house)
    assert state(child, "next_telling") is None
    if sent:
        Notification.objects.filter(ticket=child, round=1).update(state="sent", sent_at=house.now + 31 * MIN)
    link(house, parent, child, house.now + 32 * MIN)

    unlink(house, child, house.now + 40 * MIN)

    assert [number for _, number, *_ in tellings(child)] == rounds


def test_after_the_wait_that_stood_still_the_next_one_is_a_whole_one(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 33 * MIN)
    unlink(house, child, house.now + 50 * MIN)

    tick(now=house.now + 51 * MIN)

    assert due(child, "next_telling") == house.now + 55 * MIN


def test_by_hand_nothing_moves_while_the_incident_goes_on_for_it(house: House) -> None:
    parent, child = major(house), at_l2(house)
    wish = request_escalation(
        ticket_id=child.pk, actor=house.requester, reason="Soon!", now=house.now + 31 * MIN
    )
    at = house.now + 33 * MIN
    link(house, parent, child, house.now + 32 * MIN)

    with pytest.raises(Conflict, match=f"major incident #{parent.pk}"):
        escalate(ticket_id=child.pk, seen_seq=1, actor=house.agent, now=at, reason="Now.")
    with pytest.raises(Conflict, match="major incident"):
        deescalate(ticket_id=child.pk, seen_seq=1, to_position=1, actor=house.lead, now=at, reason="Back.")
    with pytest.raises(Conflict, match="major incident"):
        grant_request(request_id=wish.pk, actor=house.lead, now=at)
    other = house.open()
    link(house, parent, other, at)
    with pytest.raises(Conflict, match="larger incident"):
        request_escalation(ticket_id=other.pk, actor=house.requester, reason="Soon!", now=at)


def test_a_wish_that_was_open_when_it_was_linked_waits_for_the_lead(house: House) -> None:
    parent, child = major(house), at_l2(house)
    request_escalation(ticket_id=child.pk, actor=house.requester, reason="Soon!", now=house.now + 31 * MIN)
    link(house, parent, child, house.now + 32 * MIN)

    tick(now=house.now + 41 * MIN)

    assert fresh(child).tier == 2
    assert EscalationRequest.objects.get(ticket=child).state == "open"
    assert Notification.objects.filter(ticket=child, kind=kinds.TELL_REQUEST).count() == 2


def test_a_linked_ticket_may_be_acknowledged_and_passed_on_without_telling_anybody(house: House) -> None:
    parent, child = major(house), at_l2(house)
    link(house, parent, child, house.now + 32 * MIN)
    told = len(tellings(child))

    pass_on(
        ticket_id=child.pk,
        seen_seq=1,
        contact=Contact.objects.get(name="Duty L2"),
        now=house.now + 33 * MIN,
    )
    acknowledge(ticket_id=child.pk, seen_seq=1, actor=house.second, now=house.now + 34 * MIN)
    unlink(house, child, house.now + 35 * MIN)

    assert (len(tellings(child)), state(child, "acknowledge"), state(child, "next_telling")) == (
        told,
        None,
        None,
    )
    assert state(child, "tier_time") == "running"


def test_the_incident_itself_climbs_and_tells_as_ever(house: House) -> None:
    parent, child = major(house), house.open()
    link(house, parent, child, house.now + MIN)

    tick(now=house.now + 30 * MIN)

    assert (fresh(parent).tier, fresh(child).tier) == (2, 1)
    assert Escalation.objects.get(ticket=parent, seq=1).trigger == "tier_time"


def test_many_linked_tickets_cost_as_many_queries_as_few(house: House) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(count: int) -> int:
        parent = major(house)
        children = [house.open() for _ in range(count)]
        with CaptureQueriesContext(connection) as captured:
            link_to_incident(
                ticket_ids=[c.pk for c in children], incident_id=parent.pk, actor=house.agent, now=house.now
            )
            post_update(ticket_id=parent.pk, body="We know.", actor=house.agent, now=house.now + MIN)
            follow_incidents(now=house.now + 2 * MIN)
        return len(captured)

    few, many = queries(2), queries(12)

    assert many <= few + 2
