"""Check every timeline and seal; exits 1 when anything is not as it was written."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from tickets.models import Event, Seal
from tickets.verification import verify


class Command(BaseCommand):
    help = "Check that no timeline was changed, cut or lost since it was written."

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for finding in verify():
            found += 1
            where = f"#{finding.ticket_id} event {finding.seq}: " if finding.ticket_id is not None else ""
            self.stderr.write(f"{where}{finding.what}")
        if found:
            self.stderr.write(f"{found} findings")
            sys.exit(1)
        self.stdout.write(f"{Event.objects.count():,} events and {Seal.objects.count():,} seals are whole")
