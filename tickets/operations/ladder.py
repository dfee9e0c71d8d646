"""What escalation writes on tickets: where they stand and when they are due."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from accounts.models import User
from tickets import kinds
from tickets.models import Event, Ticket
from tickets.timeline import NewEvent, clamp, working


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


def set_ladder(rows: Sequence[LadderRow]) -> None:
    """Write the deadlines of tickets that the caller holds, in one statement; only escalation calls it."""
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE tickets_ticket t
            SET next_due_at = n.next_due_at, tier_due_at = n.tier_due_at,
                unacknowledged_since = n.unacknowledged_since
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
                AS n (id, next_due_at, tier_due_at, unacknowledged_since)
            WHERE t.id = n.id
              AND (t.next_due_at, t.tier_due_at, t.unacknowledged_since)
                  IS DISTINCT FROM (n.next_due_at, n.tier_due_at, n.unacknowledged_since)
            """,
            [
                [row.ticket_id for row in rows],
                [row.next_due_at for row in rows],
                [row.tier_due_at for row in rows],
                [row.unacknowledged_since for row in rows],
            ],
        )


def place_tickets(
    *,
    placements: Sequence[Placement],
    actor: User | None,
    now: dt.datetime,
    happened_at: dt.datetime | None = None,
    cause: Event | None = None,
) -> list[Event]:
    """Move tickets to the tier and team of a step; only escalation (and imports of history) call it.

    At a step that transfers, team and owner change; at one that involves, the tier rises while the people at work
    stay (DESIGN 3, paths and steps).
    """
    with working() as work:
        by_id = {placement.ticket_id: placement for placement in placements}
        tickets = work.lock(by_id)
        new = []
        for ticket in tickets:
            placement = by_id[ticket.pk]
            if placement.tier != ticket.tier:
                facts: dict[str, object] = {"from": ticket.tier, "to": placement.tier}
                new.append(NewEvent(ticket, kinds.TIER_CHANGED, facts, happened_at=happened_at, cause=cause))
                ticket.tier = placement.tier
            # Also where a repeated tier has another team: each step's time counts from its own start.
            ticket.tier_since = happened_at or clamp(ticket, now)
            if not placement.transfer:
                continue
            if placement.team_id is not None and placement.team_id != ticket.team_id:
                facts = {"from": ticket.team_id, "to": placement.team_id}
                new.append(NewEvent(ticket, kinds.TEAM_CHANGED, facts, happened_at=happened_at, cause=cause))
                ticket.team_id = placement.team_id
            if ticket.assignee_id is not None and not placement.keep_assignee:
                facts = {"from": ticket.assignee_id, "to": None}
                new.append(NewEvent(ticket, kinds.ASSIGNED, facts, happened_at=happened_at, cause=cause))
                ticket.assignee_id = None
        Ticket.objects.bulk_update(tickets, ["tier", "tier_since", "team", "assignee"])
        return work.record(new, actor=actor, now=now)


def set_aside(*, ticket_id: int, at: dt.datetime | None) -> None:
    """Mark a ticket whose processing fails (or, with None, works again), so that the board shows it."""
    Ticket.objects.filter(pk=ticket_id).update(set_aside_at=at)
