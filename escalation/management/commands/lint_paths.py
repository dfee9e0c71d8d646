"""Say what is doubtful about the paths in force, for people and for CI."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.db import database_now
from escalation.linting import Linted, lint_active
from escalation.rules.lint import ERROR, LEVELS, at_least


class Command(BaseCommand):
    help = (
        "Say what is doubtful about the escalation paths in force, each with its place and the mend. "
        "Ends with 1 when anything at or above the level was found, else with 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--path", metavar="NAME", help="look at this path only")
        parser.add_argument(
            "--fail-on",
            choices=LEVELS,
            default=ERROR,
            help="error: somebody may be left without help (the default); warning: anything at all",
        )
        parser.add_argument("--json", action="store_true", help="print a JSON document instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        found = lint_active(database_now())
        name = options["path"]
        if name is not None:
            there = ", ".join(f"“{one.path.name}”" for one in found) or "none at all"
            found = [one for one in found if one.path.name.casefold() == name.strip().casefold()]
            if not found:
                raise CommandError(f"path: there is no active path “{name}”. Take one of these: {there}.")
        if options["json"]:
            self.stdout.write(json.dumps([_document(one) for one in found], indent=2, ensure_ascii=False))
        else:
            self._say(found)
        if not found or any(at_least(one.doubts, options["fail_on"]) for one in found):
            raise SystemExit(1)

    def _say(self, found: list[Linted]) -> None:
        if not found:
            self.stdout.write("There is no active path: tickets stay at L1 without a clock. Publish one.")
        elif not any(one.doubts for one in found):
            paths = "1 path" if len(found) == 1 else f"{len(found)} paths"
            self.stdout.write(f"Nothing to doubt about {paths}.")
        for one in found:
            if one.doubts:
                self.stdout.write(f"{one.path.name}, version {_version(one)}")
            for doubt in one.doubts:
                self.stdout.write(f"  {doubt.level:<7}  {doubt.field}: {doubt.message} {doubt.mend}")


def _version(linted: Linted) -> int | None:
    return linted.path.current.number if linted.path.current is not None else None


def _document(linted: Linted) -> dict[str, Any]:
    return {
        "path": linted.path.name,
        "version": _version(linted),
        "doubts": [
            {
                "code": doubt.code,
                "level": doubt.level,
                "field": doubt.field,
                "step": doubt.step,
                "severity": doubt.severity,
                "message": doubt.message,
                "mend": doubt.mend,
            }
            for doubt in linted.doubts
        ],
    }
