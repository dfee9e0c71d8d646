"""Apply the version in force to open tickets: look first, then change, stop, go on (DESIGN 3, clocks).

The job's row is locked before any ticket, by whoever works on it and by whoever stops it; `escalation.recomputing`
does the work.
"""

import datetime as dt

from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from calendars.models import Calendar
from core.errors import Conflict, Refused
from core.wake import wake_for
from escalation.models import EscalationPath, RecomputeJob
from escalation.paths import CalendarVersions, path_rule

RUN = "recompute.run"
State = RecomputeJob.State


class NoSuchJob(Refused):
    """Say that there is no such job."""

    status = 404


class JobAtWork(Conflict):
    """Say that another job is changing tickets of the same path or calendar."""


class NotNow(Conflict):
    """Say that the job is not in a state for this."""


class Outdated(Conflict):
    """Say that a newer version is in force than the one that was looked at."""


def preview_path(*, path_id: int, actor: User, now: dt.datetime) -> RecomputeJob:
    """Have a preview computed of what the version in force would do to tickets on older versions of a path.

    Nothing of any ticket changes. The job keeps the versions of path and calendars it looked at: applied, it does what
    it showed. Raises NotAllowed, and Refused for a path without a version.
    """
    permit(actor, Verb.ADMINISTER)
    path = EscalationPath.objects.select_related("current").filter(pk=path_id).first()
    if path is None or path.current is None:
        raise Refused(
            f"There is no published path {path_id}.",
            field="path",
            value=path_id,
            mend="Choose one of the list.",
        )
    calendars = CalendarVersions([path_rule(path.current.pk)]).known
    return _preview(
        RecomputeJob(path=path, path_version=path.current, calendar_versions=calendars), actor, now
    )


def preview_calendar(*, calendar_id: int, actor: User, now: dt.datetime) -> RecomputeJob:
    """Have a preview computed of what the current hours would do to clocks that count by older ones.

    Raises NotAllowed, and Refused for a calendar without hours.
    """
    permit(actor, Verb.ADMINISTER)
    calendar = Calendar.objects.select_related("current").filter(pk=calendar_id).first()
    if calendar is None or calendar.current is None:
        raise Refused(
            f"There is no calendar {calendar_id} with hours.",
            field="calendar",
            value=calendar_id,
            mend="Choose one of the list.",
        )
    return _preview(RecomputeJob(calendar=calendar, calendar_version=calendar.current), actor, now)


def _preview(job: RecomputeJob, actor: User, now: dt.datetime) -> RecomputeJob:
    job.requested_by = actor
    job.created_at = now
    with transaction.atomic():
        job.save(force_insert=True)
        wake_for(RUN, job_id=job.pk)
    return job


def start_job(*, job_id: int, actor: User, now: dt.datetime) -> RecomputeJob:
    """Let a job that was looked at begin, or one that was stopped go on; harmless twice.

    One that has begun goes on to the version it was begun for, whatever has been published since. Locks the job.
    Raises NotAllowed, NoSuchJob, NotNow, Outdated, JobAtWork.
    """
    permit(actor, Verb.ADMINISTER)
    try:
        with transaction.atomic():
            job = _locked(job_id)
            if job.state in (State.QUEUED, State.RUNNING):
                return job
            if job.state not in (State.PREVIEWED, State.STOPPED):
                raise NotNow(
                    f"This can't be applied: {job.get_state_display().lower()}.",
                    field="job",
                    value=job.pk,
                    mend="Have a new preview computed.",
                )
            if job.state == State.PREVIEWED and (newer := newest_number(job)) != job.number:
                raise Outdated(
                    f"Version {newer} of “{job.subject}” is in force by now; this preview is of version {job.number}.",
                    field="job",
                    value=job.pk,
                    mend="Have a new preview computed.",
                )
            job.state = State.QUEUED
            job.started_by = actor
            job.started_at = job.started_at or now
            job.heartbeat_at = None
            job.save(update_fields=["state", "started_by", "started_at", "heartbeat_at"])
            wake_for(RUN, job_id=job.pk)
            return job
    except IntegrityError as error:
        if "one_job_at_work" not in str(error):
            raise
        raise JobAtWork(
            "Open tickets of this path or calendar are being changed already.",
            field="job",
            value=job_id,
            mend="Wait until that is done, or stop it.",
        ) from error


def stop_job(*, job_id: int, actor: User, now: dt.datetime) -> RecomputeJob:
    """Stop a job after the batch under way: the tickets it has reached stay changed, the others stay as they are.

    Harmless twice, and when it is done already. Locks the job, so it waits for the batch. Raises NotAllowed, NoSuchJob.
    """
    permit(actor, Verb.ADMINISTER)
    with transaction.atomic():
        job = _locked(job_id)
        if job.state in (State.QUEUED, State.RUNNING):
            job.state = State.STOPPED
            job.heartbeat_at = now
            job.save(update_fields=["state", "heartbeat_at"])
        return job


def forget_previews(*, before: dt.datetime) -> int:
    """Delete previews made before an instant that nobody applied; return how many."""
    rows = RecomputeJob.objects.filter(
        created_at__lt=before, started_at=None, state__in=(State.PREVIEWED, State.FAILED)
    )
    return rows.delete()[0]


def newest_number(job: RecomputeJob) -> int:
    """Return the number of the version now in force of what the job is about; one query."""
    if job.path_id is not None:
        number = EscalationPath.objects.filter(pk=job.path_id).values_list("current__number", flat=True).get()
    else:
        number = (
            Calendar.objects.filter(pk=job.calendar_id or 0).values_list("current__number", flat=True).get()
        )
    return int(number or 0)


def _locked(job_id: int) -> RecomputeJob:
    rows = RecomputeJob.objects.select_related("path", "path_version", "calendar", "calendar_version")
    job = rows.select_for_update(no_key=True, of=("self",)).filter(pk=job_id).first()
    if job is None:
        raise NoSuchJob(
            f"There is no change of open tickets {job_id}.",
            field="job",
            value=job_id,
            mend="Choose one of the list.",
        )
    return job
