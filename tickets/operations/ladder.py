"""What escalation writes on tickets: where they stand and when they are due."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accounts.models import User
from tickets import kinds
from tickets.models import Event, Ticket
from tickets.timeline import Along, NewEvent, clamp, working


@dataclass(frozen=True, slots=True)
class LadderRow:
    """The deadlines of one ticket as lists and board sort by them; UTC."""

    ticket_id: int
    next_due_at: dt.datetime | None
    tier_due_at: dt.datetime | None
    unacknowledged_since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one ticket goes: a tier and, at a step that transfers, a team (the owner is then cleared)."""

    ticket_id: int
    tier: int
    team_id: int | None = None
    transfer: bool = False
    keep_assignee: bool = False


def set_ladder(
    *,
    rows: Sequence[LadderRow],
    now: dt.datetime,
    actor: User | None = None,
    events: Iterable[NewEvent] = (),
    placements: Sequence[Placement] = (),
    after: Iterable[NewEvent] = (),
    cause: Event | None = None,
) -> list[Event]:
    """Write what escalation decided about tickets it holds: deadlines, places and events, in one statement.

    On the timeline `events` come first, then what the placements change, then `after`, which is nobody's doing. At a
    step that transfers, team and owner change; at one that involves, the tier rises while the people at work stay
    (DESIGN 3, paths and steps). `rows` must name every ticket that is placed or has an event. Only escalation calls it.
    """
    with working() as work:
        tickets = {ticket.id: ticket for ticket in work.lock([row.ticket_id for row in rows])}
        new = list(events)
        for placement in placements:
            new += _place(tickets[placement.ticket_id], placement, now=now, cause=cause)
        for event in new:
            event.by = event.by or actor
        new += after
        along = [
            Along(tickets[row.ticket_id], row.next_due_at, row.tier_due_at, row.unacknowledged_since)
            for row in rows
        ]
        return work.record(new, actor=None, now=now, along=along)


def _place(ticket: Ticket, placement: Placement, *, now: dt.datetime, cause: Event | None) -> list[NewEvent]:
    """Change where a ticket is and return the events that say so."""
    changes: list[tuple[str, int | None, int | None]] = []
    if placement.tier != ticket.tier:
        changes.append((kinds.TIER_CHANGED, ticket.tier, placement.tier))
        ticket.tier = placement.tier
    # Also where a repeated tier has another team: each step's time counts from its own start.
    ticket.tier_since = clamp(ticket, now)
    if placement.transfer:
        if placement.team_id is not None and placement.team_id != ticket.team_id:
            changes.append((kinds.TEAM_CHANGED, ticket.team_id, placement.team_id))
            ticket.team_id = placement.team_id
        if ticket.assignee_id is not None and not placement.keep_assignee:
            changes.append((kinds.ASSIGNED, ticket.assignee_id, None))
            ticket.assignee_id = None
    return [NewEvent(ticket, kind, {"from": old, "to": new}, cause=cause) for kind, old, new in changes]


def set_aside(*, ticket_id: int, at: dt.datetime | None) -> None:
    """Mark a ticket whose processing fails (or, with None, works again), so that the board shows it."""
    Ticket.objects.filter(pk=ticket_id).update(set_aside_at=at)
