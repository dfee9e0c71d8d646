"""The organisation in which histories happen, in plain words: model and real engine are both built from it.

Paths and calendars come in numbered variants, so that "publish another version" is one small number in a history.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MIN = dt.timedelta(minutes=1)
SEVERITIES = (1, 2, 3, 4)

# Person -> (role, teams they belong to, teams they lead).
PEOPLE: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "carla": ("requester", (), ()),
    "dora": ("requester", (), ()),
    "piet": ("agent", ("desk",), ()),
    "aisha": ("agent", ("network",), ()),
    "tomas": ("agent", ("core",), ()),
    "olaf": ("agent", (), ()),
    "lena": ("lead", (), ("desk", "network", "core")),
    "ilse": ("manager", ("board",), ("board",)),
    "ada": ("admin", (), ()),
}
LEADS = frozenset({"lena", "ilse", "ada"})
# Who asks for help, by turns: tickets with even numbers are the first's.
REQUESTERS = ("carla", "dora")
OUTSIDE = frozenset(REQUESTERS)
TEAMS: Mapping[str, int] = {"desk": 1, "network": 2, "core": 3, "board": 4}
LEAD_OF = {team: person for person, (_, _, led) in PEOPLE.items() for team in led}


def email(person: str) -> str:
    return f"{person}@example.org"


# Contact -> addresses, the preferred one first. People's contacts carry their names; the others have no account.
CONTACTS: Mapping[str, tuple[str, ...]] = {
    "aisha": (email("aisha"),),
    "tomas": (email("tomas"),),
    "ilse": (email("ilse"),),
    "duty2": ("duty2@example.org",),
    "duty3": ("duty3@example.org", "duty3@example.net"),
    "duty4": ("duty4@example.org",),
    "nowhere": (),
    "gone": ("gone@example.org",),
    "officer": ("officer@example.org", "officer@example.net"),
}
SWITCHED_OFF = frozenset({"gone"})
FALLBACK = "officer"


@dataclass(frozen=True)
class EntryDef:
    """A contact on a list, or (`lead_of`) whoever leads a team."""

    contact: str = ""
    lead_of: str = ""
    severities: frozenset[int] = frozenset()
    from_round: int = 1


LISTS: Mapping[str, tuple[EntryDef, ...]] = {
    "l2": (EntryDef("aisha"), EntryDef("duty2")),
    "l3": (EntryDef("tomas"), EntryDef("duty3")),
    "l4": (EntryDef("ilse"), EntryDef("duty4")),
    "conditions": (
        EntryDef("aisha", severities=frozenset({1, 2, 3})),
        EntryDef("duty2", from_round=2),
        EntryDef(lead_of="network", from_round=3),
    ),
    "later": (EntryDef("duty3", from_round=2), EntryDef("aisha", from_round=3)),
    "nobody": (EntryDef("nowhere"), EntryDef("gone")),
    "role": (EntryDef(lead_of="desk"), EntryDef("duty3")),
}

# Those whom a step of a history may switch off and on again: lists are resolved fresh at each telling.
COME_AND_GO = ("duty2", "aisha", "duty3", "officer")

SERVICES: Mapping[str, tuple[str | None, int]] = {"vpn": ("desk", 1), "mail": ("core", 3)}
CATEGORIES = ("accounts",)


# --- calendars ----------------------------------------------------------------------------------------------------

_WEEK = ("mon", "tue", "wed", "thu", "fri")
_OFFICE: tuple[dict[str, Any], ...] = (
    {
        "tz": "Europe/Berlin",
        "week": {day: [["09:00", "12:30"], ["13:30", "17:00"]] for day in _WEEK},
        "holidays": ["2026-03-27", "2026-10-26"],
    },
    {
        "tz": "Europe/Berlin",
        "week": {day: [["08:00", "20:00"]] for day in (*_WEEK, "sat")} | {"sun": [["01:30", "04:00"]]},
        "holidays": [],
    },
    {
        "tz": "Europe/Berlin",
        "week": {
            "mon": [["00:00", "24:00"]],
            "thu": [["10:00", "10:05"], ["10:10", "11:00"]],
            "sun": [["00:00", "06:00"]],
        },
        "holidays": [],
        "date_overrides": {"2026-03-28": [["02:00", "03:15"]]},
    },
)
_ONSITE: tuple[dict[str, Any], ...] = (
    {"tz": "America/New_York", "week": {day: [["07:00", "19:00"]] for day in _WEEK}},
    {
        "tz": "America/New_York",
        "week": {day: [["08:00", "10:00"], ["11:00", "23:00"]] for day in (*_WEEK, "sun")},
    },
)
ALWAYS: dict[str, Any] = {"always": True, "tz": "UTC"}
CALENDARS: Mapping[str, tuple[dict[str, Any], ...]] = {"office": _OFFICE, "onsite": _ONSITE}

# When histories begin: before a long weekend in which clocks go forward, one in which they go back, and mid-week.
BEGINNINGS = (
    dt.datetime(2026, 3, 26, 8, 30, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 23, 14, 50, tzinfo=dt.UTC),
    dt.datetime(2026, 7, 1, 10, 0, tzinfo=dt.UTC),
)
BUILT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


# --- paths --------------------------------------------------------------------------------------------------------

Targets = Mapping[int, tuple[int | None, int | None]]


@dataclass(frozen=True, kw_only=True)
class StepDef:
    """One rung; times in minutes, `targets` maps a severity to (acknowledge, work)."""

    name: str
    tier: int
    team: str | None = None
    transfers: bool = True
    calendar: str | None = None
    lists: tuple[str, ...] = ()
    in_turn: bool = False
    wait: int = 4
    rounds: int = 2
    skip_severities: tuple[int, ...] | None = None
    targets: Targets = field(default_factory=dict)

    def acknowledge(self, severity: int) -> dt.timedelta | None:
        return _minutes(self.targets.get(severity, (None, None))[0])

    def work(self, severity: int) -> dt.timedelta | None:
        return _minutes(self.targets.get(severity, (None, None))[1])


PROMISES = ("first_response", "next_response", "resolution", "stakeholder_update")


@dataclass(frozen=True, kw_only=True)
class PathDef:
    """A path; `promises` maps a severity to minutes in the order of PROMISES."""

    name: str
    position: int
    steps: tuple[StepDef, ...]
    calendar: str
    severities: tuple[int, ...] = ()
    services: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    is_default: bool = False
    sev1_round_the_clock: bool = True
    hold_pauses: bool = False
    follow_up_days: int = 3
    warn_percent: int = 75
    climbs_on: frozenset[str] = frozenset({"resolution"})
    promises: Mapping[int, tuple[int | None, int | None, int | None, int | None]] = field(
        default_factory=dict
    )

    def promised(self, severity: int, kind: str) -> dt.timedelta | None:
        row = self.promises.get(severity)
        return _minutes(row[PROMISES.index(kind)]) if row is not None else None


def _minutes(number: int | None) -> dt.timedelta | None:
    return None if number is None else number * MIN


def _everywhere(acknowledge: int | None, work: int | None) -> Targets:
    return dict.fromkeys(SEVERITIES, (acknowledge, work))


_STANDARD = PathDef(
    name="Standard",
    position=100,
    is_default=True,
    calendar="24x7",
    steps=(
        StepDef(name="Desk", tier=1, team="desk", targets=_everywhere(None, 30)),
        StepDef(name="Network", tier=2, team="network", lists=("l2",), targets=_everywhere(10, 30)),
        StepDef(name="Core", tier=3, team="core", lists=("l3", "conditions"), targets=_everywhere(10, 30)),
        StepDef(
            name="Board", tier=4, team="board", transfers=False, lists=("l4",), targets=_everywhere(10, 30)
        ),
    ),
    promises=dict.fromkeys(SEVERITIES, (20, 60, 480, None)),
)
_VITAL = PathDef(
    name="Vital",
    position=10,
    services=("vpn",),
    calendar="office",
    hold_pauses=True,
    follow_up_days=2,
    warn_percent=50,
    climbs_on=frozenset({"first_response", "next_response"}),
    steps=(
        StepDef(name="Vital desk", tier=1, team="desk", targets=_everywhere(15, 60)),
        StepDef(
            name="Desk lead",
            tier=1,
            team="desk",
            transfers=False,
            lists=("role",),
            rounds=3,
            targets={1: (5, 20), 2: (5, 20), 3: (10, 40), 4: (None, 40)},
        ),
        StepDef(
            name="On site",
            tier=2,
            team="network",
            lists=("conditions",),
            in_turn=True,
            wait=3,
            rounds=3,
            calendar="onsite",
            targets=_everywhere(20, 90),
        ),
        StepDef(
            name="Vital board",
            tier=4,
            team="board",
            transfers=False,
            lists=("l4",),
            in_turn=True,
            targets={1: (10, 30), 2: (10, 30), 3: (30, 60), 4: (None, 120)},
        ),
    ),
    promises={
        1: (15, 30, 240, 30),
        2: (30, 60, 480, 60),
        3: (45, 90, 600, 60),
        4: (90, 180, 1200, None),
    },
)
_URGENT = PathDef(
    name="Urgent",
    position=20,
    severities=(1,),
    calendar="24x7",
    climbs_on=frozenset({"first_response", "next_response", "resolution"}),
    steps=(
        StepDef(name="Urgent desk", tier=1, team="desk", skip_severities=(1,), targets=_everywhere(None, 15)),
        StepDef(
            name="Urgent network",
            tier=2,
            team="network",
            lists=("later",),
            rounds=3,
            wait=2,
            targets=_everywhere(8, 20),
        ),
        # So short that a punctual engine finds it due as soon as it begins: that is the next claim's matter.
        StepDef(name="Urgent core", tier=3, team="core", lists=("nobody",), targets=_everywhere(1, 25)),
        StepDef(
            name="Urgent board",
            tier=4,
            transfers=False,
            lists=("nobody",),
            wait=6,
            targets=_everywhere(10, 30),
        ),
    ),
    promises=dict.fromkeys(SEVERITIES, (10, 20, 60, 15)),
)
_ACCOUNTS = PathDef(
    name="Accounts",
    position=30,
    categories=("accounts",),
    calendar="office",
    sev1_round_the_clock=False,
    climbs_on=frozenset(),
    warn_percent=80,
    steps=(
        StepDef(
            name="Accounts desk", tier=1, team="desk", lists=("l2",), rounds=1, targets=_everywhere(None, 120)
        ),
        StepDef(
            name="Accounts board",
            tier=4,
            team="board",
            transfers=False,
            lists=("l4",),
            targets=_everywhere(30, 60),
        ),
    ),
    promises={1: (None, None, 960, None), 2: (60, None, 960, 120), 3: (60, 120, None, None)},
)
PATHS: tuple[PathDef, ...] = (_STANDARD, _VITAL, _URGENT, _ACCOUNTS)
VARIANTS = 48


def path_variant(number: int, variant: int) -> PathDef:
    """Return path `number` in one of VARIANTS forms; 0 is as written above."""
    path = PATHS[number]
    steps = path.steps
    if variant % 2:
        steps = tuple(replace(step, in_turn=not step.in_turn) for step in steps)
    rounds = variant // 4 % 3
    if rounds:
        steps = tuple(replace(step, rounds=(1, 5)[rounds - 1]) for step in steps)
    if variant // 12 % 2:
        steps = tuple(replace(step, wait=11, targets=_stretched(step.targets)) for step in steps)
    if variant // 24 % 2:
        kinds = {"first_response", "next_response", "resolution"}
        path = replace(
            path, climbs_on=frozenset(kinds - path.climbs_on), warn_percent=95 - path.warn_percent // 2
        )
    if variant // 2 % 2:
        path = replace(path, hold_pauses=not path.hold_pauses, follow_up_days=1)
    return replace(path, steps=steps)


def _stretched(targets: Targets) -> Targets:
    return {
        severity: (None if acknowledge is None else acknowledge + 7, None if work is None else work * 2)
        for severity, (acknowledge, work) in targets.items()
    }
