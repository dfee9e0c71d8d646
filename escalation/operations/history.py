"""Record the climbs and falls of imported tickets: no path, no clocks, nobody told (DESIGN 2)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import User
from escalation.models import Escalation
from tickets.timeline import working

# How an imported climb was acknowledged: the log shows somebody at work on the new tier.
VIA_LOG = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMove:
    """A change of tier that a log shows."""

    ticket_id: int
    from_tier: int
    to_tier: int
    at: dt.datetime
    by: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedTaking:
    """Somebody at work at the tier a ticket stands at; it acknowledges the last move before it."""

    ticket_id: int
    at: dt.datetime
    by: User | None = None


def record_moves(*, moves: Sequence[LoggedMove | LoggedTaking]) -> list[Escalation]:
    """Record moves and takings, in order of time per ticket, and return the new escalations.

    A rise is a climb, a drop a fall, both historic and numbered on by `seq`. Takings of what is acknowledged
    already, or of a ticket that never moved, change nothing. Locks the tickets; a constant number of queries.
    """
    with working() as work:
        ids = sorted({move.ticket_id for move in moves})
        work.lock(ids)
        last = {
            row.ticket_id: row
            for row in Escalation.objects.filter(ticket_id__in=ids)
            .order_by("ticket_id", "-seq")
            .distinct("ticket_id")
        }
        new: list[Escalation] = []
        taken: dict[int, Escalation] = {}
        for move in moves:
            current = last.get(move.ticket_id)
            if isinstance(move, LoggedMove):
                climbs = move.to_tier > move.from_tier
                last[move.ticket_id] = Escalation(
                    ticket_id=move.ticket_id,
                    seq=current.seq + 1 if current is not None else 1,
                    kind=Escalation.Kind.CLIMB if climbs else Escalation.Kind.FALL,
                    trigger=Escalation.Trigger.HISTORY,
                    from_tier=move.from_tier,
                    to_tier=move.to_tier,
                    at=move.at,
                    actor=move.by,
                    historic=True,
                )
                new.append(last[move.ticket_id])
            elif current is not None and current.historic and current.acknowledged_at is None:
                current.acknowledged_at = move.at
                current.acknowledged_by = move.by
                current.acknowledged_via = VIA_LOG
                if current.pk:
                    taken[current.pk] = current
        Escalation.objects.bulk_create(new)
        Escalation.objects.bulk_update(
            taken.values(), ["acknowledged_at", "acknowledged_by", "acknowledged_via"]
        )
    return new
