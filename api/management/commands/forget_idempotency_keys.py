"""Delete the answers of idempotent requests that are older than a day."""

from typing import Any

from django.core.management.base import BaseCommand

from api.idempotency import forget_keys
from core.db import database_now


class Command(BaseCommand):
    help = "Delete the answers of idempotent requests that are older than a day (beat does it every hour)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{forget_keys(now=database_now())} forgotten")
