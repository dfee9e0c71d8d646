"""Changes under way, sentence by sentence of DESIGN 3."""

import datetime as dt
from dataclasses import replace

from escalation import kinds
from escalation.engine import tick
from escalation.models import Clock, Escalation, Standing
from escalation.operations import (
    PromiseSpec,
    publish_path,
)
from notifications.models import Notification
from tests.escalation.looking import DAY, at_l2, due, fresh, run, tellings
from tests.house import HOUR, MIN, SEVERITIES, House, default_spec, republish, steps_for
from tickets.models import Category, Service, Status
from tickets.operations import (
    add_reply,
    assign_ticket,
    change_status,
    set_details,
    set_severity,
)

# --- changes under way ----------------------------------------------------------------------------------------


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


def test_a_ticket_resolved_while_it_waited_stood_still_once_and_counts_on_when_reopened(house: House) -> None:
    ticket = house.open()
    change = {"ticket_id": ticket.pk, "actor": house.agent}
    add_reply(body="?", now=house.now + 7 * MIN, then_status=Status.WAITING, **change)
    change_status(status=Status.RESOLVED, now=house.now + 19 * MIN, **change)
    change_status(status=Status.OPEN, now=house.now + 31 * MIN, **change)

    set_severity(severity=2, now=house.now + 41 * MIN, reason="More of them.", **change)

    resolution = Clock.objects.get(ticket=ticket, kind="resolution", state="running")
    assert len(resolution.pauses) == 1
    assert resolution.due_at == house.now + 31 * MIN + 8 * HOUR - 7 * MIN


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
