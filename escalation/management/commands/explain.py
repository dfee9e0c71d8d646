"""Say of every clock of a ticket why it is due when it is."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.db import database_now
from core.durations import spoken, written
from escalation.explaining import explain_ticket
from tickets.models import Ticket


class Command(BaseCommand):
    help = "Explain every deadline of a ticket: start, open windows counted, pauses, and the due instant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ticket", type=int, help="the ticket's number")

    def handle(self, *args: Any, **options: Any) -> None:
        ticket = Ticket.objects.filter(pk=options["ticket"]).first()
        if ticket is None:
            raise CommandError(f"ticket: there is no #{options['ticket']}. Take a number from a queue.")
        now = database_now()
        self.stdout.write(
            f"#{ticket.pk} {ticket.subject}, {ticket.get_status_display().lower()}, at {now:%F %T} UTC"
        )
        for line in explain_ticket(ticket, now):
            state = f" ({line.state})" if line.state != "running" else ""
            due = f"due {line.due_at:%F %T}" if line.due_at else "stands still"
            self.stdout.write(f"\n{line.label}{state}: {due}, {written(line.budget)} in {line.calendar}")
            self.stdout.write(f"  started {line.started_at:%F %T}; used {spoken(line.used)}")
            for start, end in line.pauses:
                self.stdout.write(f"  paused {start:%F %T} to {f'{end:%F %T}' if end else 'now'}")
            for window in line.windows:
                taken = spoken(window.taken)
                self.stdout.write(f"  open {window.opens:%F %T} to {window.closes:%F %T}: {taken} counted")
