"""Major incidents, and the tickets that are linked to one until it is over (DESIGN 3, changes under way)."""

import datetime as dt
from collections.abc import Sequence

from accounts.models import User
from accounts.operations import permit
from accounts.queries import scope_of
from accounts.rules import Verb
from core.errors import Conflict, Refused
from tickets import kinds
from tickets.models import Event, Status, Ticket
from tickets.operations.access import check_reach, hold
from tickets.operations.changes import apply_status
from tickets.operations.words import reason_text
from tickets.querysets import OPEN
from tickets.timeline import NewEvent, working

BATCH = 500


def declare_major(*, ticket_id: int, actor: User | None, now: dt.datetime, reason: str = "") -> list[Event]:
    """Declare an open ticket a major incident, to which others can be linked; declared twice it counts once.

    Raises Refused (imported history), Conflict (finished, or linked to an incident itself) and NotAllowed.
    """
    with working() as work:
        (ticket,) = hold(work, [ticket_id], actor=actor, verb=Verb.LINK)
        if ticket.is_major:
            return []
        _check_open(ticket, "ticket")
        if ticket.incident_id is not None:
            raise Conflict(
                f"#{ticket.pk} is linked to major incident #{ticket.incident_id}.",
                field="ticket",
                value=ticket.pk,
                mend="Unlink it first.",
            )
        ticket.is_major = True
        ticket.save(update_fields=["is_major"])
        declared = NewEvent(ticket, kinds.DECLARED_MAJOR, text=reason_text(reason))
        return work.record([declared], actor=actor, now=now)


def link_to_incident(
    *, ticket_ids: Sequence[int], incident_id: int, actor: User | None, now: dt.datetime
) -> list[Event]:
    """Link open tickets to an open major incident, which goes on for them; linked ones stay as they are.

    Escalation suspends what the incident takes over. Locks all of them at once. Raises Refused (no ticket, no major
    incident, imported history), Conflict (finished, major itself, linked elsewhere), NotAllowed, Ticket.DoesNotExist.
    """
    wanted = set(ticket_ids)
    if not wanted or incident_id in wanted:
        raise Refused(
            "A ticket is linked to another one." if wanted else "No ticket is named.",
            field="tickets",
            value=incident_id if wanted else "",
            mend="Name the tickets, and the incident they belong to.",
        )
    with working() as work:
        held = {t.pk: t for t in hold(work, {*wanted, incident_id}, actor=actor, verb=Verb.LINK)}
        incident = held.pop(incident_id)
        if not incident.is_major:
            raise Refused(
                f"#{incident_id} is no major incident.",
                field="incident",
                value=incident_id,
                mend="Declare it one first.",
            )
        _check_open(incident, "incident")
        fresh = [ticket for ticket in held.values() if ticket.incident_id != incident_id]
        for ticket in fresh:
            _check_linkable(ticket)
            ticket.incident = incident
        if not fresh:
            return []
        Ticket.objects.bulk_update(fresh, ["incident"])
        new = [NewEvent(ticket, kinds.LINKED, {"incident": incident_id}) for ticket in fresh]
        new.append(NewEvent(incident, kinds.LINKED, {"tickets": [ticket.pk for ticket in fresh]}))
        return work.record(new, actor=actor, now=now)


def unlink_from_incident(
    *, ticket_ids: Sequence[int], actor: User | None, now: dt.datetime, reason: str = ""
) -> list[Event]:
    """Take tickets off their major incident; they go on with what was left. Those that are on none stay as they are.

    Raises NotAllowed and Ticket.DoesNotExist.
    """
    with working() as work:
        linked = [t for t in hold(work, ticket_ids, actor=actor, verb=Verb.LINK) if t.incident_id is not None]
        new = []
        for ticket in linked:
            facts = {"incident": ticket.incident_id}
            new.append(NewEvent(ticket, kinds.UNLINKED, facts, text=reason_text(reason)))
            ticket.incident = None
        Ticket.objects.bulk_update(linked, ["incident"])
        return work.record(new, actor=actor, now=now)


def resolve_linked(
    *, incident_id: int, actor: User | None, now: dt.datetime, reason: str = "", batch: int = BATCH
) -> int:
    """Resolve the open tickets linked to a major incident that is over, and return how many those were.

    In batches with a transaction each, so that it may be repeated where it stopped; tickets that the actor doesn't
    reach are left alone. Raises Refused (no major incident), Conflict (it is still open) and NotAllowed.
    """
    permit(actor, Verb.LINK)
    check_reach(incident_id, actor=actor, verb=Verb.LINK)
    incident = Ticket.objects.get(pk=incident_id)
    if not incident.is_major:
        raise Refused(
            f"#{incident_id} is no major incident.",
            field="incident",
            value=incident_id,
            mend="Name the incident, not one of its tickets.",
        )
    if incident.is_open:
        raise Conflict(
            f"#{incident_id} is still {incident.get_status_display().lower()}.",
            field="incident",
            value=incident_id,
            mend="Resolve it first.",
        )
    linked = Ticket.objects.filter(incident_id=incident_id, status__in=OPEN).order_by("pk")
    if actor is not None:
        linked = linked.within(scope_of(actor, Verb.WORK))
    resolved, after = 0, 0
    while ids := list(linked.filter(pk__gt=after).values_list("pk", flat=True)[:batch]):
        after = ids[-1]
        with working() as work:
            held = hold(work, ids, actor=actor, verb=Verb.WORK)
            # Looked at again under the lock: somebody may have unlinked or resolved one meanwhile.
            tickets = [ticket for ticket in held if ticket.incident_id == incident_id and ticket.is_open]
            apply_status(work, tickets, Status.RESOLVED, actor=actor, now=now, reason=reason)
            resolved += len(tickets)
    return resolved


def _check_linkable(ticket: Ticket) -> None:
    _check_open(ticket, "tickets")
    if ticket.is_major or ticket.incident_id is not None:
        what = "is a major incident itself" if ticket.is_major else f"is linked to #{ticket.incident_id}"
        raise Conflict(
            f"#{ticket.pk} {what}.",
            field="tickets",
            value=ticket.pk,
            mend="Merge the two, or leave it alone." if ticket.is_major else "Unlink it first.",
        )


def _check_open(ticket: Ticket, field: str) -> None:
    if ticket.historic:
        raise Refused(
            f"#{ticket.pk} is imported history.",
            field=field,
            value=ticket.pk,
            mend="Only tickets opened in Belay belong to incidents.",
        )
    if not ticket.is_open:
        raise Conflict(
            f"#{ticket.pk} is {ticket.get_status_display().lower()}.",
            field=field,
            value=ticket.pk,
            mend="Reopen it first.",
        )
