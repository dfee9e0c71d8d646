"""What linting looks at of whoever is on call: when nobody is, and who of them can't be told."""

import datetime as dt
from collections.abc import Iterable

from calendars.queries import hours_of_many
from calendars.rules import Hours, open_intervals
from core.stretches import Stretch, between, common, interval, moment
from escalation.rules.lint import DutyFacts
from notifications.models import Contact, ContactListEntry
from notifications.queries.oncall import AHEAD, Roster, load_rosters

_When = ContactListEntry.Hours


def duties_on(entries: Iterable[ContactListEntry], now: dt.datetime) -> dict[int, tuple[DutyFacts, ...]]:
    """Return by contact list what is to know of the schedules its entries name; two queries at most.

    An entry that is told only inside or outside the list's own business hours minds the gaps of these hours alone.
    """
    rows = [
        entry for entry in entries if entry.contact.kind == Contact.Kind.ON_CALL and entry.contact.is_active
    ]
    if not rows:
        return {}
    ids = {row.contact.schedule_id for row in rows if row.contact.schedule_id is not None}
    rosters = {roster.id: roster for roster in load_rosters(now, now + AHEAD, ids)}
    versions = {
        row.pk: row.contact_list.calendar.current_id
        for row in rows
        if row.hours != _When.ALWAYS and row.contact_list.calendar is not None
    }
    hours = hours_of_many({version for version in versions.values() if version is not None})
    found: dict[int, list[DutyFacts]] = {}
    for row in sorted(rows, key=lambda one: (one.contact_list_id, one.position, one.pk)):
        roster = rosters.get(row.contact.schedule_id or 0)
        if roster is not None:
            mine = hours.get(versions.get(row.pk) or 0)
            found.setdefault(row.contact_list_id, []).append(_facts(row, roster, mine, now))
    return {list_id: tuple(facts) for list_id, facts in found.items()}


def _facts(row: ContactListEntry, roster: Roster, hours: Hours | None, now: dt.datetime) -> DutyFacts:
    holes = list(_minded(roster.gaps(now, now + AHEAD), row, hours, now))
    running = holes[0][1] if holes and holes[0][0] == now and holes[0][1] < now + AHEAD else None
    members = {pk for one in roster.schedule.rotations for group in one.groups for pk in group}
    schedule = row.contact.schedule
    return DutyFacts(
        name=row.contact.name,
        schedule=roster.name,
        zone=str(roster.zone),
        gaps=tuple(interval(begin, end, roster.zone) for begin, end in holes),
        gap_until=moment(running, roster.zone) if running is not None else "",
        unreachable=_unreachable(members, roster),
        idle=schedule is not None and not schedule.is_active,
    )


def _minded(
    holes: Iterable[Stretch], row: ContactListEntry, hours: Hours | None, now: dt.datetime
) -> Iterable[Stretch]:
    if row.hours == _When.ALWAYS or hours is None:
        return holes
    opened: Iterable[Stretch] = open_intervals(hours, now, now + AHEAD)
    if row.hours == _When.OUTSIDE:
        opened = between(opened, now, now + AHEAD)
    return common(holes, opened)


def _unreachable(members: Iterable[int], roster: Roster) -> tuple[str, ...]:
    known = roster.named(members)
    return tuple(sorted(one.name for one in known if not (one.is_active and one.has_method)))
