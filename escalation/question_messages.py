"""How the mails read in which one step asks another: for help, or for what a handoff leaves out."""

import datetime as dt

from accounts.models import Tier
from core.db import database_now
from core.durations import spoken
from escalation import kinds
from escalation.models import Standing
from escalation.wording import mark, situation, ticket_of
from notifications.letters import Action, Letter, Passage, compose, desk_url
from notifications.models import Contact, Notification
from notifications.rendering import Rendered, register_renderer
from tickets.models import Event, Ticket

WHY_CONSULTED = "You get this mail because you are on the contact list of the step that was asked."
WHY_STAND_IN = "You get this mail because nobody of the step that was asked can be reached."
ERASED = "(These words have been erased.)"


def register() -> None:
    """Register how each kind of these mails reads; called from `ready()`."""
    register_renderer(kinds.TELL_CONSULT, _consulted)


def _consulted(row: Notification) -> Rendered:
    """Render a call for help: who asks what, and that the ticket stays where it is."""
    ticket, now = ticket_of(row), database_now()
    event = Event.objects.select_related("actor", "payload").get(pk=row.context["event"], ticket=ticket)
    standing = Standing.objects.select_related("step").get(ticket=ticket)
    asker = str(event.actor or "An agent")
    instructions = str(row.context.get("instructions", ""))
    room = row.contact is not None and row.contact.kind == Contact.Kind.ROOM
    return compose(
        Letter(
            subject=f"{mark(ticket)} — {asker} asks {event.data['to_name']} for help",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(
                f"{asker} asks for your help. The ticket stays with {standing.step.name}.",
                f"When to reach out: {instructions}" if instructions else "",
            ),
            passages=(Passage(f"{asker} asks", _question(event)),),
            action=Action(
                "Answer on the ticket",
                desk_url(ticket.pk),
                "Opens a page that asks for your sign-in: this mail went to a room."
                if room
                else "A note is enough; or call them.",
            ),
            facts=(
                *situation(ticket),
                ("Time so far", _time_so_far(ticket, standing, now)),
            ),
            footer=WHY_STAND_IN if event.data.get("fallback") else WHY_CONSULTED,
        )
    )


def _time_so_far(ticket: Ticket, standing: Standing, now: dt.datetime) -> str:
    here, open_for = spoken(now - standing.since), spoken(now - ticket.opened_at)
    return f"{here} at {Tier(ticket.tier).label}, open for {open_for}"


def _question(event: Event) -> str:
    payload = getattr(event, "payload", None)
    if payload is None or payload.erased_at is not None:
        return ERASED
    return str(payload.text.get("question", ""))
