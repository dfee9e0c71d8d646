"""Every change to contacts, on-call schedules and the outbox."""

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
    enqueue,
    mail_host,
    new_message_id,
    retry_dead_letter,
    withdraw,
)
from notifications.operations.watching import unwatch, watch, watch_group
from notifications.operations.wording import remove_template, save_template

__all__ = [
    "Addressee",
    "Circular",
    "Message",
    "Turns",
    "add_override",
    "add_time_off",
    "cancel_notification",
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
    "remove_template",
    "remove_time_off",
    "renew_feed",
    "retry_dead_letter",
    "save_rotation",
    "save_template",
    "unwatch",
    "watch",
    "watch_group",
    "withdraw",
]
