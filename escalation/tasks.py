"""Celery's entrance to the engine."""

from celery import shared_task

from core.db import database_now
from escalation import engine
from escalation.operations import record_doubts

# Far beyond any drain. A tick that hangs on a frozen database would hold its pool process for ever; killing it loses
# nothing, what it had not committed is still due.
LIMIT_SECONDS = 900


@shared_task(name="escalation.tick", ignore_result=True, time_limit=LIMIT_SECONDS)
def tick(**_: object) -> None:
    """Decide what is due."""
    engine.tick()


@shared_task(name="escalation.lint", ignore_result=True)
def lint(**_: object) -> None:
    """Look for what is doubtful about the paths: contacts and teams change without a path being published."""
    record_doubts(now=database_now())
