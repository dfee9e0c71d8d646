"""The Celery app: three queues, no results, ticks from beat."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_process_init

from helpdesk import environment
from helpdesk.lifeline import die_with_parent

environment.load()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")

# Of pickle and root: messages are JSON, and the broker's socket is in a private folder.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leave logging as the settings made it: Celery sets up its own unless somebody answers this signal."""


@worker_process_init.connect
def tie_to_worker(**_: Any) -> None:
    """End a pool process with its worker: `kill -9` of the worker would leave it waiting for ever."""
    die_with_parent(os.getppid())
