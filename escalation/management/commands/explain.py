"""Say of every clock of a ticket why it is due when it is."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.db import database_now
from core.durations import spoken, written
from escalation.explaining import Explanation, Newer, explain_ticket
from tickets.models import Ticket


class Command(BaseCommand):
    help = (
        "Explain every deadline of a ticket: where its time comes from, open windows counted, pauses, when it is due "
        "and what happens then. Instants are UTC."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ticket", type=int, help="the ticket's number")

    def handle(self, *args: Any, **options: Any) -> None:
        ticket = Ticket.objects.select_related("assignee").filter(pk=options["ticket"]).first()
        if ticket is None:
            raise CommandError(f"ticket: there is no #{options['ticket']}. Take a number from a queue.")
        now = database_now()
        found = explain_ticket(ticket, now)
        where = f", at {found.step} of {found.path} version {found.version}" if found.version else ""
        self.stdout.write(
            f"#{ticket.pk} {ticket.subject}, {ticket.get_status_display().lower()}{where}, at {_at(now)} UTC"
        )
        if not found.clocks:
            self.stdout.write("\nNo clock runs.")
        for clock in found.clocks:
            self.stdout.write("")
            for line in _lines(clock):
                self.stdout.write(line)
        if found.ended:
            self.stdout.write("\nEnded at this step")
        for ended in found.ended:
            self.stdout.write(f"  {ended.label}: {ended.outcome} {_at(ended.at)}")


def _lines(clock: Explanation) -> Iterator[str]:
    state = "" if clock.due_at else f" ({clock.state})"
    due = f"due {_at(clock.due_at)}" if clock.due_at else "stands still"
    yield f"{clock.label}{state}: {due}, {written(clock.budget)} in {clock.calendar}"
    yield f"  from {clock.source}"
    yield f"  by {clock.path} version {clock.path_version}{_newer(clock.newer_path)}"
    yield f"  counted in {clock.calendar} version {clock.calendar_version}{_newer(clock.newer_calendar)}"
    yield f"  started {_at(clock.started_at)}; used {spoken(clock.used)}"
    if clock.counted_from != clock.started_at:
        yield f"  began anew {_at(clock.counted_from)}"
    for start, end in clock.pauses:
        yield f"  paused {_at(start)} to {_at(end) if end else 'now'}"
    for window in clock.windows:
        yield f"  open {_at(window.opens)} to {_at(window.closes)}: {written(window.taken)} counted"
    if len(clock.windows) > 1:
        yield f"  sum {written(clock.counted)}"
    if clock.warned_at:
        yield f"  warned {_at(clock.warned_at)}, at {clock.warn_percent} % of it"
    elif clock.warn_at:
        yield f"  warns {_at(clock.warn_at)}, at {clock.warn_percent} % of it"
    yield f"  then: {clock.then}"


def _newer(newer: Newer | None) -> str:
    if newer is None:
        return ""
    return (
        f"; version {newer.number} is in force since {_at(newer.since)}, "
        "applying it to open tickets counts this clock anew"
    )


def _at(instant: dt.datetime) -> str:
    return f"{instant:%F %T}"
