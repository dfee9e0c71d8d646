"""A house with a path, a second customer who must see nothing of the first, and a follower of the organisation."""

import uuid
from dataclasses import dataclass

from django.test import Client

from accounts.models import Organisation, Role, Tier, User
from accounts.operations import create_team, create_user
from core.db import database_now
from escalation.models import EscalationPath
from escalation.operations import publish_path
from notifications.operations import create_contact, create_contact_list
from tests.house import House, default_spec, steps_for
from tickets.models import Ticket
from tickets.operations import Draft, open_ticket


@dataclass
class Portal:
    """Carla's house; Frida follows Carla's organisation, Konrad only belongs to it, Mallory is of another one."""

    house: House
    carla: User
    follower: User
    colleague: User
    mallory: User

    def open(self, requester: User | None = None, **more: object) -> Ticket:
        """Open a ticket as its requester, now."""
        who = requester or self.carla
        values = {"subject": "VPN drops", "body": "It drops.", **more}
        draft = Draft(requester=who, **values)  # type: ignore[arg-type]
        return open_ticket(draft=draft, actor=None, now=self.house.now)


def people_around(house: House) -> Portal:
    """Create the other customers."""
    northwind, other = (Organisation.objects.create(name=name) for name in ("Northwind", "Other"))
    User.objects.filter(pk=house.requester.pk).update(organisation=northwind)
    house.requester.refresh_from_db()

    def customer(name: str, organisation: Organisation) -> User:
        email = f"{name.lower()}@customers.example"
        return create_user(email=email, name=name, role=Role.REQUESTER, organisation=organisation)

    follower = customer("Frida", northwind)
    User.objects.filter(pk=follower.pk).update(sees_organisation=True)
    follower.refresh_from_db()
    return Portal(
        house=house,
        carla=house.requester,
        follower=follower,
        colleague=customer("Konrad", northwind),
        mallory=customer("Mallory", other),
    )


def signed_in(user: User) -> Client:
    """Return a client of this person's browser."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def live_portal() -> Portal:
    """Build the same in a database that other tests commit to as well: names of its own, a path of its own."""
    stem = f" {uuid.uuid4().hex[:6]}"
    now = database_now()
    organisation = Organisation.objects.create(name=f"Northwind{stem}")

    def person(name: str, role: str) -> User:
        email = f"{name}{stem}@example.org".lower().replace(" ", "-")
        return create_user(email=email, name=name, role=role, organisation=organisation)

    people = {
        name: person(name, Role.AGENT) for name in ("Piet Smit", "Aisha Khan", "Tomas Reyes", "Olaf Berg")
    }
    lead, manager = person("Lena Vos", Role.LEAD), person("Ilse de Wit", Role.MANAGER)
    requester = person("Carla Mendez", Role.REQUESTER)
    staff = (
        ("Service desk", Tier.L1, lead, people["Piet Smit"]),
        ("Network", Tier.L2, lead, people["Aisha Khan"]),
        ("Core network", Tier.L3, lead, people["Tomas Reyes"]),
        ("Management", Tier.MANAGEMENT, manager, manager),
    )
    teams = [
        create_team(name=f"{name}{stem}", tier=tier, lead=head, members=[one])
        for name, tier, head, one in staff
    ]
    fallback = create_contact(name="Duty officer", email="duty@example.org")
    house = House(
        now=now,
        requester=requester,
        agent=people["Piet Smit"],
        second=people["Aisha Khan"],
        third=people["Tomas Reyes"],
        manager=manager,
        lead=lead,
        admin=person("Ada Root", Role.ADMIN),
        outsider=people["Olaf Berg"],
        desk=teams[0],
        network=teams[1],
        core=teams[2],
        board=teams[3],
        fallback=fallback,
    )
    for tier, user in ((2, house.second), (3, house.third), (4, manager)):
        first = create_contact(name=user.name, email=user.email, user=user)
        deputy = create_contact(name=f"Duty L{tier}", email=f"duty{tier}@example.org")
        house.lists[tier] = create_contact_list(
            name=f"L{tier}{stem}",
            entries=[(first, "First, by day and night."), (deputy, "When the first can't.")],
        )
    spec = default_spec(
        house,
        name=f"Portal{stem}",
        steps=steps_for(house, telling="in_turn"),
        is_default=False,
        position=1,
        conditions={"organisations": [organisation.pk]},
    )
    if not EscalationPath.objects.filter(is_default=True).exists():
        plain = default_spec(house, name=f"Default{stem}")
        publish_path(path_id=None, spec=plain, actor=house.admin, now=now)
    house.path = publish_path(path_id=None, spec=spec, actor=house.admin, now=now)
    return Portal(house=house, carla=requester, follower=requester, colleague=requester, mallory=requester)
