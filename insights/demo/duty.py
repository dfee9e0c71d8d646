"""Who is on call in the demo: schedules of every kind, with an override, time off and a gap to find."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from accounts.models import Team
from calendars.models import Calendar
from insights.demo import organisation as org
from notifications.models import Contact, OnCallSchedule
from notifications.operations import Turns, add_override, add_time_off, create_schedule, save_rotation
from notifications.queries import people_on_call
from notifications.rules.rotation import Window

ZONE = "Europe/Amsterdam"
DAY = dt.timedelta(days=1)
# Before the demo's past begins: whoever was told then was on call.
STARTED = 70 * DAY
DESK, NETWORK, CORE, MANAGEMENT = "Desk duty", "Network on call", "Core network on call", "Management on duty"


@dataclass(frozen=True, slots=True)
class DutyPlan:
    """A schedule of one rotation; people by address, in order, those of one turn together."""

    name: str
    description: str
    team: str
    unit: str
    handoff: int
    people: tuple[str, ...]
    windows: tuple[Window, ...] = ()
    # The calendar that is to be covered; always, where there is none.
    covers: str = ""


def _window(first: int, last: int, *days: int) -> Window:
    return Window(dt.time(first), dt.time(last), frozenset(days))


def _at(name: str) -> str:
    return f"{name}@{org.DOMAIN}"


PLANS = (
    DutyPlan(
        DESK,
        "Who answers at the desk, day by day.",
        org.DESK,
        "daily",
        7,
        (_at("agent"), _at("joris.bakker"), _at("nadia.haddad"), _at("kwame.boateng"), _at("eva.lindqvist")),
        (_window(7, 20, 0, 1, 2, 3, 4), _window(8, 18, 5), _window(9, 17, 6)),
        covers="Service hours",
    ),
    DutyPlan(
        NETWORK,
        "Lines and Wi-Fi, day and night, week by week.",
        org.NETWORK,
        "weekly",
        9,
        (_at("network"), _at("dmitri.volkov"), _at("grace.mwangi")),
    ),
    DutyPlan(
        CORE,
        "Routing and the carriers, but nobody on Sundays: still to be settled.",
        org.CORE,
        "weekly",
        9,
        (_at("tomas.novak"), _at("henrik.lund")),
        (_window(0, 0, 0, 1, 2, 3, 4, 5),),
    ),
    DutyPlan(
        MANAGEMENT,
        "Who decides at night.",
        org.MANAGEMENT,
        "weekly",
        9,
        (_at("manager"), _at("walter.krause")),
    ),
)


def build_duty(
    *,
    teams: Mapping[str, Team],
    contacts: Mapping[str, Contact],
    calendars: Mapping[str, int],
    now: dt.datetime,
) -> dict[str, Contact]:
    """Build the schedules through the operations; return “whoever is on call” of each by its name."""
    zone = ZoneInfo(ZONE)
    started = (now - STARTED).astimezone(zone).date()
    roles = {}
    for plan in PLANS:
        row = create_schedule(
            name=plan.name,
            time_zone=ZONE,
            team=teams[plan.team],
            description=plan.description,
            covers=Calendar.objects.get(pk=calendars[plan.covers]) if plan.covers else None,
            actor=None,
        )
        save_rotation(
            schedule=row,
            turns=Turns(
                name="Days" if plan.unit == "daily" else "Weeks",
                groups=[(contacts[email],) for email in plan.people],
                unit=plan.unit,
                starts_on=started,
                handoff_time=dt.time(plan.handoff),
                windows=plan.windows,
                aligned=True,
            ),
            actor=None,
        )
        roles[plan.name] = Contact.objects.create(
            name=f"Whoever is on {'duty' if 'duty' in plan.name else 'call'}: {plan.team}",
            kind=Contact.Kind.ON_CALL,
            schedule=row,
            time_zone=ZONE,
        )
    return roles


def plan_exceptions(*, now: dt.datetime) -> None:
    """Let somebody take tomorrow's evening of the network's, and somebody else be away for three days next week."""
    zone = ZoneInfo(ZONE)
    network = OnCallSchedule.objects.get(name=NETWORK)
    wanted = (_at("sanne.visser"), _at("dmitri.volkov"), _at("network"))
    contacts = {row.user.email: row for row in Contact.objects.filter(user__email__in=wanted) if row.user}
    today = now.astimezone(zone).date()
    evening = dt.datetime.combine(today + DAY, dt.time(18), zone)
    (first,) = people_on_call([network.pk], evening)[network.pk]
    add_override(
        schedule=network,
        kind="replace",
        contact=contacts[_at("sanne.visser")],
        replaces=Contact.objects.get(pk=first),
        starts_at=evening,
        ends_at=dt.datetime.combine(today + 2 * DAY, dt.time(9), zone),
        note="School play",
        actor=None,
        now=now,
    )
    # Whoever follows next week, so that the substitute is seen.
    following = dt.datetime.combine(today + 8 * DAY, dt.time(12), zone)
    (away,) = people_on_call([network.pk], following)[network.pk]
    others = [email for email in (_at("dmitri.volkov"), _at("network")) if contacts[email].pk != away]
    add_time_off(
        contact=Contact.objects.get(pk=away),
        starts_at=dt.datetime.combine(today + 7 * DAY, dt.time(), zone),
        ends_at=dt.datetime.combine(today + 10 * DAY, dt.time(), zone),
        substitute=contacts[others[0]],
        note="Holiday",
        actor=None,
        now=now,
    )
