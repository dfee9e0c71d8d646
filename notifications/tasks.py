"""Celery's entrance to delivery."""

from celery import shared_task

from core.db import database_now
from notifications import engine
from notifications.watching import tell_watchers


@shared_task(name="notifications.tick", ignore_result=True)
def tick(**_: object) -> None:
    """Send what is due."""
    engine.tick()


@shared_task(name="notifications.watchers", ignore_result=True)
def watchers(**_: object) -> None:
    """Tell those who follow tickets what happened."""
    tell_watchers(now=database_now())
