"""React to tickets' one signal: who gets a mail about what was just said or decided (DESIGN 2)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.models import User
from notifications.operations import Message, enqueue
from tickets import kinds
from tickets.models import Entry, Event, Source, Ticket
from tickets.rules import DONE_STATUSES, OPEN_STATUSES

# How these mails read is registered in notifications/messages.py.
OPENED = "ticket.opened"
ANSWERED = "ticket.answered"
UPDATED = "ticket.updated"
RESOLVED = "ticket.resolved"
REPLIED = "ticket.replied"
ASSIGNED = "ticket.assigned"
MERGED = "ticket.merged"


@dataclass(slots=True)
class Telling:
    """One person to be told about one event; the context holds ids only, personal text stays erasable."""

    kind: str
    user_id: int
    ticket: Ticket
    event: Event
    context: dict[str, Any] = field(default_factory=dict)


def tell_people(*, events: Sequence[Event], **_: object) -> None:
    """Write the mails that a batch of events asks for; one query for the people, one insert, however many events.

    Nobody hears of a historic ticket, of their own deed, or of an automatic entry; people who left hear nothing.
    """
    tellings = [telling for telling in _tellings(events) if not telling.ticket.historic]
    if not tellings:
        return
    wanted = {telling.user_id for telling in tellings}
    addresses = dict(
        User.objects.filter(pk__in=wanted, is_active=True, anonymised_at__isnull=True).values_list(
            "pk", "email"
        )
    )
    enqueue(
        messages=[
            Message(
                kind=telling.kind,
                address=addresses[telling.user_id],
                ticket_id=telling.ticket.pk,
                group=f"ticket:{telling.ticket.pk}",
                user_id=telling.user_id,
                context={"event": telling.event.pk, **telling.context},
            )
            for telling in tellings
            if telling.user_id in addresses
        ],
        now=_latest(events),
    )


def _tellings(events: Iterable[Event]) -> Iterable[Telling]:
    """Decide who is told, pure; an answer and the solution that came with it are one mail."""
    answers: dict[int, Telling] = {}
    for event in events:
        match event.kind:
            case kinds.OPENED:
                yield from _about_opening(event)
            case kinds.REPLIED | kinds.UPDATED:
                for telling in _about_words(event):
                    if telling.kind in (ANSWERED, UPDATED):
                        answers[event.pk] = telling
                    elif telling.kind == REPLIED:
                        yield telling
            case kinds.ASSIGNED:
                yield from _about_owner(event)
            case kinds.STATUS_CHANGED:
                if event.cause_id in answers:
                    answers[event.cause_id].context["status"] = event.data["to"]
                else:
                    yield from _about_status(event)
            case _:
                continue
    yield from answers.values()


def _about_opening(event: Event) -> Iterable[Telling]:
    ticket = event.ticket
    # A monitoring system reads no mail, and an automatic mail must not be answered by one of ours.
    if event.data.get("automatic") or ticket.source in (Source.MONITORING, Source.IMPORT):
        return
    # The one mail about one's own deed: the requester learns the number and what was promised.
    yield Telling(OPENED, ticket.requester_id, ticket, event)


def _about_words(event: Event) -> Iterable[Telling]:
    entry: Entry = event.entry
    ticket = event.ticket
    if event.data.get("automatic") or not entry.is_public:
        return
    context = {"entry": entry.pk}
    if entry.author_id != ticket.requester_id:
        kind = UPDATED if event.kind == kinds.UPDATED else ANSWERED
        yield Telling(kind, ticket.requester_id, ticket, event, dict(context))
    owner = ticket.assignee_id
    if entry.from_requester and owner is not None and owner not in (entry.author_id, ticket.requester_id):
        yield Telling(REPLIED, owner, ticket, event, dict(context))


def _about_owner(event: Event) -> Iterable[Telling]:
    owner = event.data.get("to")
    if owner is not None and owner != event.actor_id:
        yield Telling(ASSIGNED, owner, event.ticket, event)


def _about_status(event: Event) -> Iterable[Telling]:
    ticket = event.ticket
    if event.data.get("merged_into"):
        # Not solved: it goes on elsewhere, and whoever asked must not think otherwise.
        if event.actor_id != ticket.requester_id:
            yield Telling(MERGED, ticket.requester_id, ticket, event)
        return
    done = event.data["to"] in DONE_STATUSES and event.data["from"] in OPEN_STATUSES
    if done and event.actor_id != ticket.requester_id:
        yield Telling(RESOLVED, ticket.requester_id, ticket, event)


def _latest(events: Sequence[Event]) -> dt.datetime:
    return max(event.at for event in events)
