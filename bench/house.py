"""The organisation that the bench's tickets belong to: people, teams, lists of three contacts, one published path."""

import datetime as dt
import random
from dataclasses import dataclass

from accounts.models import Organisation, Role, Team, Tier, User
from accounts.operations import create_organisation, create_team, create_user
from calendars.models import Calendar
from escalation.models import PathVersion, Step
from escalation.operations import PathSpec, PromiseSpec, StepSpec, publish_path
from notifications.models import Contact, ContactList, ContactMethod
from notifications.operations import create_contact, create_contact_list
from tickets.models import Category, Service, Severity, Source
from tickets.operations import Draft

DAY = dt.timedelta(days=1)
# Counted in weeks where a real path counts in hours, so that a build stays without anything due for a week.
WORK_AT_L1, WORK_ABOVE, ACKNOWLEDGE, WAIT = 80 * DAY, 120 * DAY, 40 * DAY, 30 * DAY
FIRST_RESPONSE, NEXT_RESPONSE, RESOLUTION = 30 * DAY, 40 * DAY, 400 * DAY
FOLLOW_UP_DAYS = 40

_TEAMS = (
    ("Service desk", Tier.L1),
    ("Network", Tier.L2),
    ("Core network", Tier.L3),
    ("Management", Tier.MANAGEMENT),
)
_AGENTS_PER_TEAM = 12
_ORGANISATIONS = 40
_CATEGORIES = ("Network", "Accounts", "Hardware", "Printing", "Mail", "Telephony", "Applications", "Building")
_SERVICES = (
    "VPN",
    "Payments",
    "Mail",
    "Wi-Fi",
    "File shares",
    "Telephony",
    "Payroll",
    "Intranet",
    "Printing",
)
_THINGS = (
    "VPN",
    "Printer",
    "Mailbox",
    "Laptop",
    "Badge reader",
    "Payroll run",
    "Meeting room",
    "Login",
    "Phone",
)
_TROUBLES = ("drops every hour", "is very slow", "shows an error", "stopped working", "asks for a password")
_TAGS = ("vip-visit", "branch-office", "after-update", "home-office", "audit", "recurring")


@dataclass(frozen=True)
class House:
    """What was built."""

    admin: User
    teams: dict[int, Team]
    agents: dict[int, list[User]]
    requesters: list[User]
    services: list[Service]
    categories: list[Category]
    path: PathVersion

    def draft(self, rng: random.Random) -> Draft:
        """Return a ticket to be opened through the portal, chosen by `rng`."""
        requester = rng.choice(self.requesters)
        thing, trouble = rng.choice(_THINGS), rng.choice(_TROUBLES)
        return Draft(
            requester=requester,
            opened_by=requester,
            subject=f"{thing} {trouble}",
            body=f"Since this morning the {thing.lower()} {trouble}. Restarting did not help.",
            source=Source.PORTAL,
            service=rng.choice([None, *self.services]),
            category=rng.choice(self.categories),
            impact=rng.choices((1, 2, 3), (1, 3, 6))[0],
            urgency=rng.choices((1, 2, 3), (2, 5, 3))[0],
            tags=rng.sample(_TAGS, rng.choice((0, 0, 1, 2))),
        )


def build_house(*, now: dt.datetime, requesters: int) -> House:
    """Build it in the present database, which has no tickets yet."""
    admin = create_user(email="admin@bench.example", name="Ada Admin", role=Role.ADMIN)
    teams, agents = {}, {}
    for name, tier in _TEAMS:
        lead = create_user(email=f"lead{tier}@bench.example", name=f"Lena Lead {tier}", role=Role.LEAD)
        members = [
            create_user(email=f"agent{tier}.{n}@bench.example", name=f"Agent {tier} {n}", role=Role.AGENT)
            for n in range(1, _AGENTS_PER_TEAM + 1)
        ]
        teams[int(tier)] = create_team(name=name, tier=tier, lead=lead, members=members)
        agents[int(tier)] = members
    desk = teams[Tier.L1]
    people = _requesters(requesters)
    return House(
        admin=admin,
        teams=teams,
        agents=agents,
        requesters=people,
        services=[
            Service.objects.create(name=name, team=desk, owner=admin, criticality=1 + place % 3)
            for place, name in enumerate(_SERVICES)
        ],
        categories=[Category.objects.create(name=name) for name in _CATEGORIES],
        path=publish_path(path_id=None, spec=_path(teams, agents), actor=admin, now=now),
    )


def _requesters(count: int) -> list[User]:
    organisations = [
        create_organisation(name=f"Customer {n}", domains=[f"customer{n}.example"], vip=n % 8 == 0)
        for n in range(1, _ORGANISATIONS + 1)
    ]
    people = [_requester(n, organisations[n % _ORGANISATIONS]) for n in range(1, count + 1)]
    # At once: thousands, all alike.
    return User.objects.bulk_create(people)


def _requester(number: int, organisation: Organisation) -> User:
    email = f"person{number}@{organisation.domains[0]}"
    person = User(email=email, name=f"Person {number}", role=Role.REQUESTER, organisation=organisation)
    person.set_unusable_password()
    return person


def _path(teams: dict[int, Team], agents: dict[int, list[User]]) -> PathSpec:
    fallback = create_contact(name="Duty officer", email="duty@bench.example")
    ContactMethod.objects.create(contact=fallback, address="duty@elsewhere.example", position=2)
    severities = [int(severity) for severity in Severity]
    promise = PromiseSpec(
        first_response=FIRST_RESPONSE, next_response=NEXT_RESPONSE, resolution=RESOLUTION, update_every=None
    )
    steps = []
    for name, tier in _TEAMS:
        lists: tuple[int, ...] = ()
        targets: tuple[dt.timedelta | None, dt.timedelta] = (None, WORK_AT_L1)
        if tier > Tier.L1:
            lists = (_three_contacts(name, agents[tier]).pk,)
            targets = (ACKNOWLEDGE, WORK_ABOVE)
        steps.append(
            StepSpec(
                name=name,
                tier=tier,
                team_id=teams[tier].pk,
                mode=Step.Mode.INVOLVES if tier == Tier.MANAGEMENT else Step.Mode.TRANSFERS,
                calendar_id=None,
                contact_list_ids=lists,
                telling=Step.Telling.ALL,
                wait=WAIT,
                rounds=2,
                skip_when=None,
                targets=dict.fromkeys(severities, targets),
            )
        )
    return PathSpec(
        name="Standard",
        is_default=True,
        calendar_id=Calendar.objects.get(is_built_in=True).pk,
        fallback_contact_id=fallback.pk,
        follow_up_days=FOLLOW_UP_DAYS,
        promises=dict.fromkeys(severities, promise),
        steps=tuple(steps),
    )


def _three_contacts(name: str, members: list[User]) -> ContactList:
    entries: list[tuple[Contact, str]] = [
        (create_contact(name=user.name, email=user.email, user=user), words)
        for user, words in zip(
            members,
            ("First, by day and night.", "When the first can't.", "When customers notice."),
            strict=False,
        )
    ]
    return create_contact_list(name=f"{name} contacts", entries=entries)
