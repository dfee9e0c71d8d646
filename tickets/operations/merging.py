"""Merge tickets that are about the same thing: the survivor goes on, the others lead to it (DESIGN 3, changes)."""

import datetime as dt
from collections.abc import Sequence

from accounts.models import User
from accounts.rules import Verb
from core.errors import Conflict, NotAllowed, Refused
from tickets import kinds
from tickets.models import Event, Status, Ticket
from tickets.operations.access import hold
from tickets.operations.words import reason_text
from tickets.queries import surviving
from tickets.timeline import NewEvent, clamp, working


def merge_tickets(
    *, loser_ids: Sequence[int], survivor_id: int, actor: User | None, now: dt.datetime, reason: str = ""
) -> list[Event]:
    """Close tickets in favour of an open one, which takes the highest severity among those that were open.

    What escalation takes over (tier, promises) follows in the same transaction. The conversations stay where they
    are. Those merged into the survivor already are left alone. Locks all of them at once. Raises Refused (nothing to
    merge, itself, imported history), Conflict (merged elsewhere, a major incident, a finished survivor), NotAllowed
    (out of reach, or another organisation's ticket without leading) and Ticket.DoesNotExist.
    """
    wanted = set(loser_ids)
    if not wanted or survivor_id in wanted:
        raise Refused(
            "A ticket is merged into another one." if wanted else "No ticket is named.",
            field="tickets",
            value=survivor_id if wanted else "",
            mend="Name the tickets that end, and one that goes on.",
        )
    with working() as work:
        held = {t.pk: t for t in hold(work, {*wanted, survivor_id}, actor=actor, verb=Verb.MERGE)}
        survivor = held.pop(survivor_id)
        _check_survivor(survivor)
        losers = [ticket for ticket in held.values() if ticket.merged_into_id != survivor.pk]
        for ticket in losers:
            _check_loser(ticket, survivor, actor)
        if not losers:
            return []
        text = reason_text(reason)
        new = [
            NewEvent(survivor, kinds.MERGED, {"from": [ticket.pk for ticket in losers]}, text=text),
            *(
                NewEvent(ticket, kinds.MERGED, {"into": survivor.pk, "was_open": ticket.is_open}, text=text)
                for ticket in losers
            ),
        ]
        worst = min((ticket.severity for ticket in losers if ticket.is_open), default=survivor.severity)
        for ticket in losers:
            if ticket.status != Status.CLOSED:
                facts: dict[str, object] = {
                    "from": ticket.status,
                    "to": Status.CLOSED.value,
                    "reopened": False,
                }
                new.append(NewEvent(ticket, kinds.STATUS_CHANGED, {**facts, "merged_into": survivor.pk}))
            at = clamp(ticket, now)
            ticket.status = Status.CLOSED
            ticket.closed_at = ticket.closed_at or at
            ticket.resolved_at = ticket.resolved_at or at
            ticket.merged_into = survivor
        if worst < survivor.severity:
            facts = {"from": survivor.severity, "to": worst, "by": "merge"}
            new.append(NewEvent(survivor, kinds.SEVERITY_CHANGED, facts))
            survivor.severity = worst
            # The survivor's own impact and urgency no longer say how bad it is.
            survivor.severity_overridden = True
            survivor.save(update_fields=["severity", "severity_overridden"])
        Ticket.objects.bulk_update(losers, ["status", "closed_at", "resolved_at", "merged_into"])
        return work.record(new, actor=actor, now=now)


def _check_survivor(survivor: Ticket) -> None:
    _check_lives(survivor)
    if survivor.merged_into_id is not None:
        raise Conflict(
            f"#{survivor.pk} was merged itself.",
            field="survivor",
            value=survivor.pk,
            mend=f"Merge into #{surviving(survivor).pk}.",
        )
    if not survivor.is_open:
        raise Conflict(
            f"#{survivor.pk} is {survivor.get_status_display().lower()}.",
            field="survivor",
            value=survivor.pk,
            mend="Reopen it first, or merge the other way round.",
        )


def _check_loser(ticket: Ticket, survivor: Ticket, actor: User | None) -> None:
    _check_lives(ticket)
    if ticket.merged_into_id is not None:
        raise Conflict(
            f"#{ticket.pk} was merged already.",
            field="tickets",
            value=ticket.pk,
            mend=f"Merge #{surviving(ticket).pk}, which it leads to.",
        )
    if ticket.is_major:
        raise Conflict(
            f"#{ticket.pk} is a major incident.",
            field="tickets",
            value=ticket.pk,
            mend="Merge the other way round, or link the other to it.",
        )
    if ticket.organisation_id != survivor.organisation_id and actor is not None and not actor.may(Verb.LEAD):
        raise NotAllowed(
            f"#{ticket.pk} and #{survivor.pk} belong to different organisations.",
            field="tickets",
            value=ticket.pk,
            mend="Ask a lead to merge them.",
        )


def _check_lives(ticket: Ticket) -> None:
    if ticket.historic:
        raise Refused(
            f"#{ticket.pk} is imported history.",
            field="tickets",
            value=ticket.pk,
            mend="Only tickets opened in Belay are merged.",
        )
