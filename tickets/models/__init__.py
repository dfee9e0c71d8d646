"""The ticket, its conversation and its timeline."""

from tickets.models.catalogue import Category, Impact, Service, Severity, SeverityCell, Urgency
from tickets.models.conversation import Attachment, Entry, EntryKind
from tickets.models.ticket import Complexity, Source, Status, Ticket
from tickets.models.timeline import Event, Payload, Seal, SealedHead

__all__ = [
    "Attachment",
    "Category",
    "Complexity",
    "Entry",
    "EntryKind",
    "Event",
    "Impact",
    "Payload",
    "Seal",
    "SealedHead",
    "Service",
    "Severity",
    "SeverityCell",
    "Source",
    "Status",
    "Ticket",
    "Urgency",
]
