"""Which open tickets run by versions that are older than the one in force; counted by the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction

from calendars.models import CalendarVersion
from escalation.models import Clock, PathVersion, RecomputeJob
from tickets.querysets import OPEN

# A page does not wait longer than this for a count.
PATIENCE_MS = 2000

_BY_PATH = """
    FROM escalation_standing s JOIN tickets_ticket t ON t.id = s.ticket_id
    WHERE s.version_id = ANY(%(older)s) AND t.status = ANY(%(open)s) AND NOT t.historic
      AND s.ticket_id > %(after)s
"""
# Written as the partial index "one live clock per kind" is: it is read in order of tickets.
_BY_CALENDAR = """
    FROM escalation_clock c JOIN tickets_ticket t ON t.id = c.ticket_id
    WHERE c.calendar_version_id = ANY(%(older)s) AND c.state IN ('running', 'paused')
      AND t.status = ANY(%(open)s) AND NOT t.historic AND c.ticket_id > %(after)s
"""


@dataclass(frozen=True, slots=True)
class Affected:
    """The tickets that older versions of one path or calendar concern; `older` maps their ids to their numbers."""

    of_path: bool
    older: Mapping[int, int]

    @property
    def _source(self) -> str:
        return _BY_PATH if self.of_path else _BY_CALENDAR

    @property
    def _key(self) -> str:
        return "s.ticket_id" if self.of_path else "c.ticket_id"

    def count(self, after: int = 0) -> int:
        """Count the tickets exactly; reads every open ticket that comes into question."""
        if not self.older:
            return 0
        what = "count(*)" if self.of_path else f"count(DISTINCT {self._key})"
        return int(self._rows(f"SELECT {what} {self._source}", after)[0][0])

    def count_by_version(self) -> dict[int, int]:
        """Count the tickets per number of the version they run by (a ticket of two versions counts for both)."""
        if not self.older:
            return {}
        version = "s.version_id" if self.of_path else "c.calendar_version_id"
        what = f"{version}, count(DISTINCT {self._key})"
        rows = self._rows(f"SELECT {what} {self._source} GROUP BY {version}", 0)
        return dict(sorted((self.older[version_id], count) for version_id, count in rows))

    def clocks(self) -> dict[str, int]:
        """Count their live clocks by kind: of a path all of each ticket's, of a calendar those it counts."""
        if not self.older:
            return {}
        source = self._source
        if self.of_path:
            source = source.replace(
                "FROM escalation_standing s",
                "FROM escalation_standing s JOIN escalation_clock c"
                " ON c.ticket_id = s.ticket_id AND c.state IN ('running', 'paused')",
            )
        rows = self._rows(f"SELECT c.kind, count(*) {source} GROUP BY c.kind", 0)
        return {kind: count for kind, count in sorted(rows) if kind in Clock.Kind.values}

    def ids(self, *, after: int, limit: int) -> list[int]:
        """Return the next tickets beyond the id `after`, in order."""
        if not self.older:
            return []
        rows = self._rows(
            f"SELECT DISTINCT {self._key} {self._source} ORDER BY {self._key} LIMIT %(limit)s", after, limit
        )
        return [pk for (pk,) in rows]

    def counts_for_page(self) -> tuple[int, dict[int, int]] | None:
        """Count all, and per version, for a page: None where that takes longer than a page can wait."""
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE_MS)])
                found = self.count_by_version()
                total = sum(found.values()) if self.of_path or len(found) < 2 else self.count()
                with connection.cursor() as cursor:
                    # Inside a longer transaction the limit would outlive the savepoint.
                    cursor.execute("RESET statement_timeout")
                return total, found
        except OperationalError:
            return None

    def _rows(self, sql: str, after: int, limit: int = 0) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(
                sql, {"older": list(self.older), "open": list(OPEN), "after": after, "limit": limit}
            )
            return list(cursor.fetchall())


def of_path(version: PathVersion) -> Affected:
    """Return what runs by versions of the same path older than `version`; one query at most."""
    if version.number == 1:
        return Affected(True, {})
    rows = PathVersion.objects.filter(path_id=version.path_id, number__lt=version.number)
    return Affected(True, dict(rows.values_list("pk", "number")))


def of_calendar(version: CalendarVersion) -> Affected:
    """Return what counts by versions of the same calendar older than `version`; one query at most."""
    if version.number == 1:
        return Affected(False, {})
    rows = CalendarVersion.objects.filter(calendar_id=version.calendar_id, number__lt=version.number)
    return Affected(False, dict(rows.values_list("pk", "number")))


def of_job(job: RecomputeJob) -> Affected:
    """Return what a job is about, as of now."""
    if job.path_version is not None:
        return of_path(job.path_version)
    if job.calendar_version is not None:
        return of_calendar(job.calendar_version)
    raise ValueError(f"job {job.pk} is about nothing")
