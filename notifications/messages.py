"""How mails about a ticket's conversation read; those about escalations stand in escalation/messages.py."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Prefetch

from accounts.models import User
from core.db import database_now
from notifications import receivers
from notifications.letters import Action, Letter, Passage, compose, desk_url, moment, page, portal_url
from notifications.models import Notification
from notifications.rendering import KnownTickets, Rendered, register_renderer, tickets_of
from tickets.models import Attachment, Entry, Event, Status, Ticket

# (what was promised, by when) by ticket, the earliest first; escalation, which knows the clocks, registers it.
PromiseReader = Callable[[Sequence[Ticket], dt.datetime], Mapping[int, Sequence[tuple[str, dt.datetime]]]]
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
    for kind, render in (
        (receivers.OPENED, _opened),
        (receivers.ANSWERED, _answered),
        (receivers.UPDATED, _answered),
        (receivers.RESOLVED, _resolved),
        (receivers.REPLIED, _replied),
        (receivers.ASSIGNED, _assigned),
        (receivers.MERGED, _merged),
    ):
        register_renderer(kind, render, load=_load)


@dataclass(frozen=True, slots=True)
class Known(KnownTickets):
    """What the mails of a batch are rendered from; `now` is when it was read (UTC)."""

    events: dict[int, Event]
    promises: dict[int, list[tuple[str, dt.datetime]]]
    # The requester's last words, of tickets that got an owner.
    last_words: dict[int, Entry]

    def event(self, row: Notification) -> Event:
        """Return the event that the mail tells of. Raises LookupError."""
        event = self.events[row.context["event"]]
        if event.ticket_id != row.ticket_id:
            raise LookupError(f"notification {row.pk} is about another ticket's event")
        return event


def _load(rows: Sequence[Notification]) -> Known:
    """Read all that these mails say; at most seven queries, however many they are."""
    now = database_now()
    tickets = tickets_of(rows)
    events = (
        Event.objects.select_related("actor", "payload", "entry__author")
        .prefetch_related(Prefetch("entry__attachments", Attachment.objects.order_by("pk")))
        .in_bulk({row.context["event"] for row in rows if "event" in row.context})
    )
    opened = {row.ticket_id for row in rows if row.kind == receivers.OPENED}
    promises: dict[int, list[tuple[str, dt.datetime]]] = {}
    for read in _readers if opened else ():
        for ticket_id, its in read([tickets[pk] for pk in opened if pk in tickets], now).items():
            promises.setdefault(ticket_id, []).extend(its)
    assigned = {row.ticket_id for row in rows if row.kind == receivers.ASSIGNED and row.ticket_id is not None}
    words = Entry.objects.filter(ticket_id__in=assigned, from_requester=True).select_related("author")
    latest = words.order_by("ticket_id", "-pk").distinct("ticket_id") if assigned else ()
    return Known(now, tickets, events, promises, {entry.ticket_id: entry for entry in latest})


def _opened(row: Notification, known: Known) -> Rendered:
    ticket, event = known.ticket(row), known.event(row)
    now = known.now
    zone = _zone(row)
    promises = [
        f"{label} by {moment(due, zone, now)}"
        for label, due in known.promises.get(ticket.pk, ())
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
            passages=(Passage("What you wrote", words_of(entry)),) if entry else (),
            action=Action(
                "Follow your request", portal_url(ticket.pk), "You can add files and details there."
            ),
            footer=WHY_REQUESTER,
        )
    )


def _answered(row: Notification, known: Known) -> Rendered:
    ticket, event = known.ticket(row), known.event(row)
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
            facts=files_of(entry),
            passages=(Passage(f"{writer or 'Belay'} wrote", words_of(entry)),) if entry else (),
            action=Action("Answer", portal_url(ticket.pk)),
            footer=WHY_REQUESTER,
        )
    )


def _resolved(row: Notification, known: Known) -> Rendered:
    ticket = known.ticket(row)
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


def _merged(row: Notification, known: Known) -> Rendered:
    ticket, event = known.ticket(row), known.event(row)
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


def _replied(row: Notification, known: Known) -> Rendered:
    ticket, event = known.ticket(row), known.event(row)
    entry = _entry(event)
    writer = str(entry.author or "The requester") if entry else "The requester"
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(f"{writer} wrote on your ticket.",),
            facts=(*files_of(entry), *_situation(ticket, _zone(row), known.now)),
            passages=(Passage(f"{writer} wrote", words_of(entry)),) if entry else (),
            action=Action("Open the ticket", desk_url(ticket.pk)),
            footer=WHY_OWNER,
        )
    )


def _assigned(row: Notification, known: Known) -> Rendered:
    ticket, event = known.ticket(row), known.event(row)
    payload = getattr(event, "payload", None)
    reason = str(payload.text.get("reason", "")) if payload is not None else ""
    latest = known.last_words.get(ticket.pk)
    passages = [Passage("Why", reason)] if reason else []
    if latest is not None:
        passages.append(Passage(f"{latest.author or 'The requester'} wrote last", words_of(latest)))
    by = f"{event.actor} gave you this ticket." if event.actor else "This ticket was given to you."
    return compose(
        Letter(
            subject=f"[SEV{ticket.severity}] #{ticket.pk} is yours: {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(by,),
            facts=_situation(ticket, _zone(row), known.now),
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


def _entry(event: Event) -> Entry | None:
    entry: Entry | None = getattr(event, "entry", None)
    return entry


def words_of(entry: Entry | None) -> str:
    """Return what was written, or that it has been erased."""
    if entry is None:
        return ""
    return "(These words have been erased.)" if entry.erased_at else entry.body


def files_of(entry: Entry | None) -> tuple[tuple[str, str], ...]:
    """Return the names of the files that came along; the files themselves stay behind the sign-in."""
    if entry is None or entry.erased_at:
        return ()
    names = [attachment.name for attachment in entry.attachments.all()]
    return (("Files", ", ".join(names)),) if names else ()


def _zone(row: Notification) -> str:
    user: User | None = row.user
    return user.time_zone if user is not None else "UTC"
