"""A small house for the board's tests: four tiers, two L2 teams, one path; made through the operations."""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

from accounts.models import Role, Team, Tier, User
from accounts.operations import create_team, create_user
from calendars.models import Calendar
from core.db import database_now
from escalation.models import Standing
from escalation.operations import PathSpec, PromiseSpec, StepSpec, acknowledge, escalate, publish_path
from notifications.operations import create_contact, create_contact_list
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
# How long each step has, whatever the severity: long enough that nothing is due while a test looks.
WORK_WITHIN = 12 * HOUR


@dataclass
class House:
    """The people, teams and path of one test; names carry a mark, as live tests share one database."""

    mark: str
    lead: User
    agent: User
    requester: User
    teams: dict[str, Team]
    people: dict[str, User]
    steps: tuple[StepSpec, ...]
    seen: list[int] = field(default_factory=list)

    def open(self, subject: str, *, left: dt.timedelta = HOUR, severity: int = 3, **more: Any) -> Ticket:
        """Open a ticket at L1 that has about `left` until it climbs."""
        now = database_now() + left - WORK_WITHIN
        fields = {
            "team": self.teams["desk"],
            "severity": severity,
            "severity_reason": "As the test wants it.",
            **more,
        }
        draft = Draft(requester=self.requester, subject=subject, body="It does not work.", **fields)
        ticket = open_ticket(draft=draft, actor=self.agent, now=now)
        ticket.refresh_from_db()
        return ticket

    def climb(self, ticket: Ticket, to: int, *, taken: bool = True, left: dt.timedelta = HOUR) -> Ticket:
        """Let a ticket climb to the step at `to`, which then has about `left`; `taken` acknowledges there."""
        ticket.refresh_from_db()
        when = max(ticket.last_event_at, database_now() + left - WORK_WITHIN)
        for position in range(Standing.objects.get(ticket=ticket).step.position + 1, to + 1):
            seq = Standing.objects.get(ticket=ticket).seq
            escalate(
                ticket_id=ticket.pk,
                seen_seq=seq,
                actor=self.agent,
                now=when,
                reason="Needs the next tier.",
                handoff={"impact": "46 people", "tried": "A restart", "next_action": "Look at the core"},
            )
            if position < to or taken:
                seq = Standing.objects.get(ticket=ticket).seq
                acknowledge(ticket_id=ticket.pk, seen_seq=seq, actor=self.lead, now=when)
        ticket.refresh_from_db()
        return ticket


def build_house(mark: str = "") -> House:
    """Build it; with a path of the house's own service teams that every new ticket enters."""
    mark = mark or uuid.uuid4().hex[:6]

    def person(name: str, role: str) -> User:
        email = f"{name.split(maxsplit=1)[0].lower()}-{mark}@example.org"
        return create_user(email=email, name=name, role=role, password="only-for-tests")

    lead, agent = person("Mara Vogel", Role.LEAD), person("Piet Smit", Role.AGENT)
    people = {
        "lead": lead,
        "agent": agent,
        "ilse": person("Ilse de Wit", Role.MANAGER),
        "tomas": person("Tomas Reyes", Role.AGENT),
        "li": person("Li Na", Role.AGENT),
        "aisha": person("Aisha Khan", Role.AGENT),
        "jonas": person("Jonas Berg", Role.AGENT),
    }
    teams = {
        "desk": create_team(
            name=f"Service desk {mark}", tier=Tier.L1, lead=lead, capacity=40, members=[agent]
        ),
        "network": create_team(name=f"Network {mark}", tier=Tier.L2, capacity=12, members=[people["aisha"]]),
        "workplace": create_team(
            name=f"Workplace {mark}", tier=Tier.L2, capacity=10, members=[people["jonas"]]
        ),
        "core": create_team(name=f"Core systems {mark}", tier=Tier.L3, capacity=8, members=[people["tomas"]]),
    }
    contact = {
        name: create_contact(name=user.name, email=user.email, user=user) for name, user in people.items()
    }

    def contacts(name: str, *who: str) -> int:
        entries = [(contact[person], "Any time.") for person in who]
        return create_contact_list(name=f"{name} {mark}", entries=entries).pk

    targets = dict.fromkeys((1, 2, 3, 4), (15 * MINUTE, WORK_WITHIN))
    steps = (
        StepSpec(
            name="Service desk",
            tier=Tier.L1,
            team_id=teams["desk"].pk,
            targets=dict.fromkeys((1, 2, 3, 4), (None, WORK_WITHIN)),
        ),
        StepSpec(
            name="Network",
            tier=Tier.L2,
            team_id=teams["network"].pk,
            contact_list_ids=(contacts("Network on call", "aisha", "jonas"),),
            targets=targets,
        ),
        StepSpec(
            name="Core systems",
            tier=Tier.L3,
            team_id=teams["core"].pk,
            contact_list_ids=(contacts("Core on call", "tomas", "li"),),
            targets=targets,
        ),
        StepSpec(
            name="Management",
            tier=Tier.MANAGEMENT,
            mode="involves",
            contact_list_ids=(contacts("Management", "ilse"),),
            targets=targets,
        ),
    )
    publish_path(
        path_id=None,
        spec=PathSpec(
            name=f"Everything {mark}",
            position=1,
            is_default=True,
            steps=steps,
            calendar_id=Calendar.objects.get(is_built_in=True).pk,
            fallback_contact_id=contact["lead"].pk,
            promises={severity: PromiseSpec(update_every=30 * HOUR) for severity in (1, 2, 3, 4)},
        ),
        actor=None,
        now=database_now(),
    )
    return House(mark, lead, agent, person("Carla Mendez", Role.REQUESTER), teams, people, steps)
