"""Previews and changes of many open tickets: who may, one at a time, in batches, stopped and gone on with."""

import datetime as dt
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Organisation
from calendars.models import Calendar, CalendarVersion
from calendars.operations import publish_calendar
from calendars.rules import parse
from core.errors import NotAllowed, Refused
from escalation import kinds, recomputing
from escalation.affected import of_calendar, of_path
from escalation.engine import tick
from escalation.models import Clock, PathVersion, RecomputeJob, Standing
from escalation.operations import recounting
from escalation.operations.recomputing import (
    JobAtWork,
    NoSuchJob,
    NotNow,
    Outdated,
    forget_previews,
    preview_calendar,
    preview_path,
    start_job,
    stop_job,
)
from tests.escalation.looking import DAY, due, fresh
from tests.house import MIN, SEVERITIES, House, republish, steps_for
from tickets.models import Event, Service, Status, Ticket
from tickets.operations import Draft, change_status, open_tickets
from tickets.verification import verify


def longer(house: House, minutes: float = 50) -> PathVersion:
    """Publish a version whose first step has so many minutes to work."""
    first, *rest = steps_for(house)
    targets = dict.fromkeys(SEVERITIES, (None, minutes * MIN))
    return republish(house, steps=(replace(first, targets=targets), *rest))


def previewed(house: House) -> RecomputeJob:
    assert house.path is not None
    job = preview_path(path_id=house.path.path_id, actor=house.admin, now=house.now)
    recomputing.run(job.pk)
    job.refresh_from_db()
    assert job.state == "previewed", job.error
    return job


def begun(house: House) -> RecomputeJob:
    return start_job(job_id=previewed(house).pk, actor=house.admin, now=house.now)


def apply(house: House) -> RecomputeJob:
    job = begun(house)
    recomputing.run(job.pk)
    job.refresh_from_db()
    assert job.state == "done"
    return job


def on_version(version: PathVersion) -> int:
    return Standing.objects.filter(version=version).count()


# --- the preview --------------------------------------------------------------------------------------------------


def test_a_preview_counts_and_changes_nothing(house: House) -> None:
    tickets = [house.open() for _ in range(4)]
    change_status(ticket_id=tickets[0].pk, status=Status.RESOLVED, actor=house.agent, now=house.now + MIN)
    longer(house)
    rows = [list(model.objects.order_by("pk").values()) for model in (Ticket, Clock, Standing, Event)]  # type: ignore[attr-defined]

    job = previewed(house)

    assert rows == [list(model.objects.order_by("pk").values()) for model in (Ticket, Clock, Standing, Event)]  # type: ignore[attr-defined]
    assert (job.tickets, job.seen) == (3, 3)
    preview: Any = job.preview
    assert preview["versions"] == {"1": 3}
    assert preview["clocks"] == {"first_response": 3, "resolution": 3, "tier_time": 3}
    assert preview["kinds"]["tier_time"]["later"] == 3
    assert preview["kinds"]["resolution"]["unchanged"] == 3
    assert preview["largest"][0]["from"] == (house.now + 30 * MIN).isoformat()
    assert preview["largest"][0]["to"] == (house.now + 50 * MIN).isoformat()
    assert preview["at_once"] == 0


def test_what_was_shown_is_what_is_done(house: House) -> None:
    tickets = [house.open() for _ in range(3)]
    longer(house, 50)
    job = previewed(house)
    shown = {move["ticket"]: move["to"] for move in (job.preview or {})["largest"]}

    start_job(job_id=job.pk, actor=house.admin, now=house.now)
    recomputing.run(job.pk)

    assert {ticket.pk: _iso(due(ticket, "tier_time")) for ticket in tickets} == shown


def _iso(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def test_a_preview_of_very_many_says_how_many_it_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "PREVIEW_TICKETS", 5)
    monkeypatch.setattr(recomputing, "BATCH", 2)
    for _ in range(8):
        house.open()
    longer(house)

    job = previewed(house)

    assert (job.tickets, job.seen) == (8, 5)
    assert (job.preview or {})["clocks"]["tier_time"] == 8


def test_a_preview_that_fails_says_why(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.open()
    longer(house)

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such hour")

    monkeypatch.setattr(recomputing, "follow_path", broken)
    assert house.path is not None
    job = preview_path(path_id=house.path.path_id, actor=house.admin, now=house.now)
    recomputing.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "ValueError: no such hour")
    with pytest.raises(NotNow):
        start_job(job_id=job.pk, actor=house.admin, now=house.now)


# --- who and when -------------------------------------------------------------------------------------------------


def test_only_admins_look_apply_and_stop(house: House) -> None:
    job = previewed(house)
    calls: list[Any] = [
        lambda: preview_path(path_id=job.path_id or 0, actor=house.lead, now=house.now),
        lambda: preview_calendar(calendar_id=1, actor=house.lead, now=house.now),
        lambda: start_job(job_id=job.pk, actor=house.lead, now=house.now),
        lambda: stop_job(job_id=job.pk, actor=house.lead, now=house.now),
    ]
    for call in calls:
        with pytest.raises(NotAllowed):
            call()


def test_what_there_is_not_is_refused_by_name(house: House) -> None:
    with pytest.raises(NoSuchJob):
        start_job(job_id=0, actor=house.admin, now=house.now)
    with pytest.raises(Refused, match="no published path 0"):
        preview_path(path_id=0, actor=house.admin, now=house.now)
    with pytest.raises(Refused, match="no calendar 0"):
        preview_calendar(calendar_id=0, actor=house.admin, now=house.now)


def test_two_changes_of_one_path_at_once_are_refused(house: House) -> None:
    house.open()
    longer(house)
    first, second = begun(house), previewed(house)

    with pytest.raises(JobAtWork):
        start_job(job_id=second.pk, actor=house.admin, now=house.now)
    with pytest.raises(IntegrityError, match="one_job_at_work_per_path"), transaction.atomic():
        RecomputeJob.objects.filter(pk=second.pk).update(state="running")

    stop_job(job_id=first.pk, actor=house.admin, now=house.now)
    assert start_job(job_id=second.pk, actor=house.admin, now=house.now).state == "queued"


def test_a_preview_of_an_older_version_is_not_applied(house: House) -> None:
    longer(house)
    job = previewed(house)
    longer(house, 70)

    with pytest.raises(Outdated, match="Version 3"):
        start_job(job_id=job.pk, actor=house.admin, now=house.now)


def test_one_that_has_begun_goes_on_to_its_own_version(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputing, "BATCH", 2)
    tickets = [house.open() for _ in range(4)]
    second = longer(house)
    job = begun(house)
    once(job)
    third = longer(house, 70)
    newcomer = house.open()
    RecomputeJob.objects.filter(pk=job.pk).update(heartbeat_at=None)

    recomputing.run(job.pk)

    assert on_version(second) == 4
    assert due(tickets[3], "tier_time") == house.now + 50 * MIN
    assert Standing.objects.get(ticket=newcomer).version == third


def test_starting_and_stopping_twice_is_harmless(house: House) -> None:
    house.open()
    longer(house)
    job = begun(house)
    assert start_job(job_id=job.pk, actor=house.admin, now=house.now).state == "queued"
    stop_job(job_id=job.pk, actor=house.admin, now=house.now)
    assert stop_job(job_id=job.pk, actor=house.admin, now=house.now).state == "stopped"
    recomputing.run(job.pk)
    assert on_version(house.path or PathVersion()) == 0

    start_job(job_id=job.pk, actor=house.admin, now=house.now)
    recomputing.run(job.pk)
    recomputing.run(job.pk)

    assert stop_job(job_id=job.pk, actor=house.admin, now=house.now).state == "done"
    assert Event.objects.filter(kind=kinds.APPLIED).count() == 1


# --- batches ------------------------------------------------------------------------------------------------------


def once(job: RecomputeJob) -> None:
    """Do one batch, as a worker that dies after it."""
    runner = uuid.uuid4()
    assert recomputing._take(job.pk, runner) is not None
    recomputing._step(job.pk, runner, recomputing.BATCH)


def test_closed_half_way_each_ticket_is_old_or_new_and_the_rest_is_done_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "BATCH", 2)
    tickets = [house.open() for _ in range(5)]
    first, second = house.path, longer(house)
    job = begun(house)

    once(job)

    job.refresh_from_db()
    assert (job.moved, job.cursor, job.tickets) == (2, tickets[1].pk, 5)
    assert (on_version(first or second), on_version(second)) == (3, 2)
    # Its heartbeat is young: nobody else takes it yet.
    assert recomputing.waiting_jobs() == []
    RecomputeJob.objects.filter(pk=job.pk).update(heartbeat_at=house.now - DAY)
    assert recomputing.waiting_jobs() == [job.pk]

    recomputing.run(job.pk)

    job.refresh_from_db()
    assert (job.state, job.moved, job.skipped, job.failed, job.tickets) == ("done", 5, 0, 0, 5)
    assert on_version(second) == 5
    assert Event.objects.filter(kind=kinds.APPLIED).count() == 5
    assert list(verify()) == []


def test_a_worker_that_was_thought_dead_leaves_when_it_finds_another(house: House) -> None:
    house.open()
    longer(house)
    job = begun(house)
    slow, quick = uuid.uuid4(), uuid.uuid4()
    assert recomputing._take(job.pk, slow) is not None
    RecomputeJob.objects.filter(pk=job.pk).update(heartbeat_at=house.now - DAY)
    assert recomputing._take(job.pk, quick) is not None

    assert recomputing._step(job.pk, slow, 500) == 0
    assert Event.objects.filter(kind=kinds.APPLIED).count() == 0
    assert recomputing._step(job.pk, quick, 500) == 500
    assert Event.objects.filter(kind=kinds.APPLIED).count() == 1


def test_a_ticket_that_fails_stays_as_it_is_and_holds_nobody_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = [house.open() for _ in range(9)]
    first, second = house.path, longer(house)
    poison = tickets[5]
    real = recounting.follow_path

    def sensitive(plan: Any, states: Any, target: Any, *, job_id: int) -> Any:
        if plan.actor is not None and any(state.ticket.pk == poison.pk for state in states):
            raise ValueError("its subject can't be counted")
        return real(plan, states, target, job_id=job_id)

    monkeypatch.setattr(recomputing, "follow_path", sensitive)

    job = apply(house)

    assert (job.moved, job.failed) == (8, 1)
    assert job.failures == [[poison.pk, "ValueError: its subject can't be counted"]]
    assert Standing.objects.get(ticket=poison).version == first
    assert on_version(second) == 8


def test_applied_twice_is_applied_once(house: House) -> None:
    ticket = house.open()
    longer(house)
    apply(house)
    clocks = list(Clock.objects.order_by("pk").values())

    job = apply(house)

    assert (job.tickets, job.moved) == (0, 0)
    assert list(Clock.objects.order_by("pk").values()) == clocks
    assert Event.objects.filter(ticket=ticket, kind=kinds.APPLIED).count() == 1


def test_the_same_content_moves_nothing_and_there_and_back_is_due_when_it_was(house: House) -> None:
    running, waiting, climbed = house.open(), house.open(), house.open()
    change_status(
        ticket_id=waiting.pk, status=Status.HOLD, actor=house.agent, now=house.now, reason="Vendor."
    )
    tick(now=house.now + 30 * MIN, only=[climbed.pk])
    assert fresh(climbed).tier == 2
    kept = ("ticket_id", "kind", "state", "seq", "round", "started_at", "budget", "used", "due_at", "warn_at")

    def clocks() -> list[Any]:
        return list(Clock.objects.order_by("pk").values(*kept))

    before = clocks()

    longer(house)
    there = apply(house)
    assert (there.preview or {})["kinds"]["tier_time"]["later"] == 2
    assert clocks() != before
    republish(house)
    apply(house)
    assert clocks() == before

    republish(house, description="In other words", warn_percent=75, hold_pauses=True)
    republish(house)
    same = apply(house)
    assert (same.preview or {})["untouched"] == 3
    assert clocks() == before
    assert fresh(running).tier_due_at == house.now + 30 * MIN


# --- calendars ----------------------------------------------------------------------------------------------------


def office(house: House, opens: str = "09:00", *, calendar: Calendar | None = None, **more: Any) -> Calendar:
    """Publish a calendar that is open from `opens` on, every day, UTC."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    hours = parse({"tz": "UTC", "week": {day: [[opens, "17:00"]] for day in days}, **more})
    return publish_calendar(
        calendar_id=calendar.pk if calendar is not None else None,
        name="Office",
        hours=hours,
        actor_name="Ada",
        now=house.now,
    ).calendar


@pytest.fixture
def morning(house: House) -> dt.datetime:
    """The next day at ten."""
    return (house.now + DAY).replace(hour=10, minute=0, second=0, microsecond=0)


def test_clocks_are_counted_by_the_calendars_new_hours_and_the_path_stays(
    house: House, morning: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = office(house)
    path = republish(house, calendar_id=calendar.pk)
    ticket, urgent = house.open(at=morning, severity=3), house.open(at=morning, severity=1)
    assert due(ticket, "resolution") == morning + DAY
    holiday = (morning + DAY).date().isoformat()
    office(house, calendar=calendar, holidays=[holiday])
    monkeypatch.setattr(recomputing, "database_now", lambda: morning + MIN)

    job = preview_calendar(calendar_id=calendar.pk, actor=house.admin, now=morning)
    recomputing.run(job.pk)
    job.refresh_from_db()
    assert job.tickets == 1
    assert (job.preview or {})["kinds"]["resolution"]["later"] == 1
    start_job(job_id=job.pk, actor=house.admin, now=morning)
    recomputing.run(job.pk)

    assert due(ticket, "resolution") == morning + 2 * DAY
    assert due(ticket, "tier_time") == morning + 30 * MIN
    # SEV1 counts round the clock.
    assert due(urgent, "resolution") == morning + 480 * MIN
    assert Standing.objects.get(ticket=ticket).version == path
    assert set(Clock.objects.filter(ticket=ticket).values_list("calendar_version__number", flat=True)) == {2}
    data = Event.objects.get(ticket=ticket, kind=kinds.APPLIED).data
    assert (data["what"], data["name"], data["from"], data["to"]) == ("calendar", "Office", 1, 2)
    assert not Event.objects.filter(ticket=urgent, kind=kinds.APPLIED).exists()


def test_a_path_is_applied_in_the_calendars_it_was_looked_at_with(house: House, morning: dt.datetime) -> None:
    calendar = office(house)
    republish(house, calendar_id=calendar.pk)
    ticket = house.open(at=morning, severity=3)
    republish(house, calendar_id=calendar.pk, warn_percent=60)
    job = begun(house)
    office(house, calendar=calendar, opens="12:00")

    recomputing.run(job.pk)

    assert due(ticket, "resolution") == morning + DAY


def test_what_older_versions_concern_is_counted_by_version(house: House, morning: dt.datetime) -> None:
    first = house.path
    house.open(), house.open()
    calendar = office(house)
    second = republish(house, calendar_id=calendar.pk)
    house.open(at=morning, severity=3)
    third = longer(house)
    office(house, calendar=calendar, opens="12:00")
    current = CalendarVersion.objects.get(calendar=calendar, number=2)

    assert of_path(third).count_by_version() == {1: 2, 2: 1}
    assert of_path(second).count() == 2
    assert of_path(first or second).count() == 0
    assert of_calendar(current).counts_for_page() == (1, {1: 1})
    assert of_calendar(current).clocks() == {"first_response": 1, "resolution": 1, "tier_time": 1}


def test_old_previews_that_nobody_applied_are_forgotten(house: House) -> None:
    house.open()
    longer(house)
    applied, kept = apply(house), previewed(house)

    assert forget_previews(before=house.now + MIN) == 1

    assert list(RecomputeJob.objects.all()) == [applied]
    assert kept.pk != applied.pk


# --- how much it costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [False, True], ids=["same step", "removed step"])
def test_a_batch_costs_the_same_for_many_tickets(house: House, removed: bool) -> None:
    def queries(count: int, minutes: float) -> int:
        organisation = Organisation.objects.create(name=f"Northwind {minutes}")
        tickets = []
        for number in range(count):
            service = Service.objects.create(name=f"VPN {minutes} {number}")
            tickets.append(house.open(service=service, organisation=organisation))
        if removed:
            tick(now=house.now + 30 * MIN, only=[ticket.pk for ticket in tickets])
            steps = steps_for(house)
            republish(house, steps=(steps[0], *steps[2:]))
        else:
            longer(house, minutes)
        job = begun(house)
        with CaptureQueriesContext(connection) as captured:
            once(job)
        stop_job(job_id=job.pk, actor=house.admin, now=house.now)
        republish(house)
        assert apply(house).failed == 0
        return len(captured)

    queries(1, 40)
    assert queries(30, 42) == queries(2, 41)


@pytest.mark.slow
def test_five_thousand_tickets_take_seconds_and_a_set_number_of_statements(house: House) -> None:
    for _ in range(10):
        drafts = [Draft(requester=house.requester, subject="VPN drops") for _ in range(500)]
        open_tickets(drafts=drafts, actor=None, now=house.now)
    longer(house)
    job = begun(house)
    started = time.monotonic()
    with CaptureQueriesContext(connection) as captured:
        recomputing.run(job.pk)

    took = time.monotonic() - started
    job.refresh_from_db()
    assert (job.state, job.moved) == ("done", 5000)
    # Ten batches and the empty one that ends it.
    assert len(captured) <= 11 * 22
    assert took < 60
