"""Reads about tickets that span models."""

from accounts.models import User
from tickets.models import Event, SeverityCell, Ticket
from tickets.rules import proposed_severity


def severity_matrix() -> dict[tuple[int, int], int]:
    """Return the editable matrix as (impact, urgency) -> severity."""
    rows = SeverityCell.objects.values_list("impact", "urgency", "severity")
    return {(impact, urgency): severity for impact, urgency, severity in rows}


def propose_severity(impact: int, urgency: int) -> int:
    """Return the severity that the matrix proposes now."""
    return proposed_severity(severity_matrix(), impact, urgency)


def timeline_of(ticket: Ticket) -> list[Event]:
    """Return the whole timeline of a ticket in order, with actors and texts, in one query."""
    events = Event.objects.filter(ticket=ticket).order_by("seq")
    return list(events.select_related("actor", "payload", "entry", "entry__author"))


def surviving(ticket: Ticket) -> Ticket:
    """Return the ticket that goes on in this one's place: itself unless it was merged; one query per link."""
    while ticket.merged_into is not None:
        ticket = ticket.merged_into
    return ticket


def surviving_id(ticket_id: int) -> int:
    """Return the number of the ticket that goes on in this one's place; one query for one that was not merged."""
    while True:
        into = Ticket.objects.filter(pk=ticket_id).values_list("merged_into_id", flat=True).first()
        if into is None:
            return ticket_id
        ticket_id = into


def visible(user: User, ticket: Ticket) -> bool:
    """Tell whether `user` may see this ticket; one query at most."""
    return Ticket.objects.visible_to(user).filter(pk=ticket.pk).exists()
