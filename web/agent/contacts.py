"""Who stands on contact lists now, as the ticket page and the dialog for escalating say it."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from core.statements import Statement, is_any
from notifications.models import Contact, ContactListEntry
from notifications.queries.oncall import Roster, load_rosters
from notifications.rules.oncall import on_call_at

_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody on a step's contact lists: who it is now, when to reach out, and under which conditions."""

    name: str
    role: str
    instructions: str
    conditions: str
    user_id: int | None


def contacts_on(list_ids: set[int], severity: int, now: dt.datetime) -> dict[int, list[Told]]:
    """Return who stands on these lists now, in order; one query, and one more where they name who is on call."""
    found: dict[int, list[Told]] = {}
    if not list_ids:
        return found
    rows = list(_entries_on().run(lists=list(list_ids)))
    schedules = {row[-1] for row in rows if row[-1] is not None}
    rosters = {one.id: one for one in load_rosters(now, now + _INSTANT, schedules)} if schedules else {}
    for row in rows:
        (
            list_id,
            when,
            severities,
            from_round,
            is_active,
            kind,
            name,
            user_id,
            team,
            lead_id,
            lead,
            hours,
            on_call,
        ) = row
        role = ""
        if kind == Contact.Kind.LEAD and team is not None:
            name = f"Nobody leads {team}" if lead_id is None else lead
            role, user_id = f"leads {team}", lead_id
        elif kind == Contact.Kind.ROOM:
            role = "room"
        conditions = []
        if severities and severity not in severities:
            conditions.append("only for " + ", ".join(f"SEV{number}" for number in sorted(severities)))
        if from_round > 1:
            conditions.append(f"from round {from_round} on")
        if hours != ContactListEntry.Hours.ALWAYS:
            conditions.append(ContactListEntry.Hours(hours).label.lower())
        if not is_active:
            conditions.append("switched off")
        said = when, ", ".join(conditions)
        listed = found.setdefault(list_id, [])
        if kind == Contact.Kind.ON_CALL and on_call in rosters:
            listed += [Told(who, role, *said, pk) for who, role, pk in _on_call(rosters[on_call], now)]
        else:
            listed.append(Told(name, role, *said, user_id))
    return found


def _on_call(roster: Roster, now: dt.datetime) -> Iterator[tuple[str, str, int | None]]:
    """Yield (name, role, user id) of whoever is on call; each of several, and nobody in words."""
    people = roster.named(on_call_at(roster.schedule, now))
    for person in people:
        yield person.name, f"on call: {roster.name}", person.user_id
    if not people:
        yield f"Nobody is on call: {roster.name}", "", None


@cache
def _entries_on() -> Statement:
    """Write the statement for the entries of contact lists in order; `lists` is left blank."""
    entries = ContactListEntry.objects.filter(is_any("contact_list_id", "lists")).order_by("position", "pk")
    return Statement.of(
        entries.values_list(
            "contact_list_id",
            "when_to_reach_out",
            "severities",
            "from_round",
            "contact__is_active",
            "contact__kind",
            "contact__name",
            "contact__user_id",
            "contact__team__name",
            "contact__team__lead_id",
            "contact__team__lead__name",
            "hours",
            "contact__schedule_id",
        )
    )
