"""How the mails of escalation read: what to act on first, then why, then all that is known."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import Tier
from core.db import database_now
from core.durations import spoken
from escalation import kinds
from escalation.models import Clock, EscalationRequest
from escalation.models.clocks import LIVE
from escalation.outlook import Briefing, Outlook, Told, outlooks_of
from escalation.queries import acknowledge_url
from escalation.wording import mark as _mark
from escalation.wording import reader_zone as _zone
from escalation.wording import situation as _situation
from notifications.letters import (
    Action,
    Letter,
    Passage,
    compose,
    desk_url,
    moment,
    page,
    portal_url,
)
from notifications.messages import register_promises
from notifications.models import Contact, Notification
from notifications.rendering import KnownTickets, Line, Rendered, register_line, register_renderer, tickets_of
from tickets.models import Ticket

# The promises a confirmation names; how often we update is told when we do.
_PROMISED = {Clock.Kind.FIRST_RESPONSE: "a first answer", Clock.Kind.RESOLUTION: "a solution"}
_CLOCK_WORDS = {
    Clock.Kind.FIRST_RESPONSE: "the first answer",
    Clock.Kind.NEXT_RESPONSE: "the next answer",
    Clock.Kind.RESOLUTION: "the solution",
    Clock.Kind.STAKEHOLDER_UPDATE: "the update to the requester",
    Clock.Kind.TIER_TIME: "the time at this tier",
    Clock.Kind.ACKNOWLEDGE: "the acknowledgement",
    Clock.Kind.REQUEST: "the answer to the requester's wish",
}
WHY_CONTACT = "You get this mail because you are on the contact list of this step."
WHY_FALLBACK = "You get this mail because you are this path's fallback contact or an admin."
WHY_LEAD = "You get this mail because you lead the team, or nobody else could be told."
WHY_OWNER = "You get this mail because the ticket is yours, or its team's and nobody owns it."
WHY_REQUESTER = "You get this mail because you asked us to escalate your request."


def register() -> None:
    """Register how each kind of escalation's mails reads, and what was promised; called from `ready()`."""
    for kind, render in (
        (kinds.TELL, _told),
        (kinds.TELL_FALLBACK, _told),
        (kinds.TELL_LEAD, _missed),
        (kinds.TELL_OWNER, _owner),
        (kinds.TELL_REQUEST, _requested),
        (kinds.TELL_ANSWER, _answered),
        (kinds.TELL_SET_ASIDE, _set_aside),
    ):
        register_renderer(kind, render, load=_load)
    for kind in (kinds.TELL, kinds.TELL_FALLBACK):
        register_line(kind, _line, load=_load_tickets)
    register_promises(promises_of)


def promises_of(tickets: Sequence[Ticket], now: dt.datetime) -> dict[int, list[tuple[str, dt.datetime]]]:
    """Return what each requester was promised and is still to come, the earliest first; one query."""
    rows = Clock.objects.filter(ticket__in=tickets, kind__in=_PROMISED, state__in=LIVE, due_at__gt=now)
    promises: dict[int, list[tuple[str, dt.datetime]]] = {}
    for row in rows.order_by("due_at"):
        if row.due_at is not None:
            promises.setdefault(row.ticket_id, []).append((_PROMISED[Clock.Kind(row.kind)], row.due_at))
    return promises


@dataclass(frozen=True, slots=True)
class Known(KnownTickets):
    """What the mails of a batch are rendered from; `now` is when it was read (UTC)."""

    outlooks: dict[tuple[int, int], Outlook]
    requests: dict[int, EscalationRequest]
    # Until when a lead has to answer the requester's wish, by ticket.
    answer_by: dict[int, dt.datetime]

    def request(self, row: Notification) -> EscalationRequest:
        """Return the requester's wish. Raises LookupError."""
        request = self.requests[row.context["request"]]
        if request.ticket_id != row.ticket_id:
            raise LookupError(f"notification {row.pk} is about another ticket's request")
        return request


def _load(rows: Sequence[Notification]) -> Known:
    """Read all that these mails say; at most two dozen queries, however many they are."""
    now = database_now()
    tickets = tickets_of(rows)
    told = {
        (row.ticket_id, row.seq)
        for row in rows
        if row.kind in (kinds.TELL, kinds.TELL_FALLBACK) and row.ticket_id in tickets and row.seq is not None
    }
    outlooks = outlooks_of(((tickets[pk], seq) for pk, seq in sorted(told)), now) if told else {}
    wishes = {row.context["request"]: row.ticket_id for row in rows if "request" in row.context}
    requests, answer_by = {}, {}
    if wishes:
        people = EscalationRequest.objects.select_related("requested_by", "answered_by")
        requests = people.in_bulk(wishes)
        clocks = Clock.objects.filter(
            ticket__in=[pk for pk in wishes.values() if pk is not None],
            kind=Clock.Kind.REQUEST,
            state__in=LIVE,
        )
        answer_by = {clock.ticket_id: clock.due_at for clock in clocks if clock.due_at is not None}
    return Known(now, tickets, outlooks, requests, answer_by)


def _told(row: Notification, known: Known) -> Rendered:
    """Render a telling: who should take what, until when, and one link to do it."""
    ticket, now, zone = known.ticket(row), known.now, _zone(row)
    if row.seq is None or row.contact_id is None:
        raise ValueError(f"notification {row.pk} ({row.kind}) tells nobody of no step")
    outlook = known.outlooks.get((ticket.pk, row.seq))
    if outlook is None:
        raise ValueError(f"#{ticket.pk} never was at seq {row.seq}")
    fallback = row.kind == kinds.TELL_FALLBACK
    lead = [_please(outlook, zone, now), outlook.why]
    if fallback:
        lead.append(
            f"Nobody on the contact list of {outlook.step_name} can be reached, so you are told instead."
        )
    if row.round is not None and row.round > 1 and not fallback:
        lead.append("Nobody has taken it so far.")
    if instructions := row.context.get("instructions"):
        lead.append(f"When to reach out: {instructions}")
    passages = list(_briefing(outlook.briefing))
    if outlook.reason:
        passages.insert(0, Passage("Why", outlook.reason))
    room = row.contact is not None and row.contact.kind == Contact.Kind.ROOM
    note = (
        "Opens a page that asks for your sign-in: this mail went to a room."
        if room
        else "Opens a page with one button; no sign-in. Opening it takes nothing yet."
    )
    return compose(
        Letter(
            subject=f"{_mark(ticket)} — {outlook.tier_label}, please take it",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=tuple(lead),
            action=Action(
                "Take it, or tell the next one", acknowledge_url(ticket.pk, row.seq, row.contact_id), note
            ),
            facts=(
                *_situation(ticket),
                ("Held so far", ", ".join(f"{name} {spoken(time)}" for name, time in outlook.held)),
                (
                    "Told so far",
                    ", ".join(f"{t.name} ({t.outcome})" for t in _others(outlook, row.contact_id)),
                ),
                ("If nobody takes it", _climb(outlook, zone, now)),
            ),
            passages=tuple(passages),
            link=Action("The whole ticket", desk_url(ticket.pk)),
            action_first=True,
            footer=WHY_FALLBACK if fallback else WHY_CONTACT,
        )
    )


def _load_tickets(rows: Sequence[Notification]) -> dict[int, Ticket]:
    """Read what a digest's lines say of their tickets; one query."""
    tickets = Ticket.objects.select_related("team")
    return tickets.in_bulk({row.ticket_id for row in rows if row.ticket_id is not None})


def _line(row: Notification, tickets: dict[int, Ticket]) -> Line:
    """Return a repeated telling as a digest has it; a link of its own acknowledges each ticket (DESIGN 3)."""
    ticket = tickets[row.ticket_id or 0]
    if row.seq is None or row.contact is None:
        raise ValueError(f"notification {row.pk} ({row.kind}) tells nobody of no step")
    room = row.contact.kind == Contact.Kind.ROOM
    return Line(
        ticket_id=ticket.pk,
        severity=ticket.severity,
        subject=ticket.subject,
        place=" ".join(filter(None, (Tier(ticket.tier).label, row.context.get("step_name")))),
        waiting_since=ticket.unacknowledged_since or row.created_at,
        action="Open" if room else "Take it",
        url=desk_url(ticket.pk) if room else acknowledge_url(ticket.pk, row.seq, row.contact.pk),
    )


def _missed(row: Notification, known: Known) -> Rendered:
    """Render a missed promise for the lead."""
    ticket, now, zone = known.ticket(row), known.now, _zone(row)
    what = _clock_words(row)
    return compose(
        Letter(
            subject=f"{_mark(ticket)} — {what} is overdue",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(
                f"We missed a promise: {what} was due {_due(row, zone, now)}.",
                f"{ticket.assignee} owns the ticket." if ticket.assignee else "Nobody owns the ticket.",
            ),
            action=Action("Open the ticket", desk_url(ticket.pk), "Assign it, answer, or escalate."),
            facts=_situation(ticket),
            footer=WHY_LEAD,
        )
    )


def _owner(row: Notification, known: Known) -> Rendered:
    """Render a warning, a due deadline or a waiting ticket that came back, for the owner."""
    ticket, now, zone = known.ticket(row), known.now, _zone(row)
    name = _clock_words(row)
    match row.context.get("what"):
        case "warning":
            ending, line = f"{name} is due soon", f"Time runs out: {name} is due {_due(row, zone, now)}."
        case "follow_up":
            ending = "nobody answered, open again"
            line = (
                "This ticket waited, nobody answered in time, and it is open again. Follow up, or close it."
            )
        case _:
            ending, line = f"{name} is due", f"{name[0].upper()}{name[1:]} was due {_due(row, zone, now)}."
    return compose(
        Letter(
            subject=f"{_mark(ticket)} — {ending}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(line,),
            action=Action("Open the ticket", desk_url(ticket.pk)),
            facts=_situation(ticket),
            footer=WHY_OWNER,
        )
    )


def _requested(row: Notification, known: Known) -> Rendered:
    """Render the requester's wish for the lead, who grants or declines it on the ticket's page."""
    ticket, now, zone = known.ticket(row), known.now, _zone(row)
    request = known.request(row)
    again = "clock" in row.context
    due_at = known.answer_by.get(ticket.pk)
    deadline = f"Answer by {moment(due_at, zone, now)}." if due_at is not None else ""
    return compose(
        Letter(
            subject=f"{_mark(ticket)} — the requester asks for escalation",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(
                f"{request.requested_by} still waits for your answer: escalate, or not?"
                if again
                else f"{request.requested_by} asks that this ticket be escalated. Grant it, or decline with a reason.",
                deadline,
            ),
            action=Action("Answer on the ticket", desk_url(ticket.pk)),
            facts=_situation(ticket),
            passages=(Passage(f"{request.requested_by} wrote", request.reason),),
            footer=WHY_LEAD,
        )
    )


def _answered(row: Notification, known: Known) -> Rendered:
    """Render what became of the requester's wish."""
    ticket = known.ticket(row)
    request = known.request(row)
    granted = request.state == EscalationRequest.State.GRANTED
    lead = (
        f"We escalated your request to {ticket.get_tier_display()}. Its people have been told."
        if granted
        else "We did not escalate your request. It stays with the people who have it now; here is why."
    )
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            lead=(lead,),
            facts=(("With", str(ticket.team or "")),),
            passages=(Passage(f"{request.answered_by or 'The lead'} wrote", request.answer),),
            action=Action("See your request", portal_url(ticket.pk)),
            footer=WHY_REQUESTER,
        )
    )


def _set_aside(row: Notification, known: Known) -> Rendered:
    """Render that Belay can't process a ticket: somebody must watch it by hand."""
    ticket = known.ticket(row)
    failures = int(row.context.get("failures", 1))
    times = "once" if failures == 1 else f"{failures} times in a row"
    return compose(
        Letter(
            subject=f"{_mark(ticket)} — Belay can't process it",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(
                f"Belay failed {times} to process this ticket. Its clocks may not fire: watch it yourself.",
                "Belay tries again by itself, ever more rarely. The board shows the reason.",
            ),
            action=Action("Open the ticket", desk_url(ticket.pk)),
            facts=_situation(ticket),
            link=Action("The board", page("/board/")),
            footer=WHY_LEAD,
        )
    )


def _please(outlook: Outlook, zone: str, now: dt.datetime) -> str:
    """Return the first line: what is wanted, until when, and what happens otherwise."""
    if outlook.until is None:
        return f"{outlook.tier_label} has this ticket now. Please take it."
    return f"Please take it by {moment(outlook.until, zone, now)}. After that {outlook.then}."


def _climb(outlook: Outlook, zone: str, now: dt.datetime) -> str:
    """Return when the whole step's time is over, unless the first line says so already."""
    if outlook.climbs_at is None or outlook.climbs_at == outlook.until:
        return ""
    return f"{moment(outlook.climbs_at, zone, now)} {outlook.climbs_to}"


def _briefing(briefing: Briefing | None) -> Sequence[Passage]:
    if briefing is None:
        return ()
    text = "\n\n".join(f"{label}: {words}" if label else words for label, words in briefing.parts)
    return (Passage(briefing.title, text),)


def _others(outlook: Outlook, contact_id: int | None) -> Sequence[Told]:
    return [told for told in outlook.told if told.contact_id != contact_id]


def _clock_words(row: Notification) -> str:
    return _CLOCK_WORDS.get(row.context.get("clock", ""), "a deadline")


def _due(row: Notification, zone: str, now: dt.datetime) -> str:
    return moment(dt.datetime.fromisoformat(row.context["due_at"]), zone, now)
