"""The teams, services, organisations and people that an imported log names, found or made.

What an import makes is switched off: it explains the past, nobody is routed to it, until an admin switches it on.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Manager

from accounts.models import Organisation, Role, Team, User
from intake.rules import Incident, local_part
from tickets.models import Service

M = TypeVar("M", Team, Service, Organisation)

DOMAIN = "import.invalid"
NOBODY = "Requesters"


class Catalogue:
    """Everything the rows so far have named, by name; the number of queries does not grow with the rows."""

    def __init__(self, tiers: Mapping[str, Mapping[int, int]]) -> None:
        """Take how many rows each team has at each tier, to give new teams the tier they mostly work at."""
        self.tiers = tiers
        self.teams: dict[str, Team] = {}
        self.services: dict[str, Service] = {}
        self.organisations: dict[str, Organisation] = {}
        self.people: dict[str, User] = {}

    def provide(self, incidents: Sequence[Incident]) -> None:
        """Find or make whatever these rows name, in a constant number of queries."""
        _provide(self.teams, {i.team for i in incidents}, self._new_team, Team.objects)
        _provide(self.services, {i.product for i in incidents}, _new_service, Service.objects)
        countries = {_country(i.country) for i in incidents}
        _provide(self.organisations, countries, _new_organisation, Organisation.objects)
        people: dict[str, tuple[str, str, Organisation | None]] = {}
        for incident in incidents:
            if incident.resource is not None:
                people[address_of(incident.resource)] = (incident.resource, Role.AGENT, None)
        for incident in incidents:
            name, address = _requester(incident)
            people.setdefault(address, (name, Role.REQUESTER, self.organisation(incident)))
        missing = {address: rest for address, rest in people.items() if address not in self.people}
        if missing:
            User.objects.bulk_create(
                [_new_person(address, *rest) for address, rest in sorted(missing.items())],
                ignore_conflicts=True,
            )
            for user in User.objects.filter(email__in=missing):
                self.people[user.email] = user

    def team(self, incident: Incident) -> Team | None:
        return self.teams[incident.team] if incident.team else None

    def service(self, incident: Incident) -> Service | None:
        return self.services[incident.product] if incident.product else None

    def organisation(self, incident: Incident) -> Organisation | None:
        return self.organisations[_country(incident.country)] if incident.country else None

    def resource(self, incident: Incident) -> User | None:
        return self.people[address_of(incident.resource)] if incident.resource else None

    def requester(self, incident: Incident) -> User:
        return self.people[_requester(incident)[1]]

    def torn_teams(self) -> dict[str, dict[int, int]]:
        """Return the teams whose rows show more than one tier, or another than the team has had before."""
        before = dict(Team.objects.filter(name__in=self.tiers).values_list("name", "tier"))
        return {
            name: dict(tiers)
            for name, tiers in self.tiers.items()
            if len(tiers) > 1 or before.get(name, next(iter(tiers))) not in tiers
        }

    def _new_team(self, name: str) -> Team:
        seen = self.tiers.get(name) or {1: 1}
        tier = min(seen, key=lambda tier: (-seen[tier], tier))
        return Team(name=name, tier=tier, is_active=False)


def address_of(name: str) -> str:
    """Return the address of the account that stands for a name; a name that is an address keeps it."""
    try:
        validate_email(name)
    except ValidationError:
        local = local_part(name)
        if local != name.lower():
            # Two names must not become one person because their signs were dropped.
            local = f"{local}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")
        return f"{local}@{DOMAIN}"
    return name.lower()


def _requester(incident: Incident) -> tuple[str, str]:
    """Return name and address of whoever asked; logs that don't say get one account per country."""
    if incident.requester:
        return incident.requester, address_of(incident.requester)
    if incident.country:
        name = f"{NOBODY} ({_country(incident.country)})"
        return name, address_of(f"{NOBODY}-{_country(incident.country)}")
    return NOBODY, address_of(NOBODY)


def _country(name: str | None) -> str:
    """Return a country's name, or its code in capitals: logs write "se" and "SE" alike."""
    return name.upper() if name and len(name) <= 3 else name or ""


def _new_service(name: str) -> Service:
    return Service(name=name, is_active=False)


def _new_organisation(name: str) -> Organisation:
    return Organisation(name=name)


def _new_person(address: str, name: str, role: str, organisation: Organisation | None) -> User:
    person = User(email=address, name=name, role=role, organisation=organisation, is_active=False)
    person.set_unusable_password()
    return person


def _provide(
    known: dict[str, M], names: Iterable[str | None], make: Callable[[str], M], rows: "Manager[M]"
) -> None:
    """Add rows of these names to `known`, making those that are not there; three queries at most."""
    missing = sorted({name for name in names if name} - known.keys())
    if not missing:
        return
    there = {row.name: row for row in rows.filter(name__in=missing)}
    new = [make(name) for name in missing if name not in there]
    if new:
        rows.bulk_create(new, ignore_conflicts=True)
        there = {row.name: row for row in rows.filter(name__in=missing)}
    known.update(there)
