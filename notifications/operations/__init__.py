"""Every change to contacts, on-call schedules and the outbox."""

from notifications.operations.contacts import contacts_for, create_contact, create_contact_list
from notifications.operations.oncall import (
    Turns,
    add_override,
    add_time_off,
    change_schedule,
    create_schedule,
    feed_of,
    remove_override,
    remove_rotation,
    remove_time_off,
    renew_feed,
    save_rotation,
)
from notifications.operations.outbox import (
    Addressee,
    Circular,
    Message,
    cancel_notification,
    enqueue,
    mail_host,
    new_message_id,
    retry_dead_letter,
    withdraw,
)

__all__ = [
    "Addressee",
    "Circular",
    "Message",
    "Turns",
    "add_override",
    "add_time_off",
    "cancel_notification",
    "change_schedule",
    "contacts_for",
    "create_contact",
    "create_contact_list",
    "create_schedule",
    "enqueue",
    "feed_of",
    "mail_host",
    "new_message_id",
    "remove_override",
    "remove_rotation",
    "remove_time_off",
    "renew_feed",
    "retry_dead_letter",
    "save_rotation",
    "withdraw",
]
