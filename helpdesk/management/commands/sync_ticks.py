"""Write the ticks of settings.BELAY_TICKS into beat's tables."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from helpdesk.ticks import SYSTEM


class Command(BaseCommand):
    help = "Create the system's ticks anew; what an admin has scheduled besides stays."
    requires_system_checks: tuple[str, ...] = ()

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        for task, every in settings.BELAY_TICKS.items():
            schedule, _ = IntervalSchedule.objects.get_or_create(every=every, period=IntervalSchedule.SECONDS)
            wanted = {
                "task": task,
                "interval": schedule,
                "crontab": None,
                "solar": None,
                "clocked": None,
                "expire_seconds": None,
                "enabled": True,
                "one_off": False,
                "args": "[]",
                "kwargs": "{}",
                "queue": None,
                "description": "Belay's own; written anew at every start.",
            }
            PeriodicTask.objects.update_or_create(name=SYSTEM + task, defaults=wanted)
        names = [SYSTEM + task for task in settings.BELAY_TICKS]
        PeriodicTask.objects.filter(name__startswith=SYSTEM).exclude(name__in=names).delete()
        # A running beat looks at this row to see that it must read the others again.
        PeriodicTasks.update_changed()
