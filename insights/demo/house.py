"""Build the demo's organisation through the operations: people, teams, services, contacts, calendars, paths."""

import datetime as dt
from dataclasses import dataclass, field

from accounts.models import Organisation, Role, Team, User
from accounts.operations import create_team, create_user
from calendars.operations import ensure_round_the_clock, publish_calendar, set_default_calendar
from calendars.rules import parse
from escalation.models import PathVersion
from escalation.operations import PathSpec, PromiseSpec, StepSpec, publish_path
from escalation.paths import path_rule
from escalation.rules.paths import PathRule
from insights.demo import organisation as org
from insights.demo import paths
from insights.demo.duty import build_duty
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod
from notifications.operations import contacts_for
from tickets.models import Category, Service

SEVERITIES = (1, 2, 3, 4)


@dataclass(slots=True)
class House:
    """What was built, by name or address."""

    now: dt.datetime
    people: dict[str, User] = field(default_factory=dict)
    requesters: list[User] = field(default_factory=list)
    teams: dict[str, Team] = field(default_factory=dict)
    members: dict[int, list[User]] = field(default_factory=dict)
    organisations: dict[str, Organisation] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    categories: dict[str, Category] = field(default_factory=dict)
    calendars: dict[str, int] = field(default_factory=dict)
    lists: dict[str, ContactList] = field(default_factory=dict)
    rules: dict[str, PathRule] = field(default_factory=dict)
    # Path name -> its place in the order in which paths are tried; the default comes last.
    order: dict[str, int] = field(default_factory=dict)

    def at_step(self, rule: PathRule, position: int) -> list[User]:
        """Return the people who work at a step, its lead last."""
        team_id = rule.step(position).team_id
        return self.members.get(team_id or 0, [])


def build_house(now: dt.datetime) -> House:
    """Build everything but tickets."""
    house = House(now)
    _build_people(house)
    _build_services(house)
    _build_calendars(house)
    _build_contacts(house)
    for plan in paths.PATHS:
        house.rules[plan.name] = path_rule(_publish(house, plan).pk)
        house.order[plan.name] = plan.position
    return house


def _build_people(house: House) -> None:
    for name, vip, domain in org.ORGANISATIONS:
        house.organisations[name] = Organisation.objects.create(name=name, vip=vip, domains=[domain])
    by_domain = {domain: house.organisations[name] for name, _, domain in org.ORGANISATIONS}
    for person in (*org.STAFF, *org.REQUESTERS):
        user = create_user(
            email=person.email,
            name=person.name,
            role=person.role,
            organisation=by_domain[person.email.partition("@")[2]],
            time_zone=person.zone,
            password=org.PASSWORD if person.signs_in else None,
        )
        house.people[user.email] = user
        if user.role == Role.REQUESTER:
            house.requesters.append(user)
    # One who follows all tickets of her organisation.
    carla = house.people[f"requester@{org.DOMAIN}"]
    carla.sees_organisation = True
    carla.save(update_fields=["sees_organisation"])
    for team in org.TEAMS:
        members = [house.people[person.email] for person in org.STAFF if person.team == team.name]
        row = create_team(
            name=team.name,
            tier=team.tier,
            lead=house.people[team.lead],
            capacity=team.capacity,
            members=members,
        )
        house.teams[team.name] = row
        house.members[row.pk] = sorted(members, key=lambda user: user.role != Role.AGENT)


def _build_services(house: House) -> None:
    rows = Category.objects.bulk_create([Category(name=name) for name in org.CATEGORIES])
    house.categories = {row.name: row for row in rows}
    services = Service.objects.bulk_create(
        [
            Service(
                name=plan.name,
                description=plan.description,
                owner=house.people[plan.owner],
                team=house.teams[plan.team],
                criticality=plan.criticality,
            )
            for plan in org.SERVICES
        ]
    )
    house.services = {row.name: row for row in services}


def _build_calendars(house: House) -> None:
    """Publish calendars with the holidays of this year and the next."""
    always = ensure_round_the_clock(now=house.now)
    house.calendars["24x7"] = always.calendar_id
    holidays = [f"{year}-{day}" for year in (house.now.year, house.now.year + 1) for day in org.HOLIDAYS]
    for name, week, description in (
        ("Service hours", paths.SERVICE_HOURS, "When the service desk answers."),
        ("Office hours", paths.OFFICE_HOURS, "When engineers are at their desks, less lunch."),
    ):
        version = publish_calendar(
            calendar_id=None,
            name=name,
            hours=parse({**week, "holidays": holidays}),
            actor_name="Demo",
            now=house.now,
            description=description,
        )
        house.calendars[name] = version.calendar_id
    set_default_calendar(calendar_id=house.calendars["Service hours"])


def _build_contacts(house: House) -> None:
    """Give everybody on the staff a contact, a second address to those who are fallbacks, and build the lists."""
    staff = [house.people[person.email] for person in org.STAFF]
    contacts = {user.email: contact for user in staff if (contact := contacts_for(staff)[user.pk])}
    # The fallback must be a person with two proven methods (DESIGN 3, nobody there).
    ContactMethod.objects.create(
        contact=contacts[f"manager@{org.DOMAIN}"], address="ilse.de.vries@phone.example", position=2
    )
    roles = {
        team.name: Contact.objects.create(
            name=f"Lead of {team.name}", kind=Contact.Kind.LEAD, team=house.teams[team.name]
        )
        for team in org.TEAMS
    }
    on_call = build_duty(teams=house.teams, contacts=contacts, calendars=house.calendars, now=house.now)
    rooms: dict[str, Contact] = {}
    for plan in paths.LISTS:
        hours = house.calendars[plan.calendar] if plan.calendar else None
        row = ContactList.objects.create(name=plan.name, calendar_id=hours)
        house.lists[plan.name] = row
        entries = []
        for place, (who, words, severities, from_round) in enumerate(plan.entries, start=1):
            kind, _, name = who.partition(":")
            if kind == "lead":
                contact = roles[name]
            elif kind == "oncall":
                contact = on_call[name]
            elif kind == "room":
                contact = rooms.get(name) or _room(name)
                rooms[name] = contact
            else:
                contact = contacts[who]
            entries.append(
                ContactListEntry(
                    contact_list=row,
                    contact=contact,
                    position=place,
                    when_to_reach_out=words,
                    severities=list(severities),
                    # A duty with hours is told in these; whoever stands below it is there at any.
                    hours="inside" if kind == "oncall" and hours is not None else "always",
                    from_round=from_round,
                )
            )
        ContactListEntry.objects.bulk_create(entries)
    ContactMethod.objects.update(proven_at=house.now)


def _room(address: str) -> Contact:
    contact = Contact.objects.create(name="IT duty room", kind=Contact.Kind.ROOM)
    ContactMethod.objects.create(contact=contact, address=address)
    return contact


def _publish(house: House, plan: paths.PathPlan) -> PathVersion:
    conditions = dict(plan.conditions)
    names = conditions.get("services")
    if isinstance(names, list):
        conditions["services"] = [house.services[name].pk for name in names]
    fallback = Contact.objects.get(user=house.people[f"manager@{org.DOMAIN}"])
    spec = PathSpec(
        name=plan.name,
        description=plan.description,
        position=plan.position,
        is_default=plan.is_default,
        calendar_id=house.calendars[plan.calendar],
        fallback_contact_id=fallback.pk,
        conditions=conditions,
        steps=tuple(
            StepSpec(
                name=step.name,
                tier=step.tier,
                team_id=house.teams[step.team].pk,
                mode="involves" if step.involves else "transfers",
                calendar_id=house.calendars[step.calendar] if step.calendar else None,
                contact_list_ids=tuple(house.lists[name].pk for name in step.lists),
                telling="in_turn" if step.in_turn else "all",
                wait=step.wait,
                rounds=step.rounds,
                targets=dict(zip(SEVERITIES, step.cells, strict=True)),
            )
            for step in plan.steps
        ),
        promises={
            severity: PromiseSpec(
                first_response=first, next_response=following, resolution=resolution, update_every=update
            )
            for severity, (first, following, resolution), update in zip(
                SEVERITIES, plan.promises, plan.update_every, strict=True
            )
        },
    )
    return publish_path(path_id=None, spec=spec, actor=None, now=house.now)
