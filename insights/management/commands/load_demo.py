"""Fill an empty database with a believable IT organisation and its last thirty days."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.db import database_now
from core.errors import Refused
from insights.demo.load import SEED, load_demo


class Command(BaseCommand):
    help = "Load the demo into an empty database; refuses where there are accounts already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=SEED, help="another seed tells other stories")

    def handle(self, *args: Any, seed: int, **options: Any) -> None:
        began = time.monotonic()
        try:
            loaded = load_demo(now=database_now(), seed=seed)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"demo: {loaded.history} finished tickets of the last 30 days, {loaded.opened} of the last 3 days, "
            f"{loaded.open} of them open; {loaded.messages} messages on record"
        )
        self.stdout.write(f"demo: sign-ins are in {loaded.sign_ins} ({time.monotonic() - began:.1f} s)")
