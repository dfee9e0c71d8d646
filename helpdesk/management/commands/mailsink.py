"""Run the development mail server."""

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from helpdesk import mailsink


class Command(BaseCommand):
    help = "Take any mail on a port of this machine and keep each as a file in BELAY_VAR/mail."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        mailsink.make_folder(settings.BELAY_MAIL_DIR)
        asyncio.run(mailsink.serve(settings.BELAY_MAIL_DIR, options["port"]))
