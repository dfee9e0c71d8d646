"""How the mail reads by which an update of a major incident reaches the requesters of the tickets linked to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch

from core.db import database_now
from escalation import kinds
from notifications.letters import Action, Letter, Passage, compose, portal_url
from notifications.messages import WHY_REQUESTER, files_of, words_of
from notifications.models import Notification
from notifications.rendering import KnownTickets, Rendered, register_renderer, tickets_of
from tickets.models import Attachment, Event


@dataclass(frozen=True, slots=True)
class Known(KnownTickets):
    """What the mails of a batch are rendered from; `now` is when it was read (UTC)."""

    updates: dict[int, Event]


def register() -> None:
    """Register how these mails read; called from `ready()`."""
    register_renderer(kinds.TELL_INCIDENT_UPDATE, _updated, load=_load)


def _load(rows: Sequence[Notification]) -> Known:
    """Read all that these mails say; four queries, however many they are."""
    updates = Event.objects.select_related("entry__author").prefetch_related(
        Prefetch("entry__attachments", Attachment.objects.order_by("pk"))
    )
    return Known(
        now=database_now(),
        tickets=tickets_of(rows),
        updates=updates.in_bulk({row.context["event"] for row in rows}),
    )


def _updated(row: Notification, known: Known) -> Rendered:
    """Render an update: the requester's own ticket, what it is part of, and where things stand."""
    ticket, event = known.ticket(row), known.updates[row.context["event"]]
    entry = event.entry
    writer = str(entry.author) if entry is not None and entry.author is not None else "Belay"
    return compose(
        Letter(
            subject=f"Re: [#{ticket.pk}] {ticket.subject}",
            title=ticket.subject,
            number=ticket.pk,
            lead=("Your request is part of a larger incident that is being worked on.",),
            facts=files_of(entry),
            passages=(Passage(f"{writer} tells you where things stand", words_of(entry)),),
            action=Action(
                "See your request", portal_url(ticket.pk), "Write there if something differs with you."
            ),
            footer=WHY_REQUESTER,
        )
    )
