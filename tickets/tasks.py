"""Celery's entrance to the housekeeping of tickets."""

from celery import shared_task

from tickets.operations.sealing import seal as seal_changed


@shared_task(name="tickets.seal", ignore_result=True)
def seal(**_: object) -> None:
    """Seal the chains that changed."""
    seal_changed()
