"""The API's housekeeping."""

from typing import Any

from celery import shared_task

from api.idempotency import forget_keys
from core.db import database_now


@shared_task(name="api.forget_keys")
def forget_idempotency_keys(**_: Any) -> None:
    """Delete the answers of idempotent requests that are older than a day."""
    forget_keys(now=database_now())
