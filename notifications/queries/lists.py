"""Contact lists as they resolve now: who would be told, and how."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from accounts.models import User
from calendars.queries import hours_of_many
from calendars.rules import is_open
from notifications.models import Contact, ContactListEntry, TickRecord
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


@dataclass(frozen=True, slots=True)
class _Person:
    """A contact, as far as telling them goes; one that can't be told at all is not `is_active`."""

    contact_id: int
    name: str
    user_id: int | None
    is_active: bool
    time_zone: str
    quiet_from: dt.time | None
    quiet_until: dt.time | None
    quiet_days: list[int]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a list, the contact that stands on it, and whose role that is: a schedule's or a lead's."""

    pk: int
    contact_list_id: int
    instructions: str
    severities: list[int]
    from_round: int
    hours: str
    calendar_version_id: int | None
    schedule_id: int | None
    lead_id: int | None
    contact: _Person
    # The lead's own contact; None: it is to be made.
    lead: _Person | None


# Read past the ORM, columns in the order of the fields above: the engine resolves lists in each batch, and to put a
# query of eight tables together took Django longer than the whole answer.
_PERSON = """{contact}.id, {contact}.name, {contact}.user_id, {contact}.is_active AND {user}.is_active IS NOT FALSE,
    {contact}.time_zone, {contact}.quiet_from, {contact}.quiet_until, {contact}.quiet_days"""
_PERSON_WIDTH = len(fields(_Person))
_ENTRIES = f"""
SELECT e.id, e.contact_list_id, e.when_to_reach_out, e.severities, e.from_round, e.hours, k.current_id, c.schedule_id,
    t.lead_id, {_PERSON.format(contact="c", user="u")}, {_PERSON.format(contact="p", user="lead")}
FROM notifications_contactlistentry e
JOIN notifications_contactlist l ON l.id = e.contact_list_id
JOIN notifications_contact c ON c.id = e.contact_id
LEFT JOIN accounts_user u ON u.id = c.user_id
LEFT JOIN calendars_calendar k ON k.id = l.calendar_id
LEFT JOIN accounts_team t ON t.id = c.team_id
LEFT JOIN accounts_user lead ON lead.id = t.lead_id
LEFT JOIN notifications_contact p ON p.user_id = t.lead_id
WHERE e.contact_list_id = ANY(%s::bigint[])
ORDER BY e.contact_list_id, e.position, e.id
"""  # noqa: S608 - constants of this module
_PEOPLE = f"""
SELECT {_PERSON.format(contact="c", user="u")}
FROM notifications_contact c LEFT JOIN accounts_user u ON u.id = c.user_id
WHERE c.id = ANY(%s::bigint[])
"""  # noqa: S608 - constants of this module
_METHODS = """
SELECT m.contact_id, m.id, m.channel, m.address
FROM notifications_contactmethod m
JOIN notifications_contact c ON c.id = m.contact_id
LEFT JOIN accounts_user u ON u.id = c.user_id
WHERE m.contact_id = ANY(%s::bigint[]) AND m.is_active AND c.is_active AND u.is_active IS NOT FALSE
ORDER BY m.failing_since IS NOT NULL, m.position, m.id
"""


def resolve_lists(list_ids: Iterable[int], now: dt.datetime) -> dict[int, tuple[Rung, ...]]:
    """Return each list's rungs in order, resolved at `now`; a constant number of queries for all lists.

    Contact lists, schedules and methods are resolved fresh at each telling (DESIGN 3, paths and steps). Whoever is on
    call may be several people: each is a rung of their own.
    """
    wanted = set(list_ids)
    if not wanted:
        return {}
    entries = _entries(wanted)
    resolved = _people_of(entries, now)
    methods = methods_of({person.contact_id for _, person in resolved})
    open_now = _open_lists(entries, now)
    rungs: dict[int, list[Rung]] = {list_id: [] for list_id in wanted}
    for entry, person in resolved:
        usable = entry.contact.is_active and person.is_active
        on_call = entry.schedule_id is not None and person is not entry.contact
        rungs[entry.contact_list_id].append(
            Rung(
                entry_id=entry.pk,
                contact_id=person.contact_id,
                user_id=person.user_id,
                name=person.name,
                instructions=entry.instructions,
                severities=frozenset(entry.severities),
                from_round=entry.from_round,
                methods=methods.get(person.contact_id, ()) if usable else (),
                hours=entry.hours,
                open_now=open_now.get(entry.contact_list_id),
                muted_until=None if on_call else quiet_of(person, now),
                on_call=on_call,
            )
        )
    return {list_id: tuple(found) for list_id, found in rungs.items()}


def quiet_of(contact: Contact | _Person, now: dt.datetime) -> dt.datetime | None:
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


def _rows(sql: str, keys: Iterable[int]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(keys)])
        return list(cursor.fetchall())


def _entries(list_ids: Iterable[int]) -> list[_Entry]:
    return [
        _Entry(*row[: -2 * _PERSON_WIDTH], *_pair(row[-2 * _PERSON_WIDTH :]))
        for row in _rows(_ENTRIES, list_ids)
    ]


def _pair(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the contact of an entry, and the lead's, None without one."""
    lead = columns[_PERSON_WIDTH:]
    return _Person(*columns[:_PERSON_WIDTH]), _Person(*lead) if lead[0] is not None else None


def _people_of(entries: Sequence[_Entry], now: dt.datetime) -> list[tuple[_Entry, _Person]]:
    """Return the people behind the entries, roles resolved; a role that has nobody stays what it is."""
    leads = _made(entry.lead_id for entry in entries if entry.lead_id is not None and entry.lead is None)
    on_call = people_on_call({entry.schedule_id for entry in entries if entry.schedule_id is not None}, now)
    there = _people(pk for found in on_call.values() for pk in found)
    resolved: list[tuple[_Entry, _Person]] = []
    for entry in entries:
        if entry.schedule_id is not None:
            people = [there[pk] for pk in on_call.get(entry.schedule_id, ()) if pk in there]
            resolved += [(entry, person) for person in people or [entry.contact]]
        else:
            resolved.append((entry, entry.lead or leads.get(entry.lead_id) or entry.contact))
    return resolved


def _made(lead_ids: Iterable[int]) -> dict[int | None, _Person]:
    """Return contacts made for people who lead a team that is told, and have none; by the people's ids."""
    wanted = set(lead_ids)
    if not wanted:
        return {}
    made = contacts_for(User.objects.in_bulk(wanted).values())
    return {person.user_id: person for person in _people(contact.pk for contact in made.values()).values()}


def _people(contact_ids: Iterable[int]) -> dict[int, _Person]:
    wanted = set(contact_ids)
    people = (_Person(*row) for row in (_rows(_PEOPLE, wanted) if wanted else ()))
    return {person.contact_id: person for person in people}


def _open_lists(entries: Sequence[_Entry], now: dt.datetime) -> dict[int, bool]:
    """Return whether the lists that have business hours of their own are open."""
    versions = {
        entry.contact_list_id: entry.calendar_version_id
        for entry in entries
        if entry.hours != Hours.ALWAYS and entry.calendar_version_id is not None
    }
    hours = hours_of_many(versions.values())
    return {pk: is_open(hours[version], now) for pk, version in versions.items()}


def methods_of(contact_ids: Iterable[int]) -> dict[int, tuple[tuple[int, str, str], ...]]:
    """Return the active methods of contacts, the preferred first and those known to fail last.

    Contacts that are switched off, or whose account is, have none.
    """
    found: dict[int, list[tuple[int, str, str]]] = {}
    wanted = set(contact_ids)
    for contact_id, *method in _rows(_METHODS, wanted) if wanted else ():
        found.setdefault(contact_id, []).append((method[0], method[1], method[2]))
    return {contact_id: tuple(methods) for contact_id, methods in found.items()}


def last_tick(name: str) -> dt.datetime | None:
    """Return when the engine called `name` last completed a tick."""
    return TickRecord.objects.filter(pk=name).values_list("completed_at", flat=True).first()
