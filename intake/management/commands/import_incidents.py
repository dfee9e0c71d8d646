"""Import a log of real incidents as historic tickets."""

import csv
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.db import database_now
from core.errors import Refused
from intake.incidents import CHUNK_ROWS, REPORTED_BAD_ROWS, Account, import_incidents
from intake.incidents import Progress as Told
from intake.mapping import read_layout
from intake.rules import FIELDS
from intake.staging import BadRow

_TIERS = {1: "L1", 2: "L2", 3: "L3", 4: "management"}


class Command(BaseCommand):
    help = "Import an incident log (CSV) as historic tickets; nobody is told, no clocks start. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV file; its first line names the columns")
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="FIELD=NAME",
            help=f"the column that holds a field, such as case=number; fields: {', '.join(FIELDS)}",
        )
        parser.add_argument(
            "--mapping", type=Path, help="a JSON or TOML file with columns and words (docs/import.md)"
        )
        parser.add_argument(
            "--delimiter", default="", help="what parts columns; one sign, or tab (default: ,)"
        )
        parser.add_argument("--encoding", default="", help="of the file (default: utf-8)")
        parser.add_argument("--time-zone", default="", help="for times that name none (default: UTC)")
        parser.add_argument("--time-format", default="", help="as strptime reads it (default: ISO 8601)")
        parser.add_argument("--dry-run", action="store_true", help="do everything, then take it back")
        parser.add_argument(
            "--max-errors", type=int, help="import nothing when more rows than this can't be read"
        )
        parser.add_argument("--rejects", type=Path, help="write the rows that can't be read to this CSV file")
        parser.add_argument("--chunk-rows", type=int, default=CHUNK_ROWS, help="rows per transaction")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["chunk_rows"] < 1:
            raise CommandError("--chunk-rows must be at least 1.")
        try:
            layout = read_layout(
                mapping=options["mapping"],
                columns=options["column"],
                delimiter=options["delimiter"],
                encoding=options["encoding"],
                time_zone=options["time_zone"],
                time_format=options["time_format"],
            )
            account = self.run(layout=layout, **options)
        except Refused as error:
            raise CommandError(f"{error.field}: {error}" if error.field else str(error)) from error
        self.report(account, dry_run=options["dry_run"])

    def run(self, *, file: Path, layout: Any, dry_run: bool, rejects: Path | None, **options: Any) -> Account:
        """Import with a progress bar, which stays quiet where nobody watches."""
        bad: list[BadRow] = []

        def on_bad(row: BadRow) -> None:
            if rejects is not None:
                writer.writerow([row.lines, row.field, row.value, row.reason])
            if len(bad) < REPORTED_BAD_ROWS:
                bad.append(row)

        screen = Console(stderr=True)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=screen,
            disable=not screen.is_terminal,
        )
        with _sheet(rejects) as sheet, bar:
            writer = csv.writer(sheet)
            writer.writerow(["lines", "field", "value", "reason"])
            size = file.stat().st_size if file.is_file() else None
            reading = bar.add_task("reading", total=size)
            recording = bar.add_task("recording", total=None)
            try:
                account = import_incidents(
                    file,
                    layout,
                    now=database_now(),
                    dry_run=dry_run,
                    max_errors=options["max_errors"],
                    on_bad=on_bad,
                    chunk_rows=options["chunk_rows"],
                    progress=Told(
                        reading=lambda done: bar.update(reading, completed=done),
                        recording=lambda done, of: bar.update(recording, completed=done, total=of),
                    ),
                )
            finally:
                for row in bad:
                    self.stderr.write(f"line {row.lines}: {row.field} “{row.value}” {row.reason}")
        unshown = account.bad.total() - len(bad)
        if unshown > 0:
            more = f"see {rejects}" if rejects is not None else "--rejects FILE writes them all"
            self.stderr.write(f"... and {unshown} rows more ({more})")
        return account

    def report(self, account: Account, *, dry_run: bool) -> None:
        """Print where every row went; the parts add up to the rows read."""
        staged = account.staged
        table = Table("rows of the file", "", title="dry run: nothing was written" if dry_run else None)
        table.columns[1].justify = "right"
        table.add_row("read", str(staged.read))
        for what, count in (
            ("opened a ticket", account.opened),
            ("changed a ticket", account.changed),
            ("changed nothing (recorded as “logged”)", account.unchanged),
            ("recorded by an earlier run", account.known),
            ("skipped: earlier than what the case has on record", account.late),
        ):
            table.add_row(f"  {what}", str(count))
        for (field, reason), count in sorted(account.bad.items()):
            table.add_row(f"  skipped: {field} {reason}", str(count))
        table.add_row("accounted for", str(account.accounted), end_section=True)
        table.add_row("cases", str(staged.cases))
        table.add_row("tickets opened", str(account.opened))
        table.add_row("tickets continued", str(account.continued))
        table.add_row("climbs", str(sum(n for (a, b), n in account.moves.items() if b > a)))
        table.add_row("falls", str(sum(n for (a, b), n in account.moves.items() if b < a)), end_section=True)
        for (before, after), count in sorted(account.moves.items()):
            table.add_row(f"{_TIERS[before]} → {_TIERS[after]}", str(count))
        Console(file=self.stdout, width=100).print(table)  # type: ignore[arg-type]
        self.remarks(account)
        if account.accounted != staged.read:
            raise CommandError(f"{staged.read} rows were read, {account.accounted} are accounted for.")

    def remarks(self, account: Account) -> None:
        """Say what was decided where the file left room."""
        staged = account.staged
        if staged.out_of_order:
            self.stdout.write(
                f"{staged.out_of_order} rows stood before an earlier one of their case; put in order."
            )
        if staged.naive:
            self.stdout.write(f"{staged.naive} times named no zone (--time-zone says which is meant).")
        for team, tiers in sorted(account.torn_teams.items()):
            seen = ", ".join(f"{_TIERS[tier]} {rows}x" for tier, rows in sorted(tiers.items()))
            self.stdout.write(
                f"Team {team} was seen at {seen}; its tickets' tiers follow the log, the team has one."
            )
        for line, case in account.late_rows:
            self.stdout.write(f"line {line}: case {case} has later rows on record already.")


def _sheet(path: Path | None) -> Any:
    """Open the file for rejected rows; without one, what is written goes nowhere."""
    try:
        return Path(path or os.devnull).open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise Refused(
            f"It can't be written: {error.strerror}.",
            field="rejects",
            value=str(path),
            mend="Give another path.",
        ) from error
