"""How mails about a ticket's conversation read; those about escalations stand in escalation/messages.py."""

import datetime as dt
from collections.abc import Callable, Sequence

from accounts.models import User
from core.db import database_now
from notifications import receivers
from notifications.letters import Action, Letter, Passage, compose, desk_url, moment, page, portal_url
from notifications.models import Notification
from notifications.rendering import Rendered, register_renderer
from tickets.models import Entry, Event, Status, Ticket

# (what was promised, by when) of one ticket, the earliest first; escalation, which knows the clocks, registers it.
PromiseReader = Callable[[Ticket, dt.datetime], Sequence[tuple[str, dt.datetime]]]
_readers: list[PromiseReader] = []

WHY_REQUESTER = "You get this mail because the request was opened for you."
WHY_OWNER = "You get this mail because the ticket is assigned to you."
HOW_TO_REOPEN = "Not solved? Say what is still wrong on the request's page and it is open again."


def register_promises(read: PromiseReader) -> None:
    """Register who knows what was promised to the requester; called from a higher app's `ready()`."""
    if read not in _readers:
        _readers.append(read)


def register() -> None:
    """Register how each kind of mail about the conversation reads; called from `ready()`."""
    register_renderer(receivers.OPENED, _opened)
    register_renderer(receivers.ANSWERED, _answered)
    register_renderer(receivers.UPDATED, _answered)
    register_renderer(receivers.RESOLVED, _resolved)
    register_renderer(receivers.REPLIED, _replied)
    register_renderer(receivers.ASSIGNED, _assigned)
    register_renderer(receivers.MERGED, _merged)


def _opened(row: Notification) -> Rendered:
    ticket, event = _ticket(row), _event(row)
    now = database_now()
    zone = _zone(row)
    promises = [
        f"{label} by {moment(due, zone, now)}"
        for read in _readers
        for label, due in read(ticket, now)
        if due > now
    ]
    lead = [f"We have your request. Its number is #{ticket.pk}."]
    if promises:
        lead.append(f"We promise: {'; '.join(promises)}.")
    entry = _entry(event)
    return compose(
        Letter(
            subject=f"[#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            lead=tuple(lead),
            facts=(("Service", str(ticket.service or "")), ("With", str(ticket.team or ""))),
            passages=(Passage("What you wrote", _words(entry)),) if entry else (),
            action=Action(
                "Follow your request", portal_url(ticket.pk), "You can add files and details there."
            ),
            footer=WHY_REQUESTER,
        )
    )


def _answered(row: Notification) -> Rendered:
    ticket, event = _ticket(row), _event(row)
    entry = _entry(event)
    writer = entry.author if entry else None
    name = (
        f"{writer} ({ticket.team})" if writer and writer.is_agent and ticket.team else str(writer or "Belay")
    )
    status = row.context.get("status")
    lead = [
        f"{name} tells you where things stand."
        if row.kind == receivers.UPDATED
        else f"{name} answered your request."
    ]
    if status in (Status.RESOLVED, Status.CLOSED):
        lead += ["It is marked as solved.", HOW_TO_REOPEN]
    elif status == Status.WAITING:
        lead.append("We need your answer to go on.")
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            lead=tuple(lead),
            facts=_files(entry),
            passages=(Passage(f"{writer or 'Belay'} wrote", _words(entry)),) if entry else (),
            action=Action("Answer", portal_url(ticket.pk)),
            footer=WHY_REQUESTER,
        )
    )


def _resolved(row: Notification) -> Rendered:
    ticket = _ticket(row)
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            lead=("Your request is marked as solved.", HOW_TO_REOPEN),
            facts=(("Solved by", str(ticket.team or "")),),
            action=Action("See your request", portal_url(ticket.pk)),
            footer=WHY_REQUESTER,
        )
    )


def _merged(row: Notification) -> Rendered:
    ticket, event = _ticket(row), _event(row)
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            lead=(
                f"Your request is about the same thing as #{event.data['merged_into']}, so we go on with both as one.",
                "Nothing is lost: what you write here reaches the people who work on it.",
            ),
            action=Action("See your request", portal_url(ticket.pk)),
            footer=WHY_REQUESTER,
        )
    )


def _replied(row: Notification) -> Rendered:
    ticket, event = _ticket(row), _event(row)
    entry = _entry(event)
    writer = str(entry.author or "The requester") if entry else "The requester"
    now = database_now()
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(f"{writer} wrote on your ticket.",),
            facts=(*_files(entry), *_situation(ticket, _zone(row), now)),
            passages=(Passage(f"{writer} wrote", _words(entry)),) if entry else (),
            action=Action("Open the ticket", desk_url(ticket.pk)),
            footer=WHY_OWNER,
        )
    )


def _assigned(row: Notification) -> Rendered:
    ticket, event = _ticket(row), _event(row)
    now = database_now()
    payload = getattr(event, "payload", None)
    reason = str(payload.text.get("reason", "")) if payload is not None else ""
    latest = (
        Entry.objects.filter(ticket=ticket, from_requester=True)
        .select_related("author")
        .order_by("-pk")
        .first()
    )
    passages = [Passage("Why", reason)] if reason else []
    if latest is not None:
        passages.append(Passage(f"{latest.author or 'The requester'} wrote last", _words(latest)))
    by = f"{event.actor} gave you this ticket." if event.actor else "This ticket was given to you."
    return compose(
        Letter(
            subject=f"[SEV{ticket.severity}] #{ticket.pk} is yours: {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(by,),
            facts=_situation(ticket, _zone(row), now),
            passages=tuple(passages),
            action=Action("Open the ticket", desk_url(ticket.pk)),
            footer=f"{WHY_OWNER} Your queue: {page('/queue/')}",
        )
    )


def _situation(ticket: Ticket, zone: str, now: dt.datetime) -> tuple[tuple[str, str], ...]:
    """Return the few facts that an owner weighs a mail by; empty ones are left out by the letter."""
    requester = str(ticket.requester)
    if ticket.organisation:
        requester += f", {ticket.organisation}"
    return (
        ("Requester", requester),
        ("Service", str(ticket.service or "")),
        ("Held by", f"{ticket.get_tier_display()} {ticket.team or ''}".strip()),
        ("Status", ticket.get_status_display()),
        ("Next deadline", moment(ticket.next_due_at, zone, now) if ticket.next_due_at else ""),
    )


def _ticket(row: Notification) -> Ticket:
    if row.ticket_id is None:
        raise ValueError(f"notification {row.pk} ({row.kind}) is about no ticket")
    return Ticket.objects.for_list().get(pk=row.ticket_id)


def _event(row: Notification) -> Event:
    events = Event.objects.select_related("actor", "payload", "entry__author")
    return events.get(pk=row.context["event"], ticket=row.ticket)


def _entry(event: Event) -> Entry | None:
    entry: Entry | None = getattr(event, "entry", None)
    return entry


def _words(entry: Entry | None) -> str:
    if entry is None:
        return ""
    return "(These words have been erased.)" if entry.erased_at else entry.body


def _files(entry: Entry | None) -> tuple[tuple[str, str], ...]:
    """Return the names of the files that came along; the files themselves stay behind the sign-in."""
    if entry is None or entry.erased_at:
        return ()
    names = list(entry.attachments.order_by("pk").values_list("name", flat=True))
    return (("Files", ", ".join(names)),) if names else ()


def _zone(row: Notification) -> str:
    user: User | None = row.user
    return user.time_zone if user is not None else "UTC"
