"""Look at, or change, all tickets that older versions concern, in batches; a worker may die at any point.

A batch is one transaction: the job's row, then its tickets in id order are locked; what they become, the counts and
the cursor are committed together. So every ticket is old or new, never between, and whoever goes on knows from where.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Sequence

from django.db import Error, InterfaceError, OperationalError, transaction

from core.db import database_now
from core.text import storable
from escalation.affected import Affected, of_job
from escalation.models import RecomputeJob
from escalation.operations.plan import Plan
from escalation.operations.recomputing import forget_previews
from escalation.operations.recounting import Recounted, follow_calendar, follow_path, set_clock_steps
from escalation.operations.state import State, load_states
from escalation.paths import path_rule
from escalation.rules.tally import Tally
from tickets.models import Ticket
from tickets.timeline import Work, working

log = logging.getLogger("belay.recompute")

BATCH = 500
# A preview counts all tickets, and looks at the deadlines of so many of them.
PREVIEW_TICKETS = 10_000
# Without a sign of life for so long, somebody else goes on.
STALE = dt.timedelta(seconds=30)
KEEP_PREVIEWS = dt.timedelta(days=7)
_NAMED_FAILURES = 20

_At = RecomputeJob.State
# Not the ticket's fault: the database went away, or two transactions stood in each other's way.
_PASSING = (OperationalError, InterfaceError)


def run(job_id: int) -> None:
    """Work on a job until it is done, stopped, or taken over by somebody else; harmless twice and at once."""
    runner = uuid.uuid4()
    job = _take(job_id, runner)
    if job is None:
        return
    if job.state == _At.PREVIEWING:
        _preview(job, runner)
        return
    limit = BATCH
    while limit:
        limit = _step(job_id, runner, limit)


def waiting_jobs() -> list[int]:
    """Return the jobs that nobody works on: never begun, or their worker is gone. Forgets old previews."""
    now = database_now()
    forget_previews(before=now - KEEP_PREVIEWS)
    rows = RecomputeJob.objects.filter(state__in=(_At.PREVIEWING, _At.QUEUED, _At.RUNNING))
    idle = rows.filter(heartbeat_at=None) | rows.filter(heartbeat_at__lt=now - STALE)
    return list(idle.order_by("pk").values_list("pk", flat=True))


def _take(job_id: int, runner: uuid.UUID) -> RecomputeJob | None:
    """Make a job one's own, unless there is nothing to do or somebody else is alive at it."""
    with transaction.atomic():
        job = _locked(job_id, skip_locked=True)
        if job is None or not job.is_waiting_for_worker:
            return None
        now = database_now()
        if job.heartbeat_at is not None and job.heartbeat_at > now - STALE:
            return None
        job.runner, job.heartbeat_at = runner, now
        job.save(update_fields=["runner", "heartbeat_at"])
    # Counting reads all open tickets: not while the row is locked, or nobody could stop it.
    total = of_job(job).count(job.cursor)
    with transaction.atomic():
        job = _locked(job_id)
        if job is None or job.runner != runner or not job.is_waiting_for_worker:
            return None
        job.tickets = job.done + total
        if job.state == _At.QUEUED:
            job.state = _At.RUNNING
        job.heartbeat_at = database_now()
        job.save(update_fields=["tickets", "state", "heartbeat_at"])
        return job


def _locked(job_id: int, *, skip_locked: bool = False) -> RecomputeJob | None:
    rows = RecomputeJob.objects.select_related(
        "path", "path_version", "calendar", "calendar_version", "started_by"
    )
    locked = rows.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)
    return locked.filter(pk=job_id).first()


# --- looking ------------------------------------------------------------------------------------------------------


def _preview(job: RecomputeJob, runner: uuid.UUID) -> None:
    """Compute what the job would do, writing nothing but the job's own row."""
    affected, tally, after, seen = of_job(job), Tally(), 0, 0
    mine = RecomputeJob.objects.filter(pk=job.pk, runner=runner, state=_At.PREVIEWING)
    try:
        clocks = affected.clocks()
        while seen < PREVIEW_TICKETS:
            ids = affected.ids(after=after, limit=min(BATCH, PREVIEW_TICKETS - seen))
            if not ids:
                break
            now = database_now()
            for one in look(job, affected, ids, now):
                tally.add(one.shifts, one.step)
            after, seen = ids[-1], seen + len(ids)
            if not mine.update(seen=seen, heartbeat_at=database_now()):
                return
        now = database_now()
        found = {**tally.as_mapping(), "clocks": clocks, "versions": affected.count_by_version()}
        mine.update(state=_At.PREVIEWED, seen=seen, preview=found, previewed_at=now, heartbeat_at=now)
    except _PASSING:
        raise
    except Exception as error:
        log.exception("the preview of job %d failed", job.pk)
        mine.update(state=_At.FAILED, error=_told(error), heartbeat_at=database_now())


def look(job: RecomputeJob, affected: Affected, ids: Sequence[int], now: dt.datetime) -> list[Recounted]:
    """Return what the job would do to these tickets now: the change itself, never written."""
    # Tickets as they are, not locked: the operation exists in memory only.
    work = Work()
    work.hold(Ticket.objects.filter(pk__in=ids))
    plan = Plan(work, now=now)
    return _follow(plan, job, affected, load_states(work, ids))


# --- changing -----------------------------------------------------------------------------------------------------


def _step(job_id: int, runner: uuid.UUID, limit: int) -> int:
    """Do the next batch of at most `limit` tickets; return the size of the one after it, 0 when there is none.

    A batch that fails is tried again in halves, until the ticket that fails stands alone and is left as it is.
    """
    try:
        with working() as work:
            job = _mine(job_id, runner)
            if job is None:
                return 0
            now = database_now()
            affected = of_job(job)
            ids = affected.ids(after=job.cursor, limit=limit)
            if ids:
                changed = _apply(work, job, affected, ids, now)
                job.cursor = ids[-1]
                job.moved += changed
                job.skipped += len(ids) - changed
            else:
                job.state, job.finished_at = _At.DONE, now
            job.heartbeat_at = database_now()
            job.save(update_fields=["cursor", "moved", "skipped", "state", "finished_at", "heartbeat_at"])
    except _PASSING:
        # The job stays as the last batch left it; whoever finds its heartbeat old goes on.
        raise
    except Exception as error:  # noqa: BLE001 whatever a ticket does to its recount, others go on
        if limit > 1:
            return max(limit // 2, 1)
        return _leave(job_id, runner, error)
    return min(limit * 2, BATCH) if ids else 0


def _mine(job_id: int, runner: uuid.UUID) -> RecomputeJob | None:
    job = _locked(job_id)
    return job if job is not None and job.runner == runner and job.state == _At.RUNNING else None


def _leave(job_id: int, runner: uuid.UUID, error: Exception) -> int:
    """Leave the next ticket as it is, on record with its error."""
    with transaction.atomic():
        job = _mine(job_id, runner)
        ids = of_job(job).ids(after=job.cursor, limit=1) if job is not None else []
        if job is None or not ids:
            return 0
        log.error("job %d leaves #%d as it is: %s", job.pk, ids[0], error)
        job.cursor = ids[0]
        job.failed += 1
        job.failures = [*job.failures, [ids[0], _told(error)]][:_NAMED_FAILURES]
        job.heartbeat_at = database_now()
        job.save(update_fields=["cursor", "failed", "failures", "heartbeat_at"])
    return 1


def _apply(work: Work, job: RecomputeJob, affected: Affected, ids: Sequence[int], now: dt.datetime) -> int:
    """Change these tickets; return how many. Those that were closed or moved meanwhile are passed over."""
    plan = Plan(work, now=now, actor=job.started_by)
    changed = _follow(plan, job, affected, load_states(work, ids))
    if changed:
        plan.flush()
        if affected.of_path:
            set_clock_steps([one.ticket_id for one in changed])
    return len(changed)


def _follow(plan: Plan, job: RecomputeJob, affected: Affected, states: dict[int, State]) -> list[Recounted]:
    """Put what becomes of these tickets into the plan; looked at and applied alike."""
    still_open = [state for state in states.values() if state.ticket.is_open]
    if job.path_version_id is not None:
        plan.calendars.pin({int(pk): version_id for pk, version_id in job.calendar_versions.items()})
        concerned = [state for state in still_open if state.standing.version_id in affected.older]
        return follow_path(plan, concerned, path_rule(job.path_version_id), job_id=job.pk)
    if job.calendar_version is None:
        raise ValueError(f"job {job.pk} is about nothing")
    return follow_calendar(
        plan,
        still_open,
        older=affected.older,
        target_id=job.calendar_version.pk,
        number=job.number,
        name=job.subject,
        job_id=job.pk,
    )


def _told(error: Exception) -> str:
    kind = "database" if isinstance(error, Error) else type(error).__name__
    return storable(f"{kind}: {error}")[:500]
