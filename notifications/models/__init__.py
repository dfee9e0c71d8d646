"""Who is told, and the outbox of what they are told."""

from notifications.models.contacts import Contact, ContactList, ContactListEntry, ContactMethod
from notifications.models.measures import Measure
from notifications.models.outbox import Delivery, Notification, TickRecord

__all__ = [
    "Contact",
    "ContactList",
    "ContactListEntry",
    "ContactMethod",
    "Delivery",
    "Measure",
    "Notification",
    "TickRecord",
]
