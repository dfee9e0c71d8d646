"""How mails to watchers read: what happened to what they follow, and how to stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing

from accounts.models import Tier
from core.db import database_now
from notifications.letters import Action, Letter, Passage, TicketLine, compose, desk_url, page, portal_url
from notifications.messages import words_of
from notifications.models import Notification, Watch
from notifications.rendering import KnownTickets, Rendered, register_renderer
from notifications.watching import NEWS, ROUND_UP
from tickets import kinds
from tickets.models import Event, Severity, Status, Ticket

_SALT = "belay.unwatch"


@dataclass(frozen=True, slots=True)
class Known(KnownTickets):
    """What the mails of a batch are rendered from; `now` is when it was read (UTC)."""

    events: dict[int, Event]
    watches: dict[int, Watch]


def register() -> None:
    """Register how these mails read; called from `ready()`."""
    register_renderer(NEWS, _news, load=_load)
    register_renderer(ROUND_UP, _round_up, load=_load)


def stop_url(watch: Watch) -> str:
    """Return the signed address at which one click ends a watch, without a sign-in."""
    # Without a time in it: it holds as long as the watch does, and is the same in every mail.
    token = signing.Signer(salt=_SALT).sign_object([watch.pk, watch.user_id])
    return f"{settings.BELAY_URL.rstrip('/')}/watch/stop/{token}/"


def read_stop_link(token: str) -> tuple[int, int]:
    """Return (watch id, user id) of a link made by `stop_url`. Raises LookupError."""
    try:
        watch_id, user_id = signing.Signer(salt=_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise LookupError("not one of our links") from error
    return int(watch_id), int(user_id)


def _load(rows: Sequence[Notification]) -> Known:
    """Read all that these mails say; four queries, however many they are."""
    tickets = {row.ticket_id for row in rows if row.ticket_id is not None}
    tickets |= {pk for row in rows for pk in row.context.get("tickets", ())}
    events = {pk for row in rows for pk in row.context.get("events", ())}
    watches = Watch.objects.select_related("user", "ticket", "service", "organisation")
    return Known(
        now=database_now(),
        tickets=Ticket.objects.for_list().in_bulk(tickets),
        events=Event.objects.select_related("actor", "entry__author").in_bulk(events),
        watches=watches.in_bulk({row.context["watch"] for row in rows}),
    )


def _news(row: Notification, known: Known) -> Rendered:
    ticket, watch = known.ticket(row), _watch(row, known)
    events = [known.events[pk] for pk in row.context["events"] if pk in known.events]
    entries = [entry for event in events if (entry := getattr(event, "entry", None)) is not None]
    passages = [
        Passage(f"{entry.author or 'Belay'} wrote", words_of(entry)) for entry in entries if entry.is_public
    ]
    lead = [said for event in events if (said := _said(event))]
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity if watch.user.is_agent else None,
            lead=tuple(lead) or ("There is news.",),
            facts=(
                ("Status", ticket.get_status_display()),
                ("With", f"{ticket.get_tier_display()} {ticket.team or ''}".strip()),
                ("Service", str(ticket.service or "")),
            ),
            passages=tuple(passages),
            action=Action("See the ticket", _url(watch, ticket.pk)),
            footer=f"You get this mail because you follow {_followed(watch)}.",
            unsubscribe=stop_url(watch),
        )
    )


def _round_up(row: Notification, known: Known) -> Rendered:
    watch = _watch(row, known)
    tickets = [known.tickets[pk] for pk in row.context["tickets"] if pk in known.tickets]
    tickets.sort(key=lambda ticket: (ticket.severity, ticket.pk))
    count = len(tickets) + int(row.context.get("more", 0))
    return compose(
        Letter(
            subject=f"News of {count} tickets that you follow",
            title=f"News of {count} tickets that you follow",
            lead=("Much happened at once, so it is one mail.",),
            tickets=tuple(
                TicketLine(
                    number=ticket.pk,
                    severity=ticket.severity,
                    subject=ticket.subject,
                    note=f"{ticket.get_status_display()} · {ticket.get_tier_display()} {ticket.team or ''}".strip(),
                    action=Action("See", _url(watch, ticket.pk)),
                )
                for ticket in tickets
            ),
            link=Action("All tickets", page("/queue/" if watch.user.is_agent else "/portal/")),
            footer=f"You get this mail because you follow {_followed(watch)}.",
            unsubscribe=stop_url(watch),
        )
    )


def _said(event: Event) -> str:
    """Say in a sentence what happened; words that somebody wrote stand below."""
    data, who = event.data, str(event.actor or "Belay")
    match event.kind:
        case kinds.OPENED:
            return "It was opened."
        case kinds.REPLIED:
            return f"{who} wrote."
        case kinds.UPDATED:
            return f"{who} says where things stand."
        case kinds.STATUS_CHANGED:
            return f"It is {_label(Status, data.get('to'))} now, after {_label(Status, data.get('from'))}."
        case kinds.SEVERITY_CHANGED:
            return (
                f"It is {_label(Severity, data.get('to'))} now, after {_label(Severity, data.get('from'))}."
            )
        case kinds.TIER_CHANGED:
            rises = (data.get("to") or 0) > (data.get("from") or 0)
            return f"It {'climbed' if rises else 'went back'} to {_label(Tier, data.get('to'))}."
        case kinds.DECLARED_MAJOR:
            return "It is a major incident."
        case kinds.MERGED:
            into = data.get("into")
            return f"It goes on as part of #{into}." if into else "Another ticket was merged into it."
        case _:
            return ""


def _label(choices: Any, value: Any) -> str:
    try:
        label = str(choices(value).label)
    except ValueError:
        return str(value)
    return label.lower() if choices is Status else label


def _watch(row: Notification, known: Known) -> Watch:
    watch = known.watches.get(row.context["watch"])
    if watch is None:
        raise LookupError(f"notification {row.pk}: nobody follows this any more")
    return watch


def _followed(watch: Watch) -> str:
    if watch.ticket_id is not None:
        return "this ticket"
    if watch.service is not None:
        return f"the service {watch.service}"
    return f"the SEV1s of {watch.organisation}"


def _url(watch: Watch, ticket_id: int) -> str:
    return desk_url(ticket_id) if watch.user.is_agent else portal_url(ticket_id)
