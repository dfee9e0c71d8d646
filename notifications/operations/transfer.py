"""Take over contacts and contact lists from a sheet: looked at first, then written just so, or not at all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction

from accounts.models import Team, User
from accounts.operations import permit
from accounts.rules import Verb
from calendars.models import Calendar
from core.db import lacks_lock
from core.errors import Conflict, Refused
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod, OnCallSchedule
from notifications.queries.transfer import contact_world, entry_world
from notifications.rules.transfer import contacts, entries
from notifications.rules.transfer.cells import Way
from notifications.rules.transfer.contacts import ContactCard, plan_contacts
from notifications.rules.transfer.entries import EntryCard, plan_entries
from notifications.rules.transfer.plan import Change, Plan, digest_of
from notifications.rules.transfer.sheets import read_sheet

# So that nobody changes what the plan was made from between the last look and the writing; readers don't mind.
_HOLD = """
SET LOCAL lock_timeout = '5s';
LOCK TABLE notifications_contact, notifications_contactmethod, notifications_contactlist,
    notifications_contactlistentry IN SHARE ROW EXCLUSIVE MODE
"""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would change, and the digest of all that this was worked out from."""

    plan: Plan[Any]
    digest: str


def preview_contacts(*, data: bytes, actor: User) -> Preview:
    """Say what a file of contacts would change; nothing is written. Raises NotAllowed, Refused."""
    permit(actor, Verb.ADMINISTER)
    sheet = read_sheet(data, columns=contacts.NAMES, needed=contacts.NEEDED)
    world = contact_world()
    return Preview(plan_contacts(sheet, world), digest_of(world))


def preview_entries(*, data: bytes, actor: User) -> Preview:
    """Say what a file of contact lists would change; nothing is written. Raises NotAllowed, Refused."""
    permit(actor, Verb.ADMINISTER)
    sheet = read_sheet(data, columns=entries.NAMES, needed=entries.NEEDED)
    world = entry_world()
    return Preview(plan_entries(sheet, world), digest_of(world))


def import_contacts(*, data: bytes, digest: str, actor: User) -> Plan[ContactCard]:
    """Write what was previewed: all of it, or nothing where anything has changed meanwhile.

    Locks the tables of contacts against other writers. Raises NotAllowed, Refused, Conflict.
    """
    with _as_previewed(lambda: preview_contacts(data=data, actor=actor), digest) as plan:
        _write_contacts(plan)
    return plan


def import_entries(*, data: bytes, digest: str, actor: User) -> Plan[EntryCard]:
    """Write what was previewed: all of it, or nothing where anything has changed meanwhile.

    Locks the tables of contacts against other writers. Raises NotAllowed, Refused, Conflict.
    """
    with _as_previewed(lambda: preview_entries(data=data, actor=actor), digest) as plan:
        _write_entries(plan)
    return plan


@contextmanager
def _as_previewed(preview: Callable[[], Preview], digest: str) -> Iterator[Plan[Any]]:
    with transaction.atomic():
        _hold()
        found = preview()
        if found.digest != digest:
            raise Conflict(
                "Contacts or what they name have changed since you looked; nothing was written.",
                field="file",
                mend="Look at the changes again.",
            )
        if found.plan.problems:
            raise Refused(
                f"{len(found.plan.problems)} problems are left; nothing was written.",
                field="file",
                mend="Mend them in the file and send it again.",
            )
        yield found.plan


def _hold() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_HOLD)
    except OperationalError as error:
        if not lacks_lock(error):
            raise
        raise Conflict(
            "Somebody is changing contacts just now; nothing was written.",
            field="file",
            mend="Try again in a moment.",
        ) from error


def _write_contacts(plan: Plan[ContactCard]) -> None:
    changes = [*plan.added, *plan.changed]
    users = _ids(User, "email", [change.after.account for change in changes])
    teams = _ids(Team, "name", [change.after.team for change in changes])
    schedules = _ids(OnCallSchedule, "name", [change.after.schedule for change in changes])
    rows = {
        row.pk: row
        for row in Contact.objects.filter(
            pk__in=[c.before.number for c in plan.changed if c.before is not None]
        )
    }
    # Two may swap their accounts: first nobody has them.
    Contact.objects.filter(
        pk__in=[c.before.number for c in plan.changed if c.before and c.before.account != c.after.account]
    ).update(user=None)
    for change in changes:
        card = change.after
        row = rows[card.number] if card.number is not None else Contact()
        fields = {
            "name": card.name,
            "kind": card.kind,
            "user_id": users.get(card.account),
            "team_id": teams.get(card.team),
            "schedule_id": schedules.get(card.schedule),
            "time_zone": card.time_zone,
            "language": card.language,
            "quiet_from": card.quiet.begins,
            "quiet_until": card.quiet.ends,
            "quiet_days": list(card.quiet.days),
            "is_active": card.active,
        }
        for name, value in fields.items():
            setattr(row, name, value)
        row.save()
        if change.before is None or change.before.ways != card.ways:
            _write_ways(row, card.ways)


def _write_ways(contact: Contact, ways: Sequence[Way]) -> None:
    """Bring a contact's methods into this order, add what is new; of one with a secret only its place changes."""
    known = {(row.channel, row.address): row for row in contact.methods.all()}
    for position, way in enumerate(ways, start=1):
        row = known.get((way.channel, way.address))
        if row is None:
            ContactMethod.objects.create(
                contact=contact,
                channel=way.channel,
                address=way.address,
                position=position,
                is_active=way.is_active,
            )
        elif (row.position, row.is_active) != (position, way.is_active):
            row.position, row.is_active = position, way.is_active
            row.save(update_fields=["position", "is_active"])


def _write_entries(plan: Plan[EntryCard]) -> None:
    changes: list[Change[EntryCard]] = [*plan.added, *plan.changed]
    calendars = _ids(Calendar, "name", [change.after.calendar for change in changes])
    names = {change.after.list_name for change in changes}
    lists = {row.name: row for row in ContactList.objects.filter(name__in=names)}
    for change in changes:
        card = change.after
        calendar_id = calendars.get(card.calendar)
        row = lists.get(card.list_name)
        if row is None:
            row = lists[card.list_name] = ContactList.objects.create(
                name=card.list_name, calendar_id=calendar_id
            )
        elif row.calendar_id != calendar_id:
            row.calendar_id = calendar_id
            row.save(update_fields=["calendar"])
        ContactListEntry.objects.update_or_create(
            contact_list=row,
            contact_id=card.contact_id,
            defaults={
                "position": card.position,
                "when_to_reach_out": card.words,
                "severities": list(card.severities),
                "hours": card.hours,
                "from_round": card.from_round,
            },
        )


def _ids(model: Any, field: str, names: Sequence[str]) -> dict[str, int]:
    """Return ids by name; nobody has none."""
    wanted = {name for name in names if name}
    return dict(model.objects.filter(**{f"{field}__in": wanted}).values_list(field, "pk")) if wanted else {}
