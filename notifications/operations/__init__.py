"""Every change to contacts, on-call schedules and the outbox."""

from notifications.operations.bell import mark_bell_seen
from notifications.operations.contacts import contacts_for, create_contact, create_contact_list
from notifications.operations.methods import Kept, add_method, change_method, remove_method
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
    cancel_notifications,
    enqueue,
    mail_host,
    new_message_id,
    retry_dead_letter,
    retry_dead_letters,
    withdraw,
)
from notifications.operations.providers import check_provider, save_provider, try_provider
from notifications.operations.reach import move_method, save_quiet_hours, switch_method
from notifications.operations.trials import send_test
from notifications.operations.watching import unwatch, watch, watch_group
from notifications.operations.ways import check_way
from notifications.operations.wording import remove_template, save_template

__all__ = [
    "Addressee",
    "Circular",
    "Kept",
    "Message",
    "Turns",
    "add_method",
    "add_override",
    "add_time_off",
    "cancel_notification",
    "cancel_notifications",
    "change_method",
    "change_schedule",
    "check_provider",
    "check_way",
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
    "remove_method",
    "remove_override",
    "remove_rotation",
    "remove_template",
    "remove_time_off",
    "renew_feed",
    "retry_dead_letter",
    "retry_dead_letters",
    "save_provider",
    "save_quiet_hours",
    "save_rotation",
    "save_template",
    "send_test",
    "switch_method",
    "try_provider",
    "unwatch",
    "watch",
    "watch_group",
    "withdraw",
]
