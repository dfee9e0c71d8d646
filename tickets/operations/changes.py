"""Change what a ticket is: owner, status, severity, tags, details."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from accounts.models import Team, User
from accounts.rules import Verb
from core.errors import Conflict, Refused
from tickets import kinds
from tickets.models import Complexity, Event, Impact, Severity, Status, Ticket, Urgency
from tickets.operations.access import hold
from tickets.operations.words import clean_subject, clean_tag, reason_text
from tickets.queries import severity_matrix, surviving
from tickets.rules import is_reopening, may_follow, proposed_severity
from tickets.timeline import NewEvent, Work, clamp, working

DETAILS = ("subject", "category", "service", "organisation", "requester", "impact", "urgency", "complexity")
_CHOICES = {"impact": Impact, "urgency": Urgency, "complexity": Complexity}
# What a requester may set, and from where: they come back, or they are content.
_REQUESTER_MAY = {
    Status.OPEN: (Status.WAITING, Status.RESOLVED, Status.CLOSED),
    Status.RESOLVED: (Status.NEW, Status.OPEN, Status.WAITING, Status.HOLD),
}


def assign_tickets(
    *,
    ticket_ids: Sequence[int],
    assignee: User | None,
    actor: User | None,
    now: dt.datetime,
    team: Team | None = None,
    reason: str = "",
    happened_at: dt.datetime | None = None,
) -> list[Event]:
    """Give tickets to a person (None: back to the team's queue) and, if named, to a team.

    A new ticket becomes open when somebody takes it. Raises Refused when the person works no tickets.
    """
    with working() as work:
        tickets = hold(work, ticket_ids, actor=actor, verb=Verb.WORK)
        if assignee is not None and not assignee.is_agent:
            raise Refused(
                f"{assignee} works no tickets ({assignee.get_role_display()}).",
                field="assignee",
                value=assignee.email,
                mend="Take an active agent.",
            )
        new: list[NewEvent] = []
        opened: list[Ticket] = []
        for ticket in tickets:
            if team is not None and team.pk != ticket.team_id:
                facts = {"from": ticket.team_id, "to": team.pk}
                new.append(
                    NewEvent(
                        ticket, kinds.TEAM_CHANGED, facts, text=reason_text(reason), happened_at=happened_at
                    )
                )
                ticket.team = team
            target = assignee.pk if assignee is not None else None
            if target != ticket.assignee_id:
                facts = {"from": ticket.assignee_id, "to": target}
                new.append(
                    NewEvent(ticket, kinds.ASSIGNED, facts, text=reason_text(reason), happened_at=happened_at)
                )
                ticket.assignee = assignee
                if assignee is not None and ticket.status == Status.NEW:
                    opened.append(ticket)
        Ticket.objects.bulk_update(tickets, ["team", "assignee"])
        events = work.record(new, actor=actor, now=now)
        if opened:
            apply_status(work, opened, Status.OPEN, actor=actor, now=now, happened_at=happened_at)
    return events


def assign_ticket(
    *,
    ticket_id: int,
    assignee: User | None,
    actor: User | None,
    now: dt.datetime,
    team: Team | None = None,
    reason: str = "",
    happened_at: dt.datetime | None = None,
) -> list[Event]:
    """Give one ticket to a person; see `assign_tickets`."""
    return assign_tickets(
        ticket_ids=[ticket_id],
        assignee=assignee,
        team=team,
        actor=actor,
        now=now,
        reason=reason,
        happened_at=happened_at,
    )


def change_statuses(
    *,
    ticket_ids: Sequence[int],
    status: str,
    actor: User | None,
    now: dt.datetime,
    reason: str = "",
    happened_at: dt.datetime | None = None,
) -> list[Event]:
    """Set the status of tickets; those that have it already stay as they are.

    Waiting on the customer needs a public answer since they last spoke; on hold needs a reason (DESIGN 3, waiting).
    A finished ticket comes back as open. Raises Refused naming the ticket.
    """
    # Requesters reopen and resolve their own tickets; `_check_status` keeps them to that.
    verb = Verb.WORK if actor is not None and actor.is_agent else Verb.REPLY
    with working() as work:
        held = hold(work, ticket_ids, actor=actor, verb=verb)
        tickets = [ticket for ticket in held if ticket.status != status]
        return apply_status(
            work, tickets, status, actor=actor, now=now, reason=reason, happened_at=happened_at
        )


def change_status(
    *,
    ticket_id: int,
    status: str,
    actor: User | None,
    now: dt.datetime,
    reason: str = "",
    happened_at: dt.datetime | None = None,
) -> list[Event]:
    """Set the status of one ticket; see `change_statuses`."""
    return change_statuses(
        ticket_ids=[ticket_id], status=status, actor=actor, now=now, reason=reason, happened_at=happened_at
    )


def apply_status(
    work: Work,
    tickets: Sequence[Ticket],
    status: str,
    *,
    actor: User | None,
    now: dt.datetime,
    reason: str = "",
    happened_at: dt.datetime | None = None,
    cause: Event | None = None,
) -> list[Event]:
    """Set the status of tickets already held, for operations that change it along with something else."""
    if status not in Status.values:
        raise Refused(
            f"“{status}” is no status.",
            field="status",
            value=status,
            mend=f"Take one of {', '.join(Status.values)}.",
        )
    new = []
    for ticket in tickets:
        _check_status(ticket, status, actor, reason)
        at = happened_at or clamp(ticket, now)
        reopened = is_reopening(ticket.status, status)
        facts = {"from": ticket.status, "to": status, "reopened": reopened}
        new.append(
            NewEvent(
                ticket,
                kinds.STATUS_CHANGED,
                facts,
                text=reason_text(reason),
                happened_at=happened_at,
                cause=cause,
            )
        )
        ticket.status = status
        if status == Status.RESOLVED:
            ticket.resolved_at = at
        elif status == Status.CLOSED:
            ticket.closed_at = at
            ticket.resolved_at = ticket.resolved_at or at
        elif reopened:
            ticket.resolved_at = ticket.closed_at = None
            ticket.reopened_count += 1
    Ticket.objects.bulk_update(tickets, ["status", "resolved_at", "closed_at", "reopened_count"])
    return work.record(new, actor=actor, now=now)


def set_severities(
    *, ticket_ids: Sequence[int], severity: int, actor: User | None, now: dt.datetime, reason: str
) -> list[Event]:
    """Override the severity of tickets; a person must say why. Raises Refused."""
    with working() as work:
        held = hold(work, ticket_ids, actor=actor, verb=Verb.WORK)
        if severity not in Severity.values:
            raise Refused(
                f"“{severity}” is no severity.", field="severity", value=severity, mend="Take 1, 2, 3 or 4."
            )
        if actor is not None and not reason.strip():
            raise Refused(
                "Another severity needs a reason.", field="reason", value="", mend="Say why in a sentence."
            )
        tickets = [ticket for ticket in held if ticket.severity != severity]
        new = []
        for ticket in tickets:
            facts = {"from": ticket.severity, "to": severity, "by": "person" if actor else "system"}
            new.append(NewEvent(ticket, kinds.SEVERITY_CHANGED, facts, text=reason_text(reason)))
            ticket.severity = severity
            ticket.severity_overridden = True
        Ticket.objects.bulk_update(tickets, ["severity", "severity_overridden"])
        return work.record(new, actor=actor, now=now)


def set_severity(
    *, ticket_id: int, severity: int, actor: User | None, now: dt.datetime, reason: str
) -> list[Event]:
    """Override the severity of one ticket; see `set_severities`."""
    return set_severities(ticket_ids=[ticket_id], severity=severity, actor=actor, now=now, reason=reason)


def set_details(
    *, ticket_id: int, changes: Mapping[str, Any], actor: User | None, now: dt.datetime, reason: str = ""
) -> list[Event]:
    """Change any of DETAILS (model instances for relations).

    When impact or urgency change and nobody overrode the severity, the matrix proposes it anew in the same
    transaction. Raises Refused for unknown fields and values that a field doesn't take.
    """
    with working() as work:
        (ticket,) = hold(work, [ticket_id], actor=actor, verb=Verb.WORK)
        unknown = sorted(set(changes) - set(DETAILS))
        if unknown:
            raise Refused(
                f"“{unknown[0]}” can't be changed here.",
                field=unknown[0],
                value=changes[unknown[0]],
                mend=f"Take one of {', '.join(DETAILS)}.",
            )
        new: list[NewEvent] = []
        changed: list[str] = []
        for name, wanted in changes.items():
            before = getattr(ticket, name)
            value = _clean_detail(name, wanted)
            if before == value:
                continue
            facts: dict[str, Any] = {"field": name}
            text = reason_text(reason)
            if name == "subject":
                # Personal: what people wrote stays out of the facts, which are never erased.
                text = {"from": before, "to": value, **(text or {})}
            else:
                facts |= {"from": _fact(before), "to": _fact(value)}
            setattr(ticket, name, value)
            changed.append(name)
            new.append(NewEvent(ticket, kinds.FIELD_CHANGED, facts, text=text))
        if {"impact", "urgency"} & set(changed) and not ticket.severity_overridden:
            proposed = proposed_severity(severity_matrix(), ticket.impact, ticket.urgency)
            if proposed != ticket.severity:
                facts = {"from": ticket.severity, "to": proposed, "by": "matrix"}
                new.append(NewEvent(ticket, kinds.SEVERITY_CHANGED, facts))
                ticket.severity = proposed
                changed.append("severity")
        if changed:
            ticket.save(update_fields=changed)
        return work.record(new, actor=actor, now=now)


def add_tags(
    *, ticket_ids: Sequence[int], tags: Iterable[str], actor: User | None, now: dt.datetime
) -> list[Event]:
    """Add tags to tickets; lower case, at most 50 characters each."""
    return _tag(ticket_ids, set(map(clean_tag, tags)), set(), actor, now)


def remove_tags(
    *, ticket_ids: Sequence[int], tags: Iterable[str], actor: User | None, now: dt.datetime
) -> list[Event]:
    """Take tags off tickets."""
    return _tag(ticket_ids, set(), set(map(clean_tag, tags)), actor, now)


def _tag(
    ticket_ids: Sequence[int], add: set[str], remove: set[str], actor: User | None, now: dt.datetime
) -> list[Event]:
    with working() as work:
        changed, new = [], []
        for ticket in hold(work, ticket_ids, actor=actor, verb=Verb.WORK):
            before = set(ticket.tags)
            after = (before | add) - remove
            if after == before:
                continue
            facts = {"added": sorted(after - before), "removed": sorted(before - after)}
            new.append(NewEvent(ticket, kinds.TAGGED, facts))
            ticket.tags = sorted(after)
            changed.append(ticket)
        Ticket.objects.bulk_update(changed, ["tags"])
        return work.record(new, actor=actor, now=now)


def _clean_detail(name: str, value: Any) -> Any:
    if name == "subject":
        return clean_subject(str(value))
    choices = _CHOICES.get(name)
    if choices is not None and value not in choices.values:
        raise Refused(
            f"“{value}” is no {name}.",
            field=name,
            value=value,
            mend=f"Take one of {', '.join(map(str, choices.values))}.",
        )
    if name == "requester" and value is None:
        raise Refused("A ticket needs a requester.", field=name, value="", mend="Name the person it is for.")
    return value


def _check_status(ticket: Ticket, status: str, actor: User | None, reason: str) -> None:
    if (
        actor is not None
        and not actor.is_agent
        and ticket.status not in _REQUESTER_MAY.get(Status(status), ())
    ):
        raise Refused(
            "You can reopen or resolve your ticket.",
            field="status",
            value=status,
            mend="Write a reply instead.",
        )
    if ticket.merged_into_id is not None:
        raise Conflict(
            f"#{ticket.pk} was merged.",
            field="status",
            value=status,
            mend=f"Go on with #{surviving(ticket).pk}.",
        )
    if actor is None or ticket.historic:
        return
    if not may_follow(ticket.status, status):
        raise Refused(
            f"#{ticket.pk} is {ticket.get_status_display().lower()} and can't become {Status(status).label.lower()}.",
            field="status",
            value=status,
            mend="Reopen it first." if not ticket.is_open else "Pick another status.",
        )
    if status == Status.HOLD and not reason.strip():
        raise Refused(
            "Putting a ticket on hold needs a reason.",
            field="reason",
            value="",
            mend="Name the vendor or change you wait for.",
        )
    answered = ticket.last_answer_at is not None and (
        ticket.last_requester_at is None or ticket.last_answer_at >= ticket.last_requester_at
    )
    if status == Status.WAITING and not answered:
        raise Refused(
            "Waiting on the customer needs a public reply first.",
            field="status",
            value=status,
            mend="Ask them something, then wait.",
        )


def _fact(value: Any) -> Any:
    return value.pk if hasattr(value, "pk") else value
