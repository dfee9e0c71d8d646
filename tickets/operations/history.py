"""Record what happened elsewhere, long ago: historic tickets page nobody and run no clocks (DESIGN 2)."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from accounts.models import User
from core.errors import Refused
from tickets import kinds
from tickets.models import Entry, EntryKind, Status, Ticket
from tickets.operations.conversation import KIND_OF_ENTRY
from tickets.operations.opening import Draft, open_tickets
from tickets.queries import severity_matrix
from tickets.rules import is_reopening, proposed_severity
from tickets.timeline import NewEvent, working

# What a logged row may change, in the order in which its events are told.
CHANGEABLE = ("organisation_id", "service_id", "impact", "tier", "team_id", "assignee_id", "status")
_KIND_OF = {
    "tier": kinds.TIER_CHANGED,
    "team_id": kinds.TEAM_CHANGED,
    "assignee_id": kinds.ASSIGNED,
    "status": kinds.STATUS_CHANGED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRow:
    """One row of a log: when, by whom, the words as they were, and what the ticket is like afterwards.

    `log` holds no personal text, it is never erased; `changes` maps CHANGEABLE names to values, what it does not
    name stays as it was. `entry` is what was said, not saved yet and without its ticket.
    """

    happened_at: dt.datetime
    log: Mapping[str, Any]
    changes: Mapping[str, Any]
    by: User | None = None
    tags: Sequence[str] = ()
    entry: Entry | None = None


@dataclass(slots=True, kw_only=True)
class LoggedCase:
    """A case of a log: the ticket to be opened or, when it is known already, its id; rows in order of time."""

    rows: Sequence[LoggedRow]
    draft: Draft | None = None
    ticket_id: int | None = None


@dataclass(slots=True)
class Recorded:
    """What became of the rows of one batch; every row is counted once."""

    opened: int = 0
    changed: int = 0
    unchanged: int = 0
    tickets: list[Ticket] = field(default_factory=list)


def record_cases(*, cases: Sequence[LoggedCase], now: dt.datetime) -> Recorded:
    """Open historic tickets and append logged rows to them, in a constant number of queries.

    Each row becomes the events of what it changed, the first of them carrying the row's `log`; a row that changed
    nothing becomes one event of the kind "logged". Locks the tickets. Raises Refused when a row is earlier than
    the one before it on its case, or when a ticket is not historic.
    """
    matrix = severity_matrix()
    result = Recorded()
    with working() as work:
        tickets = _tickets_of(cases, now)
        work.lock([ticket.pk for ticket in tickets])
        new: list[NewEvent] = []
        for ticket, case in zip(tickets, cases, strict=True):
            last = ticket.opened_at
            for place, row in enumerate(case.rows):
                if row.happened_at < last:
                    raise Refused(
                        f"A row of “{ticket.source_key}” is earlier than the one before it.",
                        field="happened_at",
                        value=row.happened_at.isoformat(),
                        mend="Give the rows of a case in order of time.",
                    )
                last = row.happened_at
                opening = case.draft is not None and place == 0
                events = list(_events_of(ticket, row, matrix))
                if opening:
                    result.opened += 1
                elif events:
                    result.changed += 1
                else:
                    result.unchanged += 1
                    events = [NewEvent(ticket, kinds.LOGGED, happened_at=row.happened_at, by=row.by)]
                if not opening:
                    events[0].data = {**events[0].data, **_log_of(row)}
                new.extend(events)
        Ticket.objects.bulk_update(
            tickets,
            [
                *("organisation", "service", "impact", "severity", "tier", "tier_since", "team", "assignee"),
                *(
                    "status",
                    "resolved_at",
                    "closed_at",
                    "reopened_count",
                    "tags",
                    "last_requester_at",
                    "last_answer_at",
                ),
            ],
        )
        work.record(new, actor=None, now=now)
    result.tickets = tickets
    return result


def _tickets_of(cases: Sequence[LoggedCase], now: dt.datetime) -> list[Ticket]:
    """Return each case's ticket, held: known ones locked first, then new ones opened by their first row."""
    with working() as work:
        known = {ticket.pk: ticket for ticket in work.lock([c.ticket_id for c in cases if c.ticket_id])}
        live = next((ticket for ticket in known.values() if not ticket.historic), None)
        if live is not None:
            raise Refused(
                f"#{live.pk} is no historic ticket.",
                field="source_key",
                value=live.source_key,
                mend="History is recorded on imported tickets only.",
            )
        drafts = [
            replace(
                case.draft,
                historic=True,
                happened_at=case.rows[0].happened_at,
                facts={**case.draft.facts, **_log_of(case.rows[0])},
                opened_by=case.rows[0].by,
            )
            for case in cases
            if case.draft is not None
        ]
        opened = iter(open_tickets(drafts=drafts, actor=None, now=now) if drafts else [])
        return [next(opened) if case.draft is not None else known[case.ticket_id or 0] for case in cases]


def _log_of(row: LoggedRow) -> dict[str, Any]:
    return {"log": dict(row.log)} if row.log else {}


def _events_of(ticket: Ticket, row: LoggedRow, matrix: Mapping[tuple[int, int], int]) -> Iterator[NewEvent]:
    """Change the ticket as the row says and yield what changed."""
    at = row.happened_at
    for name in CHANGEABLE:
        if name not in row.changes:
            continue
        before, after = getattr(ticket, name), row.changes[name]
        if name == "status" and after == Status.NEW and before != Status.NEW:
            # Logs queue a case anew under the word they opened it by; here it is new only once.
            after = Status.OPEN
        if before == after:
            continue
        setattr(ticket, name, after)
        facts: dict[str, Any] = {"from": before, "to": after}
        if name == "status":
            facts["reopened"] = _follow_status(ticket, before, at)
        elif name == "tier":
            ticket.tier_since = at
        elif name not in _KIND_OF:
            facts["field"] = name.removesuffix("_id")
        yield NewEvent(ticket, _KIND_OF.get(name, kinds.FIELD_CHANGED), facts, happened_at=at, by=row.by)
        if name == "impact":
            proposed = proposed_severity(matrix, ticket.impact, ticket.urgency)
            if proposed != ticket.severity and not ticket.severity_overridden:
                facts = {"from": ticket.severity, "to": proposed, "by": "matrix"}
                ticket.severity = proposed
                yield NewEvent(ticket, kinds.SEVERITY_CHANGED, facts, happened_at=at, by=row.by)
    if row.entry is not None:
        yield _said(ticket, row.entry, row)
    added = sorted(set(row.tags) - set(ticket.tags))
    if added:
        ticket.tags = sorted({*ticket.tags, *added})
        yield NewEvent(ticket, kinds.TAGGED, {"added": added, "removed": []}, happened_at=at, by=row.by)


def _said(ticket: Ticket, entry: Entry, row: LoggedRow) -> NewEvent:
    """Put an entry on the ticket, and remember when the customer last spoke and was last answered."""
    entry.ticket = ticket
    entry.from_requester = entry.author_id == ticket.requester_id
    if entry.is_public and entry.from_requester:
        ticket.last_requester_at = row.happened_at
    elif entry.is_public:
        ticket.last_answer_at = row.happened_at
    facts = {"from_requester": entry.from_requester, "automatic": False}
    kind = KIND_OF_ENTRY[EntryKind(entry.kind)]
    return NewEvent(ticket, kind, facts, entry=entry, happened_at=row.happened_at, by=row.by)


def _follow_status(ticket: Ticket, before: str, at: dt.datetime) -> bool:
    """Keep the instants that go with the status; tell whether the change brought the ticket back."""
    if ticket.status == Status.RESOLVED:
        ticket.resolved_at = at
    elif ticket.status == Status.CLOSED:
        ticket.closed_at = at
        ticket.resolved_at = ticket.resolved_at or at
    elif is_reopening(before, ticket.status):
        ticket.resolved_at = ticket.closed_at = None
        ticket.reopened_count += 1
        return True
    return False
