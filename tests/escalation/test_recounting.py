"""What a newer version does to tickets under way, clock by clock."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from core.db import database_now
from escalation import kinds, recomputing
from escalation.engine import tick
from escalation.models import Clock, Escalation, RecomputeJob, Standing
from escalation.operations import PromiseSpec, StepSpec, acknowledge
from escalation.operations.recomputing import preview_path, start_job
from notifications.models import Notification
from tests.escalation.looking import at_l2, clock, due, fresh, run, tellings
from tests.house import HOUR, MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Event, Status, Ticket
from tickets.operations import add_reply, change_status

Cell = tuple[dt.timedelta | None, dt.timedelta | None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, house: House) -> Any:
    """Apply the version in force so many minutes after the house was built."""

    def apply(minutes: float) -> RecomputeJob:
        now = house.now + minutes * MIN
        monkeypatch.setattr(recomputing, "database_now", lambda: now)
        assert house.path is not None
        job = preview_path(path_id=house.path.path_id, actor=house.admin, now=now)
        recomputing.run(job.pk)
        start_job(job_id=job.pk, actor=house.admin, now=now)
        recomputing.run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.failed) == ("done", 0), job.failures
        return job

    return apply


def cells(acknowledge_within: dt.timedelta | None, work_within: dt.timedelta | None) -> dict[int, Cell]:
    return dict.fromkeys(SEVERITIES, (acknowledge_within, work_within))


def with_step(house: House, place: int, **changes: Any) -> tuple[StepSpec, ...]:
    steps = list(steps_for(house))
    steps[place] = replace(steps[place], **changes)
    return tuple(steps)


def promising(**more: Any) -> dict[int, PromiseSpec]:
    usual: dict[str, Any] = {"first_response": 20 * MIN, "next_response": HOUR, "resolution": 8 * HOUR}
    return dict.fromkeys(SEVERITIES, PromiseSpec(**usual | more))


def applied(ticket: Ticket) -> dict[str, Any]:
    event = Event.objects.get(ticket=ticket, kind=kinds.APPLIED)
    data: dict[str, Any] = event.data
    return data


# --- the same rung ------------------------------------------------------------------------------------------------


def test_the_time_at_the_tier_counts_from_its_own_start_by_the_new_budget(house: House, at: Any) -> None:
    ticket = house.open()
    republish(house, steps=with_step(house, 0, targets=cells(None, 50 * MIN)))

    at(10)

    assert due(ticket, "tier_time") == house.now + 50 * MIN
    assert fresh(ticket).tier_due_at == house.now + 50 * MIN
    standing = Standing.objects.get(ticket=ticket)
    assert (standing.version, standing.seq, standing.step.version) == (house.path, 0, house.path)
    found = clock(ticket, "tier_time")
    assert found is not None
    assert (found.step, found.path_version, found.started_at) == (standing.step, house.path, house.now)
    assert Escalation.objects.filter(ticket=ticket).count() == 1
    assert not Notification.objects.filter(ticket=ticket, round__isnull=False).exists()


def test_a_promise_counts_from_the_opening_by_the_new_budget(house: House, at: Any) -> None:
    ticket = house.open()
    republish(house, promises=promising(first_response=45 * MIN, resolution=2 * HOUR))

    at(10)

    assert due(ticket, "first_response") == house.now + 45 * MIN
    assert due(ticket, "resolution") == house.now + 2 * HOUR
    told = applied(ticket)
    assert (told["what"], told["from"], told["to"]) == ("path", 1, 2)
    assert [(move["clock"], move["outcome"]) for move in told["moved"]] == [
        ("first_response", "later"),
        ("resolution", "earlier"),
    ]


def test_the_admin_is_on_record_for_every_ticket(house: House, at: Any) -> None:
    ticket = house.open()
    republish(house, warn_percent=50)

    at(10)

    assert Event.objects.get(ticket=ticket, kind=kinds.APPLIED).actor == house.admin


def test_the_time_to_acknowledge_and_the_next_telling_count_from_their_own_start(
    house: House, at: Any
) -> None:
    ticket = at_l2(house)
    republish(house, steps=with_step(house, 1, targets=cells(20 * MIN, 60 * MIN), wait=6 * MIN))

    at(31)

    assert due(ticket, "acknowledge") == house.now + 50 * MIN
    assert due(ticket, "tier_time") == house.now + 90 * MIN
    assert due(ticket, "next_telling") == house.now + 36 * MIN
    assert fresh(ticket).unacknowledged_since == house.now + 30 * MIN
    before = Notification.objects.filter(ticket=ticket).count()
    tick(now=house.now + 35 * MIN)
    assert Notification.objects.filter(ticket=ticket).count() == before
    tick(now=house.now + 36 * MIN)
    assert Notification.objects.filter(ticket=ticket, round=2).count() == 2


def test_a_paused_clock_keeps_what_it_used(house: House, at: Any) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="Which site?", actor=house.agent, now=house.now + 10 * MIN)
    change_status(ticket_id=ticket.pk, status=Status.WAITING, actor=house.agent, now=house.now + 10 * MIN)
    republish(house, steps=with_step(house, 0, targets=cells(None, 50 * MIN)))

    at(20)
    change_status(ticket_id=ticket.pk, status=Status.OPEN, actor=house.agent, now=house.now + 25 * MIN)

    assert due(ticket, "tier_time") == house.now + 65 * MIN
    assert due(ticket, "resolution") == house.now + 8 * HOUR + 15 * MIN


def test_a_waiting_ticket_is_followed_up_after_the_new_number_of_days(house: House, at: Any) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="Which site?", actor=house.agent, now=house.now)
    change_status(ticket_id=ticket.pk, status=Status.WAITING, actor=house.agent, now=house.now)
    republish(house, follow_up_days=5)

    at(10)

    assert due(ticket, "follow_up") == house.now + 5 * 24 * HOUR


def test_a_ticket_on_hold_stands_still_where_the_new_version_says_so(house: House, at: Any) -> None:
    ticket = house.open()
    change_status(ticket_id=ticket.pk, status=Status.HOLD, actor=house.agent, now=house.now, reason="Vendor.")
    republish(house, hold_pauses=True)

    at(10)

    found = clock(ticket, "tier_time")
    assert found is not None
    assert (found.state, found.used) == ("paused", 10 * MIN)


def test_what_would_have_been_due_is_due_at_once_and_not_before(house: House, at: Any) -> None:
    ticket = house.open()
    republish(house, steps=with_step(house, 0, targets=cells(None, 10 * MIN)))

    job = at(25)

    assert due(ticket, "tier_time") == house.now + 25 * MIN
    assert job.preview is not None
    assert job.preview["at_once"] == 1
    tick(now=house.now + 25 * MIN + dt.timedelta(seconds=1))
    assert fresh(ticket).tier == 2
    # Nobody was 15 minutes late by a deadline that did not exist.
    assert Escalation.objects.get(ticket=ticket, seq=1).late_by == dt.timedelta(seconds=1)


def test_a_clock_past_its_new_warning_warns_at_once(house: House, at: Any) -> None:
    ticket = house.open()
    republish(house, steps=with_step(house, 0, targets=cells(None, 20 * MIN)))

    job = at(17)

    assert job.preview is not None
    assert (job.preview["at_once"], job.preview["warned"]) == (0, 1)
    tick(now=house.now + 17 * MIN + dt.timedelta(seconds=1))
    assert Event.objects.filter(ticket=ticket, kind=kinds.WARNED, data__clock="tier_time").count() == 1


def test_a_cell_that_is_gone_cancels_its_clock_and_one_that_is_new_starts_now(house: House, at: Any) -> None:
    ticket = at_l2(house)
    republish(
        house,
        steps=with_step(house, 1, targets=cells(None, 30 * MIN)),
        promises=promising(resolution=None, update_every=2 * HOUR),
    )

    at(32)

    assert clock(ticket, "acknowledge") is None
    assert clock(ticket, "resolution") is None
    assert due(ticket, "stakeholder_update") == house.now + 32 * MIN + 2 * HOUR
    assert fresh(ticket).unacknowledged_since is None


def test_a_severity_without_a_cell_gets_one_when_the_new_version_has_it(house: House, at: Any) -> None:
    republish(house, steps=with_step(house, 0, targets={1: (None, 5 * MIN)}), promises={})
    ticket = house.open(severity=3)
    assert not Clock.objects.filter(ticket=ticket).exists()
    republish(house)

    at(10)

    assert due(ticket, "tier_time") == house.now + 40 * MIN
    assert due(ticket, "first_response") == house.now + 30 * MIN


def test_a_promise_that_fired_is_not_made_again(house: House, at: Any) -> None:
    ticket = house.open()
    tick(now=house.now + 20 * MIN)
    assert clock(ticket, "first_response") is None
    republish(house, promises=promising(first_response=3 * HOUR))

    at(25)

    assert clock(ticket, "first_response") is None
    assert Clock.objects.filter(ticket=ticket, kind="first_response").count() == 1


def test_an_answer_that_is_waited_for_is_promised_when_the_new_version_promises_it(
    house: House, at: Any
) -> None:
    republish(house, promises=promising(next_response=None))
    waits, answered = house.open(), house.open()
    for ticket in (waits, answered):
        add_reply(ticket_id=ticket.pk, body="Tried this?", actor=house.agent, now=house.now + MIN)
    add_reply(ticket_id=waits.pk, body="Yes.", actor=house.requester, now=house.now + 2 * MIN)
    republish(house)

    at(10)

    assert due(waits, "next_response") == house.now + 10 * MIN + HOUR
    assert clock(answered, "next_response") is None


def test_an_acknowledgement_stands(house: House, at: Any) -> None:
    ticket = at_l2(house)
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now + 31 * MIN)
    republish(house, steps=with_step(house, 1, targets=cells(5 * MIN, 60 * MIN), wait=MIN))

    at(32)

    assert clock(ticket, "acknowledge") is None
    assert clock(ticket, "next_telling") is None
    assert due(ticket, "tier_time") == house.now + 90 * MIN
    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_by == house.second
    assert fresh(ticket).assignee == house.second


def test_the_climb_after_it_goes_by_the_new_version(house: House, at: Any) -> None:
    ticket = at_l2(house)
    steps = steps_for(house)
    lead = replace(steps[1], name="Network lead", mode="involves", targets=cells(7 * MIN, 9 * MIN))
    republish(house, steps=(*steps[:2], lead, *steps[2:]))

    at(32)
    tick(now=house.now + 40 * MIN)

    standing = Standing.objects.get(ticket=ticket)
    assert (standing.step.name, standing.seq) == ("Network lead", 2)
    assert due(ticket, "acknowledge") == house.now + 47 * MIN


def test_a_renamed_step_at_its_place_is_the_same_rung(house: House, at: Any) -> None:
    ticket = at_l2(house)
    republish(house, steps=with_step(house, 1, name="Networking"))

    at(32)

    standing = Standing.objects.get(ticket=ticket)
    assert (standing.step.name, standing.seq) == ("Networking", 1)
    assert due(ticket, "acknowledge") == house.now + 40 * MIN


# --- another rung -------------------------------------------------------------------------------------------------


def test_a_removed_step_passes_the_ticket_to_the_first_at_its_tier_or_above(house: House, at: Any) -> None:
    ticket = at_l2(house)
    steps = steps_for(house)
    republish(house, steps=(steps[0], *steps[2:]))

    job = at(33)

    standing = Standing.objects.get(ticket=ticket)
    assert (standing.step.name, standing.seq, standing.allowances) == ("Core network", 2, 1)
    moved = Escalation.objects.get(ticket=ticket, seq=2)
    assert (moved.kind, moved.trigger, moved.actor) == ("remap", "changed", house.admin)
    assert due(ticket, "acknowledge") == house.now + 43 * MIN
    assert fresh(ticket).tier == 3
    assert Notification.objects.filter(ticket=ticket, seq=2, round=1).count() == 2
    assert {state for seq, _, _, state in tellings(ticket) if seq == 1} == {"withdrawn"}
    assert job.preview is not None
    assert job.preview["steps"] == [
        {"from": "Network", "to": "Core network", "tickets": 1, "named": [ticket.pk]}
    ]


def test_a_step_that_another_team_takes_over_tells_that_team(house: House, at: Any) -> None:
    ticket = at_l2(house)
    republish(house, steps=with_step(house, 1, team_id=house.core.pk))

    at(33)

    assert (fresh(ticket).team, fresh(ticket).tier) == (house.core, 2)
    assert Standing.objects.get(ticket=ticket).seq == 2
    assert Notification.objects.filter(ticket=ticket, seq=2, round=1).count() == 2


# --- what stays as it is ------------------------------------------------------------------------------------------


def test_closed_tickets_and_those_of_other_paths_are_left_alone(house: House, at: Any) -> None:
    closed = house.open()
    change_status(ticket_id=closed.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + MIN)
    before = list(Clock.objects.filter(ticket=closed).order_by("pk").values())
    republish(house, steps=with_step(house, 0, targets=cells(None, 50 * MIN)))
    newcomer = house.open(at=house.now + 2 * MIN)
    events = Event.objects.filter(ticket=newcomer).count()

    job = at(10)

    assert job.tickets == 0
    assert list(Clock.objects.filter(ticket=closed).order_by("pk").values()) == before
    assert Event.objects.filter(ticket=newcomer).count() == events


def test_the_history_of_a_ticket_reads_on_after_it(house: House, at: Any) -> None:
    from escalation.outlook import outlook_of
    from escalation.queries import ladder_of

    ticket = at_l2(house)
    republish(house, steps=with_step(house, 1, wait=9 * MIN))
    at(31)

    now = house.now + 33 * MIN
    ladder = ladder_of(fresh(ticket), now)
    assert ladder is not None
    assert [rung.held for rung in ladder.steps[:2]] == [30 * MIN, 3 * MIN]
    outlook = outlook_of(fresh(ticket), 1, contact_id=None, now=database_now())
    assert outlook is not None
    assert outlook.step_name == "Network"
    assert outlook.climbs_to.endswith("Core network")


def test_a_run_of_the_engine_after_it_drops_nobody(house: House, at: Any) -> None:
    tickets = [house.open() for _ in range(3)]
    tick(now=house.now + 30 * MIN)
    republish(house, steps=with_step(house, 1, targets=cells(3 * MIN, 5 * MIN)))
    at(34)

    run(house, 35, 70)

    assert {fresh(ticket).tier for ticket in tickets} == {4}
