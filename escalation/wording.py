"""What the mails of escalation say alike: how a subject begins, the few facts, the reader's time zone."""

from accounts.models import Tier
from notifications.letters import one_line
from notifications.models import Notification
from tickets.models import Ticket


def mark(ticket: Ticket) -> str:
    """Return how a subject line begins, short enough for what is wanted, which stands at its end."""
    return f"[SEV{ticket.severity}] #{ticket.pk} {one_line(ticket.subject, 80)}"


def situation(ticket: Ticket) -> tuple[tuple[str, str], ...]:
    """Return the few facts that a reader weighs a mail by; empty ones are left out by the letter."""
    requester = f"{ticket.requester}, {ticket.organisation}" if ticket.organisation else str(ticket.requester)
    return (
        ("Service", str(ticket.service or "")),
        ("Impact", f"{ticket.get_impact_display()}, urgency {ticket.get_urgency_display().lower()}"),
        ("Requester", requester),
        ("Held by", " ".join(filter(None, (Tier(ticket.tier).label, str(ticket.team or ""))))),
        ("Owner", str(ticket.assignee or "nobody")),
    )


def reader_zone(row: Notification) -> str:
    """Return the reader's time zone: the contact's, else the user's."""
    if row.contact is not None:
        return row.contact.time_zone
    return row.user.time_zone if row.user is not None else "UTC"
