"""Celery's entrance to the engine, and to changes of many open tickets."""

from celery import current_app, shared_task

from escalation import engine, recomputing
from escalation.operations.recomputing import RUN


@shared_task(name="escalation.tick", ignore_result=True)
def tick(**_: object) -> None:
    """Decide what is due."""
    engine.tick()


# Not under "escalation.": that queue is the engine's, and nothing may stand in its way.
@shared_task(name=RUN, ignore_result=True)
def run_recompute(*, job_id: int, **_: object) -> None:
    """Work on one preview or change of open tickets."""
    recomputing.run(job_id)


@shared_task(name="recompute.pick_up", ignore_result=True)
def pick_up(**_: object) -> None:
    """Give work that nobody is at, since its ring was lost or its worker died, to a worker."""
    for job_id in recomputing.waiting_jobs():
        current_app.send_task(RUN, kwargs={"job_id": job_id}, expires=30, retry=False)
