"""Contact lists as they resolve now: who would be told, and how."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from accounts.models import User
from calendars.queries import hours_of_many
from calendars.rules import is_open
from notifications.models import Contact, ContactListEntry, ContactMethod, TickRecord
from notifications.operations import contacts_for
from notifications.queries.oncall import people_on_call
from notifications.rules.quiet import quiet_until

Hours = ContactListEntry.Hours


@dataclass(frozen=True, slots=True)
class Rung:
    """One entry of a contact list as it resolves now: who would be told, and how."""

    entry_id: int
    contact_id: int
    user_id: int | None
    name: str
    instructions: str
    severities: frozenset[int]
    from_round: int
    # (method id, channel, address), the preferred one first; empty when nobody can be reached.
    methods: tuple[tuple[int, str, str], ...]
    # Told at any hour, inside or outside business hours; `open_now` of the list's own calendar, None: of the step's.
    hours: str = Hours.ALWAYS
    open_now: bool | None = None
    # Until when the contact is quiet (UTC). Whoever is on call never is.
    muted_until: dt.datetime | None = None
    on_call: bool = False

    @property
    def reachable(self) -> bool:
        return bool(self.methods)

    def wanted(self, severity: int, round_number: int) -> bool:
        """Tell whether the entry's conditions include this severity and round."""
        return (not self.severities or severity in self.severities) and round_number >= self.from_round

    def at_this_hour(self, *, step_open: bool) -> bool:
        """Tell whether the entry is told at this hour; `step_open`: the step's calendar is open now."""
        if self.hours == Hours.ALWAYS:
            return True
        is_open_now = step_open if self.open_now is None else self.open_now
        return is_open_now == (self.hours == Hours.INSIDE)


def resolve_lists(list_ids: Iterable[int], now: dt.datetime) -> dict[int, tuple[Rung, ...]]:
    """Return each list's rungs in order, resolved at `now`; a constant number of queries for all lists.

    Contact lists, schedules and methods are resolved fresh at each telling (DESIGN 3, paths and steps). Whoever is on
    call may be several people: each is a rung of their own.
    """
    wanted = set(list_ids)
    if not wanted:
        return {}
    entries = list(
        ContactListEntry.objects.filter(contact_list_id__in=wanted)
        .select_related("contact__user", "contact__team__lead", "contact__schedule", "contact_list__calendar")
        .order_by("contact_list_id", "position", "pk")
    )
    resolved = _people_of(entries, now)
    methods = methods_of({contact.pk for _, contact in resolved})
    open_now = _open_lists(entries, now)
    rungs: dict[int, list[Rung]] = {list_id: [] for list_id in wanted}
    for entry, contact in resolved:
        usable = entry.contact.is_active and contact.is_active
        if contact.user is not None and not contact.user.is_active:
            usable = False
        on_call = entry.contact.kind == Contact.Kind.ON_CALL and contact is not entry.contact
        rungs[entry.contact_list_id].append(
            Rung(
                entry_id=entry.pk,
                contact_id=contact.pk,
                user_id=contact.user_id,
                name=contact.name,
                instructions=entry.when_to_reach_out,
                severities=frozenset(entry.severities),
                from_round=entry.from_round,
                methods=methods.get(contact.pk, ()) if usable else (),
                hours=entry.hours,
                open_now=open_now.get(entry.contact_list_id),
                muted_until=None if on_call else quiet_of(contact, now),
                on_call=on_call,
            )
        )
    return {list_id: tuple(found) for list_id, found in rungs.items()}


def quiet_of(contact: Contact, now: dt.datetime) -> dt.datetime | None:
    """Return until when a contact is quiet (UTC), None when they may be told now."""
    if contact.quiet_from is None and not contact.quiet_days:
        return None
    return quiet_until(
        now,
        ZoneInfo(contact.time_zone),
        begins=contact.quiet_from,
        ends=contact.quiet_until,
        days=contact.quiet_days,
    )


def _people_of(
    entries: Sequence[ContactListEntry], now: dt.datetime
) -> list[tuple[ContactListEntry, Contact]]:
    """Return the people behind the entries, roles resolved; a role that has nobody stays what it is."""
    contacts = [entry.contact for entry in entries]
    leads = {contact.pk: lead for contact in contacts if (lead := _lead_of(contact)) is not None}
    person_of_lead = contacts_for(leads.values()) if leads else {}
    schedules = {contact.schedule_id for contact in contacts if contact.schedule_id is not None}
    on_call = people_on_call(schedules, now)
    people = Contact.objects.select_related("user").in_bulk(
        {pk for found in on_call.values() for pk in found} if on_call else []
    )
    resolved: list[tuple[ContactListEntry, Contact]] = []
    for entry in entries:
        contact = entry.contact
        if contact.kind == Contact.Kind.LEAD:
            lead = leads.get(contact.pk)
            person = person_of_lead.get(lead.pk) if lead is not None else None
            if person is not None:
                person.user = lead
            resolved.append((entry, person or contact))
        elif contact.kind == Contact.Kind.ON_CALL:
            there = [people[pk] for pk in on_call.get(contact.schedule_id or 0, ()) if pk in people]
            resolved += [(entry, person) for person in there or [contact]]
        else:
            resolved.append((entry, contact))
    return resolved


def _lead_of(contact: Contact) -> User | None:
    is_role = contact.kind == Contact.Kind.LEAD and contact.team is not None
    return contact.team.lead if is_role and contact.team is not None else None


def _open_lists(entries: Sequence[ContactListEntry], now: dt.datetime) -> dict[int, bool]:
    """Return whether the lists that have business hours of their own are open."""
    versions = {
        entry.contact_list_id: entry.contact_list.calendar.current_id
        for entry in entries
        if entry.hours != Hours.ALWAYS and entry.contact_list.calendar is not None
    }
    hours = hours_of_many({version for version in versions.values() if version is not None})
    return {pk: is_open(hours[version], now) for pk, version in versions.items() if version is not None}


def methods_of(contact_ids: Iterable[int]) -> dict[int, tuple[tuple[int, str, str], ...]]:
    """Return the active methods of contacts, the preferred first and those known to fail last.

    Contacts that are switched off, or whose account is, have none.
    """
    found: dict[int, list[tuple[int, str, str]]] = {}
    rows = ContactMethod.objects.filter(
        contact_id__in=set(contact_ids), is_active=True, contact__is_active=True
    ).exclude(contact__user__is_active=False)
    ordered = sorted(rows, key=lambda m: (m.failing_since is not None, m.position, m.pk))
    for method in ordered:
        found.setdefault(method.contact_id, []).append((method.pk, method.channel, method.address))
    return {contact_id: tuple(methods) for contact_id, methods in found.items()}


def last_tick(name: str) -> dt.datetime | None:
    """Return when the engine called `name` last completed a tick."""
    return TickRecord.objects.filter(pk=name).values_list("completed_at", flat=True).first()
