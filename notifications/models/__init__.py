"""Who is told, who is on call, and the outbox of what they are told."""

from notifications.models.contacts import Contact, ContactList, ContactListEntry, ContactMethod
from notifications.models.measures import Measure
from notifications.models.oncall import (
    CalendarFeed,
    OnCallOverride,
    OnCallSchedule,
    Rotation,
    RotationMember,
    RotationWindow,
    TimeOff,
    Weekday,
)
from notifications.models.outbox import Delivery, Notification, TickRecord
from notifications.models.providers import Channel, Provider
from notifications.models.reading import Bell, MessageTemplate, TimelineReader, Watch

__all__ = [
    "Bell",
    "CalendarFeed",
    "Channel",
    "Contact",
    "ContactList",
    "ContactListEntry",
    "ContactMethod",
    "Delivery",
    "Measure",
    "MessageTemplate",
    "Notification",
    "OnCallOverride",
    "OnCallSchedule",
    "Provider",
    "Rotation",
    "RotationMember",
    "RotationWindow",
    "TickRecord",
    "TimeOff",
    "TimelineReader",
    "Watch",
    "Weekday",
]
