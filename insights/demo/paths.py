"""The demo's calendars and escalation paths: plain data in the admin's own words."""

import datetime as dt
from dataclasses import dataclass, field

from accounts.models import Tier
from insights.demo import duty
from insights.demo import organisation as org

MIN = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
Cell = tuple[dt.timedelta | None, dt.timedelta | None]

SERVICE_HOURS = {
    "tz": "Europe/Amsterdam",
    "week": {
        **{day: [["07:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
        "sat": [["08:00", "18:00"]],
        "sun": [["09:00", "17:00"]],
    },
}
OFFICE_HOURS = {
    "tz": "Europe/Amsterdam",
    "week": {day: [["09:00", "12:30"], ["13:00", "17:30"]] for day in ("mon", "tue", "wed", "thu", "fri")},
}


@dataclass(frozen=True, slots=True)
class ListPlan:
    """A contact list: (whom, when to reach out, severities, from round).

    Whom: an address, "lead:<team>", "oncall:<schedule>" or "room:<address>". `calendar` is what it means by business
    hours, in which whoever is on call is told then.
    """

    name: str
    entries: tuple[tuple[str, str, tuple[int, ...], int], ...]
    calendar: str = ""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step; `cells` are (acknowledge, work) for SEV1 to SEV4."""

    name: str
    tier: int
    team: str
    cells: tuple[Cell, Cell, Cell, Cell]
    lists: tuple[str, ...] = ()
    involves: bool = False
    in_turn: bool = False
    wait: dt.timedelta = 12 * MIN
    rounds: int = 2
    calendar: str = ""


@dataclass(frozen=True, slots=True)
class PathPlan:
    """A path; promises are (first response, next response, resolution) for SEV1 to SEV4."""

    name: str
    description: str
    position: int
    calendar: str
    steps: tuple[StepPlan, ...]
    promises: tuple[tuple[dt.timedelta, dt.timedelta, dt.timedelta], ...]
    update_every: tuple[dt.timedelta | None, ...] = (None, None, None, None)
    conditions: dict[str, object] = field(default_factory=dict)
    is_default: bool = False


def _mail(name: str) -> str:
    return f"{name}@{org.DOMAIN}"


_ALL: tuple[int, ...] = ()
LISTS = (
    ListPlan(
        "Network duty",
        (
            (f"oncall:{duty.NETWORK}", "First, at any hour. Has the keys to both data rooms.", _ALL, 1),
            (_mail("dmitri.volkov"), "Backup; knows the VPN gateways best.", _ALL, 1),
            (f"lead:{org.NETWORK}", "From the second round on, or at once for a whole site.", _ALL, 2),
        ),
    ),
    ListPlan(
        "Desk leads",
        (
            (f"lead:{org.DESK}", "A ticket of a VIP organisation waits at the desk.", _ALL, 1),
            (f"oncall:{duty.DESK}", "In service hours, so that somebody at the desk looks along.", _ALL, 1),
        ),
        calendar="Service hours",
    ),
    ListPlan(
        "Applications duty",
        (
            (_mail("hanna.kowalska"), "Freight planner and mail.", _ALL, 1),
            (_mail("sven.berger"), "Patient calendar; call before eight only for SEV1.", _ALL, 1),
            (f"lead:{org.APPS}", "When nobody has taken it after the first round.", _ALL, 2),
        ),
    ),
    ListPlan(
        "Access duty",
        (
            (_mail("mateo.silva"), "Sign-on and file rights.", _ALL, 1),
            (f"lead:{org.ACCESS}", "When whole sites can't sign in.", (1, 2), 1),
        ),
    ),
    ListPlan(
        "Payments duty",
        (
            (_mail("zeynep.kaya"), "Always first. Every minute of declined cards costs.", _ALL, 1),
            (_mail("ben.okafor"), "At the same time; speaks to the clearing house.", _ALL, 1),
            (f"lead:{org.PAYMENTS}", "From the second round on.", _ALL, 2),
        ),
    ),
    ListPlan(
        "Payments engineers",
        (
            (_mail("arjun.mehta"), "Gateway, terminals' software, certificates.", _ALL, 1),
            (f"lead:{org.PAYENG}", "Decides on failing over to the second line.", _ALL, 1),
        ),
    ),
    ListPlan(
        "Network engineers",
        (
            (f"oncall:{duty.CORE}", "Routing and the carriers' lines.", _ALL, 1),
            (f"lead:{org.CORE}", "When a carrier must be pressed, or more than one site is dark.", _ALL, 1),
        ),
    ),
    ListPlan(
        "Platform engineers",
        (
            (_mail("callum.reid"), "Databases and nightly runs; office hours, Europe.", _ALL, 1),
            (f"lead:{org.PLATFORM}", "Asia's morning is our night: call her then.", _ALL, 1),
        ),
    ),
    ListPlan(
        "Duty management",
        (
            ("room:it-duty@meridian.example", "The duty room reads along, day and night.", _ALL, 1),
            (_mail("manager"), "Decides what waits. SEV1 at any hour, the rest from seven to ten.", _ALL, 1),
            (_mail("walter.krause"), "When Ilse has not answered the first round.", (1, 2), 2),
        ),
    ),
)

_QUEUE: tuple[Cell, Cell, Cell, Cell] = (
    (10 * MIN, 30 * MIN),
    (30 * MIN, 2 * HOUR),
    (None, 6 * HOUR),
    (None, 10 * HOUR),
)
_SECOND: tuple[Cell, Cell, Cell, Cell] = (
    (15 * MIN, HOUR),
    (30 * MIN, 4 * HOUR),
    (2 * HOUR, 10 * HOUR),
    (4 * HOUR, 20 * HOUR),
)
_THIRD: tuple[Cell, Cell, Cell, Cell] = (
    (20 * MIN, 2 * HOUR),
    (HOUR, 8 * HOUR),
    (4 * HOUR, 20 * HOUR),
    (6 * HOUR, 40 * HOUR),
)
_TOP: tuple[Cell, Cell, Cell, Cell] = (
    (30 * MIN, 4 * HOUR),
    (HOUR, 12 * HOUR),
    (6 * HOUR, 40 * HOUR),
    (8 * HOUR, 60 * HOUR),
)
_PROMISES = (
    (15 * MIN, HOUR, 10 * HOUR),
    (HOUR, 4 * HOUR, 30 * HOUR),
    (4 * HOUR, 8 * HOUR, 80 * HOUR),
    (8 * HOUR, 16 * HOUR, 150 * HOUR),
)

STANDARD = "Standard support"
NETWORK = "Network"
PAYMENTS = "Payments, business critical"
VIP = "VIP care"
ACCESS = "Sign-on and access"

PATHS = (
    PathPlan(
        STANDARD,
        "Everything that has no path of its own. Counts in service hours.",
        100,
        "Service hours",
        (
            StepPlan("Service Desk", Tier.L1, org.DESK, _QUEUE),
            StepPlan("Applications", Tier.L2, org.APPS, _SECOND, ("Applications duty",)),
            StepPlan(
                "Platform & Databases",
                Tier.L3,
                org.PLATFORM,
                _THIRD,
                ("Platform engineers",),
                in_turn=True,
                rounds=1,
                wait=18 * MIN,
                calendar="Office hours",
            ),
            StepPlan(
                "IT Management",
                Tier.MANAGEMENT,
                org.MANAGEMENT,
                _TOP,
                ("Duty management",),
                involves=True,
                wait=25 * MIN,
            ),
        ),
        _PROMISES,
        is_default=True,
    ),
    PathPlan(
        PAYMENTS,
        "Cards and payouts. Round the clock, minutes instead of hours.",
        10,
        "24x7",
        (
            StepPlan(
                "Service Desk",
                Tier.L1,
                org.DESK,
                ((5 * MIN, 10 * MIN), (10 * MIN, 15 * MIN), (15 * MIN, 40 * MIN), (30 * MIN, 2 * HOUR)),
            ),
            StepPlan(
                "Payments Operations",
                Tier.L2,
                org.PAYMENTS,
                ((5 * MIN, 15 * MIN), (10 * MIN, 30 * MIN), (20 * MIN, HOUR), (HOUR, 4 * HOUR)),
                ("Payments duty",),
                wait=4 * MIN,
            ),
            StepPlan(
                "Payments Engineering",
                Tier.L3,
                org.PAYENG,
                ((10 * MIN, 30 * MIN), (15 * MIN, HOUR), (30 * MIN, 3 * HOUR), (2 * HOUR, 8 * HOUR)),
                ("Payments engineers",),
                wait=4 * MIN,
            ),
            StepPlan(
                "Crisis management",
                Tier.MANAGEMENT,
                org.MANAGEMENT,
                ((15 * MIN, HOUR), (30 * MIN, 4 * HOUR), (HOUR, 8 * HOUR), (4 * HOUR, 20 * HOUR)),
                ("Duty management",),
                involves=True,
                wait=12 * MIN,
            ),
        ),
        (
            (10 * MIN, 30 * MIN, 4 * HOUR),
            (20 * MIN, HOUR, 8 * HOUR),
            (HOUR, 4 * HOUR, 24 * HOUR),
            (4 * HOUR, 12 * HOUR, 72 * HOUR),
        ),
        update_every=(HOUR, None, None, None),
        conditions={"services": ["Card payments", "Payouts"]},
    ),
    PathPlan(
        VIP,
        "The board and Kestrel Clinics: a lead looks along before the second level.",
        20,
        "24x7",
        (
            StepPlan("Service Desk", Tier.L1, org.DESK, _QUEUE),
            StepPlan("Desk lead", Tier.L1, org.DESK, _SECOND, ("Desk leads",), involves=True),
            StepPlan("Applications", Tier.L2, org.APPS, _SECOND, ("Applications duty",)),
            StepPlan(
                "Platform & Databases", Tier.L3, org.PLATFORM, _THIRD, ("Platform engineers",), wait=18 * MIN
            ),
            StepPlan(
                "IT Management",
                Tier.MANAGEMENT,
                org.MANAGEMENT,
                _TOP,
                ("Duty management",),
                involves=True,
                wait=25 * MIN,
            ),
        ),
        _PROMISES,
        update_every=(2 * HOUR, None, None, None),
        conditions={"vip": True},
    ),
    PathPlan(
        NETWORK,
        "Lines, Wi-Fi, VPN and telephony.",
        30,
        "24x7",
        (
            StepPlan("Service Desk", Tier.L1, org.DESK, _QUEUE),
            StepPlan("Network Operations", Tier.L2, org.NETWORK, _SECOND, ("Network duty",)),
            StepPlan("Core Network", Tier.L3, org.CORE, _THIRD, ("Network engineers",), wait=18 * MIN),
            StepPlan(
                "IT Management",
                Tier.MANAGEMENT,
                org.MANAGEMENT,
                _TOP,
                ("Duty management",),
                involves=True,
                wait=25 * MIN,
            ),
        ),
        _PROMISES,
        conditions={"services": ["Office network", "VPN"]},
    ),
    PathPlan(
        ACCESS,
        "Accounts, second factors and rights.",
        40,
        "Service hours",
        (
            StepPlan("Service Desk", Tier.L1, org.DESK, _QUEUE),
            StepPlan("Identity & Access", Tier.L2, org.ACCESS, _SECOND, ("Access duty",)),
            StepPlan(
                "Platform & Databases", Tier.L3, org.PLATFORM, _THIRD, ("Platform engineers",), wait=18 * MIN
            ),
            StepPlan(
                "IT Management",
                Tier.MANAGEMENT,
                org.MANAGEMENT,
                _TOP,
                ("Duty management",),
                involves=True,
                wait=25 * MIN,
            ),
        ),
        _PROMISES,
        conditions={"services": ["Sign-on", "File shares"]},
    ),
)
