"""Every change to contacts, on-call schedules and the outbox."""

from notifications.operations.bell import mark_bell_seen
from notifications.operations.contacts import contacts_for, create_contact, create_contact_list
from notifications.operations.oncall import (
    Turns,
    add_override,
    add_time_off,
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
    cancel_notifications,
    enqueue,
    mail_host,
    new_message_id,
    retry_dead_letter,
    retry_dead_letters,
    withdraw,
)
from notifications.operations.reach import move_method, save_quiet_hours, switch_method

__all__ = [
    "Addressee",
    "Circular",
    "Message",
    "Turns",
    "add_override",
    "add_time_off",
    "cancel_notification",
    "cancel_notifications",
    "contacts_for",
    "create_contact",
    "create_contact_list",
    "create_schedule",
    "enqueue",
    "feed_of",
    "mail_host",
    "mark_bell_seen",
    "move_method",
    "new_message_id",
    "remove_override",
    "remove_rotation",
    "remove_time_off",
    "renew_feed",
    "retry_dead_letter",
    "retry_dead_letters",
    "save_quiet_hours",
    "save_rotation",
    "switch_method",
    "withdraw",
]
