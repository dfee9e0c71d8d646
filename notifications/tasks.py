"""Celery's entrance to delivery."""

from celery import shared_task

from notifications import engine


@shared_task(name="notifications.tick", ignore_result=True)
def tick(**_: object) -> None:
    """Send what is due."""
    engine.tick()
