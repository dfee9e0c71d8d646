"""Become one of the processes that `manage.py up` starts: for machines that run them one by one."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from helpdesk.environment import BASE_DIR
from helpdesk.processes import processes


class Command(BaseCommand):
    help = "Run one process of Belay in the foreground; the database and the broker must be running."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=[process.name for process in processes()])

    def handle(self, *args: Any, **options: Any) -> None:
        process = next(one for one in processes() if one.name == options["name"])
        os.chdir(BASE_DIR)
        os.execvpe(process.command[0], process.command, os.environ | process.extra)
