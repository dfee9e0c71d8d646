"""A small IT organisation to test in: people, teams, contact lists and one path through all four tiers."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

from accounts.models import Role, Team, Tier, User
from accounts.operations import create_team, create_user
from calendars.models import Calendar
from core.db import database_now
from escalation.models import EscalationPath, PathVersion
from escalation.operations import PathSpec, PromiseSpec, StepSpec, publish_path
from notifications.models import Contact, ContactList, ContactMethod
from notifications.operations import create_contact, create_contact_list
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket

MIN = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
SEVERITIES = (1, 2, 3, 4)


@dataclass
class House:
    """What `build_house` made; `now` is when it was built (UTC)."""

    now: dt.datetime
    requester: User
    agent: User
    second: User
    third: User
    manager: User
    lead: User
    admin: User
    outsider: User
    desk: Team
    network: Team
    core: Team
    board: Team
    fallback: Contact
    lists: dict[int, ContactList] = field(default_factory=dict)
    path: PathVersion | None = None

    def open(self, **more: Any) -> Ticket:
        """Open a ticket as the requester, at `now` unless `at` says otherwise."""
        at = more.pop("at", self.now)
        severity = more.pop("severity", None)
        if severity is not None:
            more |= {"severity": severity, "severity_reason": "as tested"}
        draft = Draft(
            requester=self.requester, subject=more.pop("subject", "VPN drops"), body="It drops.", **more
        )
        return open_ticket(draft=draft, actor=None, now=at)


def steps_for(house: House, **more: Any) -> tuple[StepSpec, ...]:
    """Return four steps: L1 a queue, L2 and L3 transfer, management is involved; 30 min work, 10 min to acknowledge."""
    times = dict.fromkeys(SEVERITIES, (10 * MIN, 30 * MIN))
    queue = dict.fromkeys(SEVERITIES, (None, 30 * MIN))
    common: dict[str, Any] = {
        "calendar_id": None,
        "telling": "all",
        "wait": 4 * MIN,
        "rounds": 2,
        "skip_when": None,
    }
    return (
        StepSpec(
            name="Service desk",
            tier=Tier.L1,
            team_id=house.desk.pk,
            mode="transfers",
            contact_list_ids=(),
            targets=queue,
            **common | more,
        ),
        StepSpec(
            name="Network",
            tier=Tier.L2,
            team_id=house.network.pk,
            mode="transfers",
            contact_list_ids=(house.lists[2].pk,),
            targets=times,
            **common | more,
        ),
        StepSpec(
            name="Core network",
            tier=Tier.L3,
            team_id=house.core.pk,
            mode="transfers",
            contact_list_ids=(house.lists[3].pk,),
            targets=times,
            **common | more,
        ),
        StepSpec(
            name="Management",
            tier=Tier.MANAGEMENT,
            team_id=house.board.pk,
            mode="involves",
            contact_list_ids=(house.lists[4].pk,),
            targets=times,
            **common | more,
        ),
    )


def default_spec(house: House, **more: Any) -> PathSpec:
    """Return the spec of the house's default path: counts round the clock, four steps, modest promises."""
    always = Calendar.objects.get(is_built_in=True)
    promises = {
        severity: PromiseSpec(
            first_response=20 * MIN, next_response=HOUR, resolution=8 * HOUR, update_every=None
        )
        for severity in SEVERITIES
    }
    values: dict[str, Any] = {
        "name": "Standard",
        "steps": steps_for(house),
        "calendar_id": always.pk,
        "fallback_contact_id": house.fallback.pk,
        "is_default": True,
        "promises": promises,
    }
    return PathSpec(**values | more)


def build_house(*, now: dt.datetime | None = None, with_path: bool = True, tag: str = "") -> House:
    """Build the organisation in the test's database; `tag` keeps several apart where nothing is rolled back."""
    at = now or database_now()

    def person(name: str, role: str) -> User:
        return create_user(email=f"{name.lower()}{tag}@example.org", name=f"{name} Test", role=role)

    requester = person("Carla", Role.REQUESTER)
    agent, second, third = (
        person("Piet", Role.AGENT),
        person("Aisha", Role.AGENT),
        person("Tomas", Role.AGENT),
    )
    outsider = person("Olaf", Role.AGENT)
    manager, lead = person("Ilse", Role.MANAGER), person("Lena", Role.LEAD)
    admin = person("Ada", Role.ADMIN)
    desk = create_team(name=f"Service desk{tag}", tier=Tier.L1, lead=lead, members=[agent])
    network = create_team(name=f"Network{tag}", tier=Tier.L2, lead=lead, members=[second])
    core = create_team(name=f"Core network{tag}", tier=Tier.L3, lead=lead, members=[third])
    board = create_team(name=f"Management{tag}", tier=Tier.MANAGEMENT, lead=manager, members=[manager])
    house = House(
        now=at,
        requester=requester,
        agent=agent,
        second=second,
        third=third,
        manager=manager,
        lead=lead,
        admin=admin,
        outsider=outsider,
        desk=desk,
        network=network,
        core=core,
        board=board,
        fallback=_fallback(tag),
    )
    for tier, user, words in (
        (2, second, "First, by day and night."),
        (3, third, "When L2 has a handoff."),
        (4, manager, "When customers notice."),
    ):
        contact = create_contact(name=user.name, email=user.email, user=user)
        duty = create_contact(name=f"Duty L{tier}", email=f"duty{tier}{tag}@example.org")
        house.lists[tier] = create_contact_list(
            name=f"L{tier} contacts{tag}", entries=[(contact, words), (duty, "When the first can't.")]
        )
    if with_path:
        house.path = publish_path(path_id=None, spec=default_spec(house), actor=admin, now=at)
    return house


def republish(house: House, **changes: Any) -> PathVersion:
    """Publish the default path anew with some fields changed."""
    path = EscalationPath.objects.get(is_default=True)
    spec = replace(default_spec(house), **changes)
    house.path = publish_path(path_id=path.pk, spec=spec, actor=house.admin, now=house.now)
    return house.path


def _fallback(tag: str) -> Contact:
    contact = create_contact(name="Duty officer", email=f"duty{tag}@example.org")
    ContactMethod.objects.create(contact=contact, address=f"duty{tag}@example.net", position=2)
    return contact
