"""Celery's entrance to the engine, and to changes of many open tickets."""

from celery import current_app, shared_task

from core.db import database_now
from escalation import chime, engine, recomputing
from escalation.operations import record_doubts
from escalation.operations.recomputing import RUN

# Far beyond any drain. A tick that hangs on a frozen database would hold its pool process for ever; killing it loses
# nothing, what it had not committed is still due.
LIMIT_SECONDS = 900


@shared_task(name="escalation.tick", ignore_result=True, time_limit=LIMIT_SECONDS)
def tick(**_: object) -> None:
    """Decide what is due, and come again at the instant when the next is, if that is within the second."""
    report = engine.tick()
    if report.until is not None:
        chime.chime.set(chime.seconds_until_due(after=report.until))


@shared_task(name="escalation.lint", ignore_result=True)
def lint(**_: object) -> None:
    """Look for what is doubtful about the paths: contacts and teams change without a path being published."""
    record_doubts(now=database_now())


# Not under "escalation.": that queue is the engine's, and nothing may stand in its way.
@shared_task(name=RUN, ignore_result=True)
def run_recompute(*, job_id: int, **_: object) -> None:
    """Work on one preview or change of open tickets."""
    recomputing.run(job_id)


@shared_task(name="recompute.pick_up", ignore_result=True)
def pick_up(**_: object) -> None:
    """Give work that nobody is at, since its ring was lost or its worker died, to a worker."""
    for job_id in recomputing.waiting_jobs():
        current_app.send_task(RUN, kwargs={"job_id": job_id}, retry=False)
