"""Import incident logs as historic tickets: nobody is paged, no clocks start (DESIGN 2 and 5)."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from core.errors import Conflict, Refused
from escalation.operations import LoggedMove, LoggedTaking, record_moves
from intake.catalogue import Catalogue
from intake.mapping import Layout
from intake.rules import KEEP, Incident, Vocabulary, read_row, tag_of
from intake.staging import BadRow, Staged, StagedRow, most_frequent_tiers, stage, staged_rows
from tickets.models import Impact, Source, Ticket
from tickets.operations import Draft, LoggedCase, LoggedRow, record_cases
from tickets.timeline import working

# One import at a time: two would race for the same cases.
_LOCK = 0x62656C6179  # "belay"
CHUNK_ROWS = 1_000
REPORTED_BAD_ROWS = 20


@dataclass(slots=True)
class Account:
    """Where every row of the file went; `balanced` says whether all of them are there."""

    staged: Staged = field(default_factory=Staged)
    opened: int = 0
    changed: int = 0
    unchanged: int = 0
    known: int = 0
    late: int = 0
    bad: Counter[tuple[str, str]] = field(default_factory=Counter)
    # (from tier, to tier) -> how many; a rise is a climb, a drop a fall.
    moves: Counter[tuple[int, int]] = field(default_factory=Counter)
    continued: int = 0
    late_rows: list[tuple[int, str]] = field(default_factory=list)
    # Team -> tier -> rows, of teams seen at more than one tier or at another than theirs.
    torn_teams: dict[str, dict[int, int]] = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        return self.bad.total() + self.late

    @property
    def accounted(self) -> int:
        """Rows whose whereabouts are known; must equal `staged.read`."""
        return self.opened + self.changed + self.unchanged + self.known + self.skipped


class TooManyErrors(Refused):
    """Say that the file has more bad rows than were to be put up with; nothing was imported."""


class ImportUnderWay(Conflict):
    """Say that another import runs."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom to tell how far the work is; each gets absolute numbers."""

    reading: Callable[[int], None] = lambda _: None  # bytes
    recording: Callable[[int, int], None] = lambda _done, _of: None  # rows


def import_incidents(
    path: Path,
    layout: Layout,
    *,
    now: dt.datetime,
    dry_run: bool = False,
    max_errors: int | None = None,
    on_bad: Callable[[BadRow], None] = lambda _: None,
    progress: Progress | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Account:
    """Import a log and account for every row of it.

    Rows that are recorded already are known by their case and content, so a second run, or one after a run that
    was killed, adds only what is missing; each chunk of rows is one transaction. A dry run does the same work and
    takes it all back. Raises Refused (file, layout), TooManyErrors, ImportUnderWay.
    """
    told = progress or Progress()
    account = Account()

    def count_bad(row: BadRow) -> None:
        account.bad[(row.field, row.reason)] += 1
        on_bad(row)
        if max_errors is not None and account.bad.total() > max_errors:
            raise TooManyErrors(
                f"More than {max_errors} rows can't be read; nothing was imported.",
                field="max_errors",
                value=max_errors,
                mend="Mend the rows, map their words, or allow more errors.",
            )

    with _alone(), _taken_back() if dry_run else nullcontext():
        account.staged = stage(path, layout, now=now, on_bad=count_bad, on_progress=told.reading)
        recorder = _Recorder(account, layout.words, now)
        done = 0
        while rows := staged_rows(done, chunk_rows):
            recorder.record(rows)
            done = rows[-1].place
            told.recording(done, account.staged.good)
    return account


@contextmanager
def _taken_back() -> Iterator[None]:
    """Do everything in one transaction and take it back at the end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def _alone() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (mine,) = cursor.fetchone()
    if not mine:
        raise ImportUnderWay("Another import is under way.", field="file", mend="Wait until it has ended.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


@dataclass(slots=True)
class _Known:
    """A case recorded before: its ticket, its latest row, and the keys of its rows."""

    ticket: Ticket
    latest: dt.datetime
    keys: set[str] = field(default_factory=set)


class _Recorder:
    """Records chunks of staged rows, each in one transaction."""

    def __init__(self, account: Account, words: Vocabulary, now: dt.datetime) -> None:
        self.account = account
        self.words = words
        self.now = now
        self.last_case = ""
        self.catalogue = Catalogue(most_frequent_tiers(words))
        self.account.torn_teams = self.catalogue.torn_teams()

    def record(self, rows: Sequence[StagedRow]) -> None:
        with transaction.atomic():
            self._record(rows)
        self.last_case = read_row(rows[-1].values, self.words, self.now).case

    def _record(self, rows: Sequence[StagedRow]) -> None:
        read = [(row, read_row(row.values, self.words, self.now)) for row in rows]
        self.catalogue.provide([incident for _, incident in read])
        known = _known_cases({incident.case for _, incident in read}, min(row.at for row in rows))
        cases: list[LoggedCase] = []
        for case, group in groupby(read, key=lambda pair: pair[1].case):
            wanted = self._wanted(list(group), known.get(case))
            if not wanted:
                continue
            logged = [self._logged(row, incident) for row, incident in wanted]
            if case in known:
                # A chunk may end inside a case: only what an earlier run began is continued.
                self.account.continued += case != self.last_case
                cases.append(LoggedCase(ticket_id=known[case].ticket.pk, rows=logged))
            else:
                cases.append(LoggedCase(draft=self._draft(wanted[0][1]), rows=logged))
        if not cases:
            return
        tiers = {entry.ticket.pk: entry.ticket.tier for entry in known.values()}
        with working():
            recorded = record_cases(cases=cases, now=self.now)
            moves: list[LoggedMove | LoggedTaking] = []
            for ticket, one in zip(recorded.tickets, cases, strict=True):
                tier = one.draft.tier if one.draft is not None else tiers[ticket.pk]
                moves.extend(_moves_of(ticket.pk, tier, one.rows))
            record_moves(moves=moves)
        self.account.opened += recorded.opened
        self.account.changed += recorded.changed
        self.account.unchanged += recorded.unchanged
        self.account.moves.update((m.from_tier, m.to_tier) for m in moves if isinstance(m, LoggedMove))

    def _wanted(
        self, rows: Sequence[tuple[StagedRow, Incident]], known: _Known | None
    ) -> list[tuple[StagedRow, Incident]]:
        """Leave out the rows recorded before, and those that come too late to be told in order."""
        if known is None:
            return list(rows)
        wanted = []
        for row, incident in rows:
            if row.key in known.keys:
                self.account.known += 1
            elif row.at < known.latest:
                self.account.late += 1
                if len(self.account.late_rows) < REPORTED_BAD_ROWS:
                    self.account.late_rows.append((row.line, incident.case))
            else:
                wanted.append((row, incident))
        return wanted

    def _draft(self, incident: Incident) -> Draft:
        catalogue = self.catalogue
        organisation = catalogue.organisation(incident)
        subject = incident.subject or " ".join(filter(None, ("Incident", incident.case, incident.product)))
        return Draft(
            requester=catalogue.requester(incident),
            subject=subject[:300],
            organisation=organisation,
            service=catalogue.service(incident),
            source=Source.IMPORT,
            source_key=incident.case,
            team=catalogue.team(incident),
            tier=incident.tier,
            tags=_tags(incident),
            impact=incident.impact or Impact.MEDIUM,
        )

    def _logged(self, row: StagedRow, incident: Incident) -> LoggedRow:
        """Return the row as the ticket is afterwards; resources are people, they stand as actors, not in the log."""
        catalogue = self.catalogue
        resource = catalogue.resource(incident)
        changes: dict[str, Any] = {"tier": incident.tier}
        if incident.status != KEEP:
            changes["status"] = incident.status
        if incident.impact is not None:
            changes["impact"] = incident.impact
        for name, row_of in (
            ("team_id", catalogue.team(incident)),
            ("service_id", catalogue.service(incident)),
            ("organisation_id", catalogue.organisation(incident)),
        ):
            if row_of is not None:
                changes[name] = row_of.pk
        if incident.queued:
            changes["assignee_id"] = None
        elif resource is not None and incident.status in ("open", "waiting", "hold"):
            changes["assignee_id"] = resource.pk
        words = ("status", "substatus", "level", "team", "org_line")
        log = {name: row.values[name] for name in words if row.values.get(name)}
        return LoggedRow(
            happened_at=row.at,
            log={**log, "key": row.key, "line": row.line},
            changes=changes,
            by=resource,
            tags=_tags(incident),
        )


def _tags(incident: Incident) -> list[str]:
    tag = tag_of(incident.org_line or "")
    return [tag] if tag else []


def _moves_of(ticket_id: int, tier: int, rows: Sequence[LoggedRow]) -> Iterator[LoggedMove | LoggedTaking]:
    """Yield the changes of tier, and who was first at work after each."""
    for row in rows:
        to_tier: int = row.changes["tier"]
        if to_tier != tier:
            yield LoggedMove(
                ticket_id=ticket_id, from_tier=tier, to_tier=to_tier, at=row.happened_at, by=row.by
            )
            tier = to_tier
        if row.changes.get("assignee_id") is not None:
            yield LoggedTaking(ticket_id=ticket_id, at=row.happened_at, by=row.by)


def _known_cases(cases: set[str], since: dt.datetime) -> dict[str, _Known]:
    """Return what is recorded of these cases, with the keys of rows from `since` on; two queries."""
    tickets = {
        ticket.pk: ticket for ticket in Ticket.objects.filter(source=Source.IMPORT, source_key__in=cases)
    }
    if not tickets:
        return {}
    known = {ticket.source_key: _Known(ticket, ticket.opened_at) for ticket in tickets.values()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ticket_id, happened_at, data #>> '{log,key}' FROM tickets_event"
            " WHERE ticket_id = ANY(%s) AND happened_at >= %s AND data -> 'log' IS NOT NULL",
            [list(tickets), since],
        )
        for ticket_id, happened_at, key in cursor.fetchall():
            entry = known[tickets[ticket_id].source_key]
            entry.latest = max(entry.latest, happened_at)
            entry.keys.add(key)
    return known
