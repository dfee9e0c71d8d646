from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils import timezone


class CalendarsConfig(AppConfig):
    name = "calendars"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(_keep_round_the_clock, sender=self)


def _keep_round_the_clock(*, using: str, **_: Any) -> None:
    """Put the built-in 24x7 calendar back where a flush has taken it away (tests that commit flush)."""
    from django.db import connections

    from calendars import operations, queries

    # Migrating back to before the tables exist, too, ends with this signal.
    if "calendars_calendarversion" in connections[using].introspection.table_names():
        queries.forget_round_the_clock()
        operations.ensure_round_the_clock(now=timezone.now(), using=using)
