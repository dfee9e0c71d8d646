"""Replay imported incidents against escalation paths: what would Belay have done?"""

import io
import json
from argparse import ArgumentParser
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.durations import spoken
from core.errors import Refused
from insights.history import count_incidents, logged_incidents
from insights.outcome import PROMISES, Total
from insights.replay import REPEATS, find_path, replay
from insights.rules import percentile

_TIERS = {1: "L1", 2: "L2", 3: "L3", 4: "management"}


class Command(BaseCommand):
    help = "Run imported incidents against an escalation path as if live; writes nothing, tells nobody."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--path", metavar="NAME", help="the path (default: for each ticket the one that matches)"
        )
        parser.add_argument(
            "--limit", type=int, help="only the first so many incidents, by when they were opened"
        )
        parser.add_argument(
            "--file", type=Path, help="import this log for the replay only (default: what is imported)"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] is not None and options["limit"] < 1:
            raise CommandError("--limit must be at least 1.")
        # With a file of its own everything happens in one transaction that is taken back.
        with transaction.atomic() if options["file"] is not None else nullcontext():
            if options["file"] is not None:
                call_command("import_incidents", options["file"], stdout=io.StringIO(), stderr=self.stderr)
            total = self.replay(options["path"], options["limit"])
            if options["file"] is not None:
                transaction.set_rollback(True)
        if options["json"] is not None:
            try:
                options["json"].write_text(json.dumps(total.as_json(), indent=2) + "\n", encoding="utf-8")
            except OSError as error:
                raise CommandError(f"json: {options['json']} can't be written: {error.strerror}.") from error
        self.report(total)

    def replay(self, path_name: str | None, limit: int | None) -> Total:
        """Replay one incident after another, with a progress bar where somebody watches."""
        total = Total()
        screen = Console(stderr=True)
        try:
            path = find_path(path_name) if path_name is not None else None
            with bar(screen) as progress:
                task = progress.add_task("replaying", total=count_incidents(limit))
                for chunk in logged_incidents(limit):
                    for outcome in replay(chunk, path):
                        total.add(outcome)
                    progress.advance(task, len(chunk))
        except (Refused, LookupError) as error:
            raise CommandError(str(error)) from error
        if not total.outcomes:
            raise CommandError("There are no imported incidents. Run import_incidents first, or give --file.")
        return total

    def report(self, total: Total) -> None:
        """Print the figures, the same for the same incidents and paths."""
        console = Console(file=self.stdout, width=110)  # type: ignore[arg-type]
        self.console = console
        paths = ", ".join(f"{name} ({count})" for name, count in total.as_json()["paths"].items())
        console.print(
            f"{len(total.outcomes)} incidents replayed on {paths}. Nothing was written, nobody was told."
        )
        self.print_climbs(total)
        self.print_told(total)
        self.print_promises(total)
        self.print_held(total)
        self.print_worst(total)
        if cut := total.summed("cut_short"):
            self.console.print(
                f"{cut} incidents were told again {REPEATS} times in a row at the top with nobody acting; "
                "what would have followed until the next row of the log is not counted."
            )

    def print_climbs(self, total: Total) -> None:
        table = Table("climbs by clock", "because", "")
        table.columns[2].justify = "right"
        for (before, after, trigger), count in sorted(total.counted("climbs").items()):
            table.add_row(f"{_TIERS[before]} → {_TIERS[after]}", trigger.replace("_", " "), str(count))
        table.add_row("all", "", str(total.counted("climbs").total()))
        self.console.print(table)
        self.console.print(
            f"Lowered {total.summed('falls')} times as the log fell; "
            f"told again {total.summed('told_again')} times at the top or after a return."
        )

    def print_told(self, total: Total) -> None:
        table = Table("list", "who was told", "messages")
        table.columns[2].justify = "right"
        told = total.counted("told")
        by_list: dict[str, int] = {}
        for (name, _), count in told.items():
            by_list[name] = by_list.get(name, 0) + count
        for name in sorted(by_list, key=lambda name: (name == "", name)):
            for (own, contact), count in sorted(told.items(), key=lambda item: (-item[1], item[0])):
                if own == name:
                    table.add_row(name or "(no list)", contact, str(count))
            table.add_row(f"{name or '(no list)'}: all", "", str(by_list[name]), end_section=True)
        table.add_row("all", "", str(told.total()))
        self.console.print(table)

    def print_promises(self, total: Total) -> None:
        table = Table("promise", "kept", "missed")
        for column in table.columns[1:]:
            column.justify = "right"
        for kind in PROMISES:
            table.add_row(kind.label, str(total.counted("kept")[kind]), str(total.counted("missed")[kind]))
        self.console.print(table)
        share = total.in_time_share
        in_time, late = total.summed("acknowledged_in_time"), total.summed("acknowledged_late")
        said = (
            "no acknowledgement was wanted"
            if share is None
            else f"{share:.1%} ({in_time} of {in_time + late})"
        )
        self.console.print(f"Acknowledged in time: {said}.")

    def print_held(self, total: Total) -> None:
        held, would = total.durations("held"), total.durations("would_hold")
        if not held:
            self.console.print("L2 solved none of them.")
            return
        table = Table(f"{len(held)} incidents that L2 solved: time at L1 before", "median", "p90")
        for name, values in (("in the log", held), ("with this path at most", would)):
            median, p90 = percentile(values, 0.5), percentile(values, 0.9)
            table.add_row(name, *(spoken(value) if value is not None else "" for value in (median, p90)))
        self.console.print(table)

    def print_worst(self, total: Total) -> None:
        table = Table(
            "worst cases",
            "severity",
            "lasted",
            "highest in the log",
            "in Belay",
            "climbs",
            "messages",
            "missed",
        )
        for outcome in total.worst():
            table.add_row(
                outcome.case,
                f"SEV{outcome.severity}",
                spoken(outcome.lasted),
                _TIERS[outcome.logged_tier],
                _TIERS[outcome.shadow_tier],
                str(outcome.climbs.total()),
                str(outcome.told.total()),
                str(outcome.missed.total()),
            )
        self.console.print(table)


def bar(screen: Console) -> Progress:
    """Return a progress bar that stays quiet where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=screen, disable=not screen.is_terminal)
