"""The Celery app: three queues, no results, ticks from beat."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

from helpdesk import environment
from helpdesk.lifeline import die_with_parent

environment.load()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def tie_to_worker(**_: Any) -> None:
    """End a pool process with its worker: `kill -9` of the worker would leave it waiting for ever."""
    die_with_parent(os.getppid())
