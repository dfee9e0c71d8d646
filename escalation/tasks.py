"""Celery's entrance to the engine."""

from celery import shared_task

from escalation import engine

# Far beyond any drain. A tick that hangs on a frozen database would hold its pool process for ever; killing it loses
# nothing, what it had not committed is still due.
LIMIT_SECONDS = 900


@shared_task(name="escalation.tick", ignore_result=True, time_limit=LIMIT_SECONDS)
def tick(**_: object) -> None:
    """Decide what is due."""
    engine.tick()
