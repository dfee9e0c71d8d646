"""Contacts and contact lists as the sheets know them; a handful of queries each, however many there are."""

from accounts.models import Role, Team, User
from calendars.models import Calendar
from notifications.models import (
    Channel,
    Contact,
    ContactList,
    ContactListEntry,
    ContactMethod,
    OnCallSchedule,
)
from notifications.rules.transfer.cells import Quiet, Way
from notifications.rules.transfer.contacts import ContactCard, ContactWorld
from notifications.rules.transfer.entries import EntryCard, EntryWorld, labels_of


def contact_world() -> ContactWorld:
    """Return all contacts and what a sheet of them may name."""
    ways: dict[int, list[Way]] = {}
    methods = ContactMethod.objects.order_by("position", "pk")
    for pk, channel, address, active, secret in methods.values_list(
        "contact_id", "channel", "address", "is_active", "secret"
    ):
        ways.setdefault(pk, []).append(Way(channel, address, active, bool(secret)))
    contacts = Contact.objects.select_related("user", "team", "schedule").order_by("name", "pk")
    agents = User.objects.exclude(role=Role.REQUESTER).filter(is_active=True)
    return ContactWorld(
        contacts=tuple(
            ContactCard(
                number=contact.pk,
                name=contact.name,
                kind=contact.kind,
                account=contact.user.email if contact.user else "",
                team=contact.team.name if contact.team else "",
                schedule=contact.schedule.name if contact.schedule else "",
                time_zone=contact.time_zone,
                language=contact.language,
                quiet=Quiet(contact.quiet_from, contact.quiet_until, tuple(sorted(set(contact.quiet_days)))),
                ways=tuple(ways.get(contact.pk, ())),
                active=contact.is_active,
            )
            for contact in contacts
        ),
        accounts=tuple(agents.order_by("email").values_list("email", flat=True)),
        teams=tuple(Team.objects.order_by("name").values_list("name", flat=True)),
        schedules=tuple(OnCallSchedule.objects.order_by("name").values_list("name", flat=True)),
        channels=tuple(Channel.values),
    )


def entry_world() -> EntryWorld:
    """Return all entries of contact lists and what a sheet of them may name."""
    contacts = tuple(Contact.objects.order_by("pk").values_list("pk", "name"))
    labels = labels_of(contacts)
    entries = ContactListEntry.objects.select_related("contact_list__calendar")
    lists = ContactList.objects.select_related("calendar").order_by("name")
    return EntryWorld(
        entries=tuple(
            EntryCard(
                list_name=entry.contact_list.name,
                contact=labels[entry.contact_id],
                contact_id=entry.contact_id,
                position=entry.position,
                words=entry.when_to_reach_out,
                severities=tuple(sorted(set(entry.severities))),
                hours=entry.hours,
                from_round=entry.from_round,
                calendar=entry.contact_list.calendar.name if entry.contact_list.calendar else "",
            )
            for entry in entries.order_by("contact_list__name", "position", "pk")
        ),
        lists=tuple((one.name, one.calendar.name if one.calendar else "") for one in lists),
        contacts=contacts,
        calendars=tuple(Calendar.objects.order_by("name").values_list("name", flat=True)),
    )
