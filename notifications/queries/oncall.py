"""Reads about on-call schedules: who is on call when; what is decided about it stands in notifications.rules.oncall."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from calendars.rules import Hours, open_intervals, parse
from core.stretches import Stretch, common
from notifications.models import OnCallOverride
from notifications.rules.oncall import Away, Override, Schedule, Span, gaps, on_call, on_call_at
from notifications.rules.rotation import Rotation, Window

# How far ahead somebody who comes next is looked for, and gaps are reported.
AHEAD = dt.timedelta(days=90)

# Who comes next is mostly found within days; to lay out three months for it would be in vain.
_NEAR = dt.timedelta(days=9)

# One statement for all that decides about some schedules: the engine asks it once a batch.
_DECIDING = """
s.id, s.time_zone, s.is_active, (
    SELECT jsonb_agg(jsonb_build_object(
        'name', r.name, 'level', r.level, 'unit', r.unit, 'length', r.length, 'starts_on', r.starts_on,
        'handoff_time', r.handoff_time, 'ends_on', r.ends_on, 'aligned', r.aligned,
        'windows', (
            SELECT jsonb_agg(jsonb_build_array(w.start, w."end", to_jsonb(w.days)) ORDER BY w.id)
            FROM notifications_rotationwindow w WHERE w.rotation_id = r.id
        ),
        'members', (
            SELECT jsonb_agg(jsonb_build_array(m.position, m.contact_id) ORDER BY m.position, m.id)
            FROM notifications_rotationmember m WHERE m.rotation_id = r.id
        )
    ) ORDER BY r.level DESC, r.id) FROM notifications_rotation r WHERE r.schedule_id = s.id
), (
    SELECT jsonb_agg(jsonb_build_array(o.kind, o.starts_at, o.ends_at, o.contact_id, o.replaces_id) ORDER BY o.id)
    FROM notifications_oncalloverride o
    WHERE o.schedule_id = s.id AND o.ends_at > %(begin)s AND o.starts_at < %(end)s
), (
    SELECT jsonb_agg(jsonb_build_array(t.contact_id, t.starts_at, t.ends_at, t.substitute_id) ORDER BY t.id)
    FROM notifications_timeoff t WHERE t.ends_at > %(begin)s AND t.starts_at < %(end)s
)
"""
_LOAD = f"SELECT {_DECIDING} FROM notifications_oncallschedule s WHERE s.id = ANY(%(ids)s)"  # noqa: S608 constants
# The same for pages: with what it is called, where it belongs, and everybody who may turn up in it.
_ROSTERS = f"""
SELECT {_DECIDING}, s.name, coalesce(s.tier, t.tier), (
    SELECT v.hours FROM calendars_calendar k JOIN calendars_calendarversion v ON v.id = k.current_id
    WHERE k.id = s.covers_id
), (
    SELECT jsonb_agg(jsonb_build_array(
        c.id, c.name, c.user_id, c.is_active AND coalesce(u.is_active, true),
        EXISTS (SELECT FROM notifications_contactmethod m WHERE m.contact_id = c.id AND m.is_active)
    ))
    FROM notifications_contact c LEFT JOIN accounts_user u ON u.id = c.user_id
    WHERE c.id IN (
        SELECT contact_id FROM notifications_rotationmember
        UNION SELECT contact_id FROM notifications_oncalloverride WHERE ends_at > %(begin)s
        UNION SELECT substitute_id FROM notifications_timeoff WHERE ends_at > %(begin)s
    )
)
FROM notifications_oncallschedule s LEFT JOIN accounts_team t ON t.id = s.team_id
WHERE CASE WHEN %(ids)s::bigint[] IS NULL THEN s.is_active ELSE s.id = ANY(%(ids)s) END
ORDER BY coalesce(s.tier, t.tier) DESC NULLS LAST, s.name
"""  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class Person:
    """A contact that may be on call; `is_active`: neither it nor its account is switched off."""

    id: int
    name: str
    user_id: int | None
    is_active: bool
    has_method: bool


@dataclass(frozen=True, slots=True)
class Roster:
    """A schedule with all that decides about it and everybody who may turn up in it (contact id -> person)."""

    id: int
    name: str
    tier: int | None
    zone: ZoneInfo
    schedule: Schedule[int]
    people: Mapping[int, Person]
    # When somebody has to be on call; None: always.
    covers: Hours | None = None

    def gaps(self, begin: dt.datetime, end: dt.datetime) -> tuple[Stretch, ...]:
        """Return exactly when nobody is on call within [begin, end), though somebody has to be."""
        return tuple(self.minded(gaps(self.schedule, begin, end)))

    def minded(self, stretches: Sequence[Stretch]) -> Iterable[Stretch]:
        """Return what of some stretches, in order, lies in the hours that are to be covered."""
        if self.covers is None or not stretches:
            return stretches
        return common(stretches, open_intervals(self.covers, stretches[0][0], stretches[-1][1]))

    def named(self, contact_ids: Iterable[int]) -> tuple[Person, ...]:
        """Return people by their ids, in order; one who has gone since is left out."""
        return tuple(self.people[pk] for pk in contact_ids if pk in self.people)


def load_schedules(
    schedule_ids: Iterable[int], begin: dt.datetime, end: dt.datetime
) -> dict[int, Schedule[int]]:
    """Return all that decides who is on call within [begin, end), by schedule; people are contact ids. One query.

    A schedule that is switched off has nobody on call.
    """
    wanted = sorted(set(schedule_ids))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, {"ids": wanted, "begin": begin, "end": end})
        return {row[0]: _schedule(*row[1:]) for row in cursor.fetchall()}


def load_rosters(
    begin: dt.datetime, end: dt.datetime, schedule_ids: Iterable[int] | None = None
) -> list[Roster]:
    """Return all that pages say about [begin, end) of the active schedules, or of these; the highest tier first.

    One query.
    """
    ids = None if schedule_ids is None else sorted(set(schedule_ids))
    with connection.cursor() as cursor:
        cursor.execute(_ROSTERS, {"ids": ids, "begin": begin, "end": end})
        rows = cursor.fetchall()
    return [
        Roster(
            row[0],
            name,
            tier,
            ZoneInfo(row[1]),
            _schedule(*row[1:6]),
            {one[0]: Person(*one) for one in _parsed(people)},
            parse(json.loads(hours)) if hours is not None else None,
        )
        for *row, name, tier, hours, people in rows
    ]


def people_on_call(schedule_ids: Iterable[int], now: dt.datetime) -> dict[int, tuple[int, ...]]:
    """Return the contacts (ids, in order) on call at `now` by schedule; nobody is a gap. One query."""
    loaded = load_schedules(schedule_ids, now, now + dt.timedelta(microseconds=1))
    return {pk: on_call_at(schedule, now) for pk, schedule in loaded.items()}


def now_and_then(schedule: Schedule[int], now: dt.datetime) -> tuple[Span[int], Span[int] | None]:
    """Return who is on call now and who comes then; None: nothing changes as far as anybody looks."""
    for ahead in (_NEAR, AHEAD):
        spans = on_call(schedule, now, now + ahead)
        # Where the next one ends is only known when something follows.
        if len(spans) > 2 or ahead == AHEAD:
            break
    return spans[0], spans[1] if len(spans) > 1 else None


def _schedule(zone: str, is_active: bool, rotations: Any, overrides: Any, away: Any) -> Schedule[int]:
    if not is_active:
        return Schedule()
    return Schedule(
        tuple(_rotation(one, ZoneInfo(zone)) for one in _parsed(rotations)),
        tuple(_override(*one) for one in _parsed(overrides)),
        tuple(
            Away(contact, _instant(starts), _instant(ends), substitute)
            for contact, starts, ends, substitute in _parsed(away)
        ),
    )


def _rotation(row: Mapping[str, Any], zone: ZoneInfo) -> Rotation[int]:
    groups: dict[int, list[int]] = {}
    for position, contact in row["members"] or ():
        groups.setdefault(position, []).append(contact)
    handoff = dt.time.fromisoformat(row["handoff_time"])
    ends_on = row["ends_on"]
    return Rotation(
        groups=tuple(tuple(groups[position]) for position in sorted(groups)),
        unit=row["unit"],
        length=row["length"],
        start=dt.datetime.combine(dt.date.fromisoformat(row["starts_on"]), handoff),
        zone=zone,
        windows=tuple(
            Window(dt.time.fromisoformat(start), dt.time.fromisoformat(end), frozenset(days))
            for start, end, days in row["windows"] or ()
        ),
        aligned=row["aligned"],
        until=dt.datetime.combine(dt.date.fromisoformat(ends_on), handoff) if ends_on else None,
        level=row["level"],
        name=row["name"],
    )


def _override(
    kind: str, starts_at: str, ends_at: str, contact: int | None, replaces: int | None
) -> Override[int]:
    instead = kind == OnCallOverride.Kind.INSTEAD
    return Override(_instant(starts_at), _instant(ends_at), contact, replaces, instead)


def _parsed(text: str | None) -> Any:
    # Django leaves JSON as the text that came.
    return json.loads(text) if text is not None else ()


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
