"""Celery's entrance to the engine."""

from celery import shared_task

from escalation import engine


@shared_task(name="escalation.tick", ignore_result=True)
def tick(**_: object) -> None:
    """Decide what is due."""
    engine.tick()
