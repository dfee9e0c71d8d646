"""How somebody is reached, and where they stand: for their own page."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from accounts.models import User
from core.db import along
from notifications.models import (
    Contact,
    ContactListEntry,
    ContactMethod,
    MessageTemplate,
    Notification,
    RotationMember,
)

# How many of somebody's latest messages are looked at for what their methods answered last.
LATEST = 200


@dataclass(frozen=True, slots=True)
class Way:
    """One method, how its last message ended, and whether one is on its way."""

    method: ContactMethod
    last: Notification | None
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """An entry on a contact list; `role` says as what, empty where it is the person themselves."""

    entry: ContactListEntry
    role: str


def ways_of(contact: Contact) -> list[Way]:
    """Return a contact's methods in order, each with the last message that was sent or given up; two queries."""
    methods = list(contact.methods.select_related("provider").order_by("position", "pk"))
    rows = along(Notification.objects.all(), "contact_id", contact.pk)
    last: dict[int, Notification] = {}
    waiting = set()
    for row in rows.only("method_id", "state", "answer", "sent_at", "dead_at")[:LATEST]:
        if row.method_id is not None and (row.sent_at or row.dead_at):
            last.setdefault(row.method_id, row)
        elif row.state in (Notification.State.PENDING, Notification.State.SENDING):
            waiting.add(row.method_id)
    return [Way(method, last.get(method.pk), method.pk in waiting) for method in methods]


def turns_of(contact: Contact) -> list[RotationMember]:
    """Return in which rotations somebody takes turns; one query."""
    turns = RotationMember.objects.filter(contact=contact, rotation__schedule__is_active=True)
    found = turns.select_related("rotation__schedule__team")
    return list(found.order_by("rotation__schedule__name", "-rotation__level", "rotation__name", "position"))


def places_of(contact: Contact, user: User, turns: Sequence[RotationMember]) -> list[Place]:
    """Return on which contact lists somebody stands, by name or by a role that may be theirs; one query."""
    schedules = {turn.rotation.schedule_id for turn in turns}
    theirs = (
        Q(contact=contact)
        | Q(contact__kind=Contact.Kind.LEAD, contact__team__lead=user)
        | Q(contact__kind=Contact.Kind.ON_CALL, contact__schedule__in=schedules)
    )
    entries = ContactListEntry.objects.filter(theirs).select_related(
        "contact_list__calendar", "contact__team", "contact__schedule"
    )
    return [
        Place(entry, _role_of(entry.contact))
        for entry in entries.order_by("contact_list__name", "position", "pk")
    ]


def languages_written() -> set[str]:
    """Return the languages in which some message is written; one query."""
    written = MessageTemplate.objects.filter(is_active=True).exclude(language="")
    return set(written.values_list("language", flat=True).distinct())


def _role_of(contact: Contact) -> str:
    if contact.kind == Contact.Kind.LEAD:
        return f"as lead of {contact.team}"
    if contact.kind == Contact.Kind.ON_CALL:
        return f"while on call for {contact.schedule}"
    return ""
