"""What the on-call pages show, as plain values worked out from rosters; no query here."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from accounts.models import Tier
from accounts.rules import initials_of
from calendars.rules import instant_of
from notifications.queries.oncall import AHEAD, Person, Roster, now_and_then
from notifications.rules.oncall import Schedule, Span, on_call, shifts_of

DAY = dt.timedelta(days=1)
# How far beyond what is shown shifts are followed, so that one says when it really begins and ends.
BEYOND = dt.timedelta(days=35)
# Of gaps and shifts, as many as anybody reads.
MOST_GAPS = 8
MOST_SHIFTS = 6
_TONES = 4
# Of 24: where a name can be read.
_READABLE = 7


@dataclass(frozen=True, slots=True)
class Slot:
    """Who is on call from `begin` to `end` (UTC); nobody is a gap. `ends` and `begins`: no longer than was looked."""

    begin: dt.datetime
    end: dt.datetime
    people: tuple[Person, ...]
    begins: bool = True
    ends: bool = True
    # Whether any of it has to be covered.
    minded: bool = True

    @property
    def is_gap(self) -> bool:
        return not self.people and self.minded

    @property
    def is_closed(self) -> bool:
        """Tell whether nobody is on call, and nobody has to be."""
        return not self.people and not self.minded

    @property
    def names(self) -> str:
        return " and ".join(person.name for person in self.people) or ("Nobody" if self.minded else "Closed")

    @property
    def initials(self) -> str:
        return " ".join(initials_of(person.name) for person in self.people) or "–"

    def has(self, user_id: int) -> bool:
        """Tell whether somebody is among them."""
        return any(person.user_id == user_id for person in self.people)


@dataclass(frozen=True)
class Standing:
    """One schedule as it stands now: who is on call, who comes then, and when next nobody is."""

    roster: Roster
    now: Slot
    then: Slot | None
    next_gap: tuple[dt.datetime, dt.datetime] | None
    has_people: bool

    @property
    def tier_label(self) -> str:
        return str(Tier(self.roster.tier).label) if self.roster.tier is not None else "No tier"

    @property
    def unreachable(self) -> list[Person]:
        """Whoever is on call now and can't be told."""
        return [person for person in self.now.people if not (person.is_active and person.has_method)]


@dataclass(frozen=True, slots=True)
class Shift:
    """One person's turn on one schedule."""

    roster: Roster
    begin: dt.datetime
    end: dt.datetime
    running: bool


def slot_of(roster: Roster, span: Span[int], within: tuple[dt.datetime, dt.datetime] | None = None) -> Slot:
    """Return a span with its people; `within` is how far was looked."""
    first, last = within or (None, None)
    minded = bool(span.people) or any(roster.minded([(span.begin, span.end)]))
    return Slot(
        span.begin, span.end, roster.named(span.people), span.begin != first, span.end != last, minded
    )


def standing_of(roster: Roster, now: dt.datetime) -> Standing:
    """Return how a schedule stands."""
    current, following = now_and_then(roster.schedule, now)
    horizon = (now, now + AHEAD)
    gap = next(iter(roster.gaps(*horizon)), None)
    # Of now, not of the whole night that the morning's first hour is a part of.
    missed = bool(current.people) or any(roster.minded([(now, now + dt.timedelta(seconds=1))]))
    return Standing(
        roster,
        replace(slot_of(roster, current, horizon), minded=missed),
        slot_of(roster, following, horizon) if following is not None else None,
        gap if gap is None or gap[0] > now else None,
        bool(roster.schedule.rotations or roster.schedule.overrides),
    )


def by_tier(standings: Iterable[Standing]) -> list[tuple[str, list[Standing]]]:
    """Return the schedules of each tier under its name, management on top and those without a tier last."""
    found: dict[str, list[Standing]] = {}
    for standing in standings:
        found.setdefault(standing.tier_label, []).append(standing)
    return list(found.items())


def own_shifts(rosters: Iterable[Roster], user_id: int, now: dt.datetime) -> list[Shift]:
    """Return somebody's next shifts over all schedules, the first one first."""
    found = []
    for roster in rosters:
        mine = {pk for pk, person in roster.people.items() if person.user_id == user_id}
        if not mine:
            continue
        spans = on_call(roster.schedule, now - BEYOND, now + AHEAD + BEYOND)
        found += [
            Shift(roster, begin, end, begin <= now)
            for contact_id, begin, end in shifts_of(spans)
            if contact_id in mine and end > now and begin < now + AHEAD
        ]
    return sorted(found, key=lambda shift: (shift.begin, shift.roster.name))[:MOST_SHIFTS]


# --- a month ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """A slot's part of one day: `hours` of 24 it is drawn as, from and to which wall time it lasts."""

    slot: Slot
    hours: int
    tone: str
    starts: str
    ends: str
    # Whether it goes on into the next day and comes from the day before.
    goes_on: bool
    comes_on: bool
    # Whether the name stands here, and may run on into the next day.
    named: bool
    runs_on: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the month view."""

    date: dt.date
    in_month: bool
    is_today: bool
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Month:
    """A month of one schedule, laid out in weeks from Monday on, in the schedule's zone."""

    roster: Roster
    first: dt.date
    weeks: tuple[tuple[Day, ...], ...]
    slots: tuple[Slot, ...]

    @cached_property
    def before(self) -> dt.date:
        return (self.first - DAY).replace(day=1)

    @cached_property
    def after(self) -> dt.date:
        return (self.first + 32 * DAY).replace(day=1)

    def coming(self, now: dt.datetime) -> list[Slot]:
        """Return what of the month is not over, but for hours that nobody has to cover."""
        return [slot for slot in self.slots if slot.end > now and not slot.is_closed]


def bounds_of(first: dt.date, zone: dt.tzinfo) -> tuple[dt.datetime, dt.datetime]:
    """Return the instants between which the weeks of a month lie."""
    begin, end = _days_of(first)
    return _midnight(begin, zone), _midnight(end, zone)


def lay_out(roster: Roster, first: dt.date, now: dt.datetime) -> Month:
    """Lay out the month that begins on `first`."""
    begin, end = bounds_of(first, roster.zone)
    horizon = begin - BEYOND, end + BEYOND
    slots = [slot_of(roster, span, horizon) for span in on_call(roster.schedule, *horizon)]
    tones = _tones(slots)
    today = now.astimezone(roster.zone).date()
    day, last = _days_of(first)
    days: list[Day] = []
    while day < last:
        opens, closes = _midnight(day, roster.zone), _midnight(day + DAY, roster.zone)
        touching = [slot for slot in slots if slot.begin < closes and slot.end > opens]
        segments = _segments(touching, opens, closes, roster.zone, tones, new_row=day.weekday() == 0)
        days.append(Day(day, day.month == first.month, day == today, segments))
        day += DAY
    weeks = tuple(tuple(days[place : place + 7]) for place in range(0, len(days), 7))
    following = (first + 32 * DAY).replace(day=1)
    month = _midnight(first, roster.zone), _midnight(following, roster.zone)
    inside = tuple(slot for slot in slots if slot.begin < month[1] and slot.end > month[0])
    return Month(roster, first, weeks, inside)


def _days_of(first: dt.date) -> tuple[dt.date, dt.date]:
    following = (first + 32 * DAY).replace(day=1)
    return first - first.weekday() * DAY, following + (-following.weekday() % 7) * DAY


def _midnight(day: dt.date, zone: Any) -> dt.datetime:
    return instant_of(zone, dt.datetime.combine(day, dt.time()))


def _segments(
    slots: Sequence[Slot],
    opens: dt.datetime,
    closes: dt.datetime,
    zone: dt.tzinfo,
    tones: dict[tuple[int, ...], str],
    *,
    new_row: bool,
) -> tuple[Segment, ...]:
    found = []
    for slot in slots:
        begin, end = max(slot.begin, opens), min(slot.end, closes)
        hours = max(1, round(24 * (end - begin) / (closes - opens)))
        comes_on = slot.begin < opens
        found.append(
            Segment(
                slot,
                hours,
                tones.get(tuple(person.id for person in slot.people), ""),
                "" if comes_on else f"{begin.astimezone(zone):%H:%M}",
                "" if slot.end > closes else f"{end.astimezone(zone):%H:%M}",
                slot.end > closes,
                comes_on,
                # Where there is room for it: on the day it begins or the first full one, and anew in each row. Of a
                # short gap the pattern says enough.
                (new_row or not comes_on or 2 * (opens - slot.begin) < DAY)
                and not slot.is_closed
                and not (slot.is_gap and hours < 2 * _READABLE),
                2 * (slot.end - closes) >= DAY and hours >= _READABLE,
            )
        )
    return tuple(found)


def _tones(slots: Iterable[Slot]) -> dict[tuple[int, ...], str]:
    """Give whoever follows one another different shades; they tell apart, the names say who it is."""
    tones: dict[tuple[int, ...], str] = {}
    for slot in slots:
        key = tuple(person.id for person in slot.people)
        if key and key not in tones:
            tones[key] = f"tone-{len(tones) % _TONES}"
    return tones


# --- what a change changes --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """For a stretch of time: who was on call, and who is then."""

    begin: dt.datetime
    end: dt.datetime
    before: str
    after: str

    @property
    def differs(self) -> bool:
        return self.before != self.after


def changes(
    roster: Roster, after: Schedule[int], people: dict[int, Person], begin: dt.datetime, end: dt.datetime
) -> list[Change]:
    """Return who is on call over [begin, end) before and after a change, in stretches of one answer each."""
    old, new = on_call(roster.schedule, begin, end), on_call(after, begin, end)
    edges = sorted({edge for span in (*old, *new) for edge in (span.begin, span.end)})
    known = {**people, **roster.people}
    found: list[Change] = []
    for opens, closes in pairwise(edges):
        was, is_now = _at(old, opens, known), _at(new, opens, known)
        if found and (found[-1].before, found[-1].after) == (was, is_now):
            found[-1] = Change(found[-1].begin, closes, was, is_now)
        else:
            found.append(Change(opens, closes, was, is_now))
    return found


def _at(spans: Sequence[Span[int]], instant: dt.datetime, people: dict[int, Person]) -> str:
    span = next(span for span in spans if span.begin <= instant < span.end)
    return " and ".join(people[pk].name for pk in span.people if pk in people) or "nobody"
