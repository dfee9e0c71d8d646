"""The same verbs on the real operations and the real engine, and what PostgreSQL holds afterwards in plain words."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings

from accounts.models import Team, User
from accounts.operations import create_team, create_user
from calendars.models import Calendar, CalendarVersion
from calendars.operations import publish_calendar
from calendars.rules import parse
from core.errors import Refused
from escalation.engine import tick
from escalation.models import (
    EscalationRequest,
    PathVersion,
)
from escalation.operations import (
    PathSpec,
    PromiseSpec,
    StepSpec,
    acknowledge,
    decline_request,
    deescalate,
    escalate,
    grant_request,
    pass_on,
    publish_path,
    request_escalation,
)
from escalation.operations.dead_letters import handle_dead_letters
from escalation.operations.incidents import follow_incidents
from notifications import channels
from notifications.channels import Envelope, Failed, FailedForGood
from notifications.engine import claim, deliver
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod
from notifications.operations import create_contact
from notifications.rendering import Rendered
from tests.model import world
from tests.model.plain import Row, facts_of, outbox
from tests.model.world import MIN, PathDef, StepDef
from tickets.models import Category, Event, Service
from tickets.operations import (
    Draft,
    add_note,
    add_reply,
    assign_ticket,
    change_status,
    declare_major,
    link_to_incident,
    merge_tickets,
    open_ticket,
    post_update,
    resolve_linked,
    set_details,
    set_severity,
    unlink_from_incident,
)

# Later than every retry: whatever is pending goes out.
FAR = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)


@dataclass
class Names:
    """Which row is called what."""

    people: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    lists: dict[str, ContactList] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    categories: dict[str, Category] = field(default_factory=dict)
    calendars: dict[str, int] = field(default_factory=dict)
    paths: list[int] = field(default_factory=list)

    # Rows that a history adds, by id; ids are never given twice.
    known_contacts: dict[int, str] = field(default_factory=dict)
    known_paths: dict[int, tuple[str, int]] = field(default_factory=dict)
    known_calendars: dict[int, tuple[str, int]] = field(default_factory=dict)

    def contact(self, pk: int | None) -> str | None:
        """Return a contact's name; a person's contact carries the person's."""
        if pk is not None and pk not in self.known_contacts:
            self.known_contacts.update(Contact.objects.values_list("pk", "name"))
        return self.known_contacts[pk] if pk is not None else None

    def path(self, version_id: int) -> tuple[str, int]:
        if version_id not in self.known_paths:
            rows = PathVersion.objects.values_list("pk", "path__name", "number")
            self.known_paths.update({pk: (name, number) for pk, name, number in rows})
        return self.known_paths[version_id]

    def calendar(self, version_id: int) -> tuple[str, int]:
        if version_id not in self.known_calendars:
            rows = CalendarVersion.objects.values_list("pk", "calendar__name", "number")
            self.known_calendars.update({pk: (name, number) for pk, name, number in rows})
        return self.known_calendars[version_id]

    def person(self, pk: int | None) -> str | None:
        return next((name for name, user in self.people.items() if user.pk == pk), None)

    def team(self, pk: int | None) -> str | None:
        return next((name for name, team in self.teams.items() if team.pk == pk), None)


def build_world() -> Names:
    """Build the organisation of `world` in the test's database."""
    names = Names()
    for person, (role, _, _) in world.PEOPLE.items():
        names.people[person] = create_user(email=world.email(person), name=person, role=role)
    for team, tier in world.TEAMS.items():
        members = [names.people[p] for p, (_, teams, _) in world.PEOPLE.items() if team in teams]
        lead = names.people[world.LEAD_OF[team]]
        names.teams[team] = create_team(name=team, tier=tier, lead=lead, members=members)
    for contact, addresses in world.CONTACTS.items():
        row = create_contact(name=contact, email="x@example.org", user=names.people.get(contact))
        row.methods.all().delete()
        for place, address in enumerate(addresses, start=1):
            ContactMethod.objects.create(contact=row, address=address, position=place)
        Contact.objects.filter(pk=row.pk).update(is_active=contact not in world.SWITCHED_OFF)
        names.contacts[contact] = row
    roles = {
        team: Contact.objects.create(name=f"lead of {team}", kind=Contact.Kind.LEAD, team=names.teams[team])
        for team in sorted({e.lead_of for entries in world.LISTS.values() for e in entries if e.lead_of})
    }
    for title, entries in world.LISTS.items():
        names.lists[title] = ContactList.objects.create(name=title)
        for place, entry in enumerate(entries, start=1):
            ContactListEntry.objects.create(
                contact_list=names.lists[title],
                contact=roles[entry.lead_of] if entry.lead_of else names.contacts[entry.contact],
                position=place,
                severities=sorted(entry.severities),
                from_round=entry.from_round,
            )
    for service, (service_team, criticality) in world.SERVICES.items():
        team_row = names.teams[service_team] if service_team else None
        names.services[service] = Service.objects.create(name=service, team=team_row, criticality=criticality)
    for category in world.CATEGORIES:
        names.categories[category] = Category.objects.create(name=category)
    names.calendars["24x7"] = Calendar.objects.get(is_built_in=True).pk
    for calendar, forms in world.CALENDARS.items():
        version = publish_calendar(
            calendar_id=None, name=calendar, hours=parse(forms[0]), actor_name="Ada", now=world.BUILT
        )
        names.calendars[calendar] = version.calendar_id
    for path in world.PATHS:
        made = publish_path(
            path_id=None, spec=spec_of(names, path), actor=names.people["ada"], now=world.BUILT
        )
        names.paths.append(made.path_id)
    return names


def spec_of(names: Names, path: PathDef) -> PathSpec:
    """Return a path of the world as an admin would publish it."""
    conditions: dict[str, Any] = {}
    if path.severities:
        conditions["severities"] = list(path.severities)
    if path.services:
        conditions["services"] = [names.services[name].pk for name in path.services]
    if path.categories:
        conditions["categories"] = [names.categories[name].pk for name in path.categories]
    return PathSpec(
        name=path.name,
        position=path.position,
        is_default=path.is_default,
        calendar_id=names.calendars[path.calendar],
        fallback_contact_id=names.contacts[world.FALLBACK].pk,
        conditions=conditions,
        sev1_round_the_clock=path.sev1_round_the_clock,
        hold_pauses=path.hold_pauses,
        follow_up_days=path.follow_up_days,
        warn_percent=path.warn_percent,
        on_first_response_due=_on_due(path, "first_response"),
        on_next_response_due=_on_due(path, "next_response"),
        on_resolution_due=_on_due(path, "resolution"),
        promises={
            severity: PromiseSpec(
                first_response=path.promised(severity, "first_response"),
                next_response=path.promised(severity, "next_response"),
                resolution=path.promised(severity, "resolution"),
                update_every=path.promised(severity, "stakeholder_update"),
            )
            for severity in path.promises
        },
        steps=tuple(_step_spec(names, step) for step in path.steps),
    )


def _on_due(path: PathDef, kind: str) -> str:
    return "climb" if kind in path.climbs_on else "tell_lead"


def _step_spec(names: Names, step: StepDef) -> StepSpec:
    return StepSpec(
        name=step.name,
        tier=step.tier,
        team_id=names.teams[step.team].pk if step.team else None,
        mode="transfers" if step.transfers else "involves",
        calendar_id=names.calendars[step.calendar] if step.calendar else None,
        contact_list_ids=tuple(names.lists[name].pk for name in step.lists),
        telling="in_turn" if step.in_turn else "all",
        wait=step.wait * MIN,
        rounds=step.rounds,
        skip_when=None if step.skip_severities is None else {"severities": list(step.skip_severities)},
        targets={severity: (step.acknowledge(severity), step.work(severity)) for severity in step.targets},
    )


class Real:
    """Tickets in PostgreSQL, moved by the operations that pages and the API call."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.tickets: list[int] = []
        self._seen_event = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    # --- verbs; each returns the name of the refusal, None when it was done ------------------------------------------

    def attempt(self, call: Callable[[], Any]) -> str | None:
        try:
            call()
        except Refused as refusal:
            return type(refusal).__name__
        return None

    def person(self, name: str | None) -> User | None:
        return self.names.people[name] if name is not None else None

    def requester(self, number: int) -> User:
        return self.names.people[world.REQUESTERS[number % len(world.REQUESTERS)]]

    def number(self, pk: int | None) -> int | None:
        """Return which ticket of the history an id is."""
        return self.tickets.index(pk) if pk is not None else None

    def contact(self, name: str) -> Contact:
        if name in self.names.contacts:
            return self.names.contacts[name]
        return Contact.objects.get(user=self.names.people[name])

    def open(self, now: dt.datetime, severity: int, service: str | None, category: str | None) -> None:
        draft = Draft(
            requester=self.requester(len(self.tickets)),
            subject="VPN drops",
            body="It drops.",
            severity=severity,
            severity_reason="as drawn",
            service=self.names.services[service] if service else None,
            category=self.names.categories[category] if category else None,
        )
        self.tickets.append(open_ticket(draft=draft, actor=None, now=now).pk)

    def say(self, now: dt.datetime, number: int, kind: str, person: str, then: str | None) -> str | None:
        verb = {"replied": add_reply, "noted": add_note, "updated": post_update}[kind]
        more = {"then_status": then, "reason": "as drawn"} if then else {}
        return self.attempt(
            lambda: verb(
                ticket_id=self.tickets[number], body="Words.", actor=self.person(person), now=now, **more
            )
        )

    def set_status(self, now: dt.datetime, number: int, status: str, person: str) -> str | None:
        return self.attempt(
            lambda: change_status(
                ticket_id=self.tickets[number],
                status=status,
                actor=self.person(person),
                now=now,
                reason="So.",
            )
        )

    def acknowledge(
        self, now: dt.datetime, number: int, seq: int, person: str | None, contact: str | None
    ) -> str | None:
        return self.attempt(
            lambda: acknowledge(
                ticket_id=self.tickets[number],
                seen_seq=seq,
                now=now,
                actor=self.person(person),
                contact=self.contact(contact) if contact else None,
                via="button" if person else "link",
            )
        )

    def pass_on(self, now: dt.datetime, number: int, seq: int, contact: str) -> str | None:
        return self.attempt(
            lambda: pass_on(
                ticket_id=self.tickets[number], seen_seq=seq, contact=self.contact(contact), now=now
            )
        )

    def assign(self, now: dt.datetime, number: int, person: str | None, by: str) -> str | None:
        return self.attempt(
            lambda: assign_ticket(
                ticket_id=self.tickets[number], assignee=self.person(person), actor=self.person(by), now=now
            )
        )

    def escalate(self, now: dt.datetime, number: int, seq: int, person: str, to: int | None) -> str | None:
        return self.attempt(
            lambda: escalate(
                ticket_id=self.tickets[number],
                seen_seq=seq,
                actor=self.person(person),
                now=now,
                reason="Up.",
                to_position=to,
            )
        )

    def deescalate(self, now: dt.datetime, number: int, seq: int, person: str, to: int) -> str | None:
        return self.attempt(
            lambda: deescalate(
                ticket_id=self.tickets[number],
                seen_seq=seq,
                actor=self.person(person),
                now=now,
                reason="Down.",
                to_position=to,
            )
        )

    def wish(self, now: dt.datetime, number: int) -> str | None:
        return self.attempt(
            lambda: request_escalation(
                ticket_id=self.tickets[number], actor=self.requester(number), reason="Please.", now=now
            )
        )

    def answer_wish(self, now: dt.datetime, number: int, person: str, *, grant: bool) -> str | None:
        request = EscalationRequest.objects.filter(ticket_id=self.tickets[number]).latest("seq")
        verb = grant_request if grant else decline_request
        return self.attempt(
            lambda: verb(request_id=request.pk, actor=self.names.people[person], reason="Hm.", now=now)
        )

    def consult(self, now: dt.datetime, number: int, seq: int, person: str, to: int) -> str | None:
        from escalation import operations

        return self.attempt(
            lambda: operations.consult(
                ticket_id=self.tickets[number],
                seen_seq=seq,
                to_position=to,
                actor=self.person(person),
                now=now,
                question="What is it?",
            )
        )

    def send_back(self, now: dt.datetime, number: int, seq: int, person: str) -> str | None:
        from escalation import operations

        return self.attempt(
            lambda: operations.send_back(
                ticket_id=self.tickets[number],
                seen_seq=seq,
                actor=self.person(person),
                now=now,
                question="Since when?",
            )
        )

    def answer_question(self, now: dt.datetime, number: int, seq: int, person: str) -> str | None:
        from escalation import operations

        return self.attempt(
            lambda: operations.answer_question(
                ticket_id=self.tickets[number],
                seen_seq=seq,
                actor=self.person(person),
                now=now,
                text="Since nine.",
            )
        )

    def set_severity(self, now: dt.datetime, number: int, severity: int, person: str) -> str | None:
        return self.attempt(
            lambda: set_severity(
                ticket_id=self.tickets[number],
                severity=severity,
                actor=self.person(person),
                now=now,
                reason="So.",
            )
        )

    def set_detail(
        self, now: dt.datetime, number: int, name: str, value: str | None, person: str
    ) -> str | None:
        rows: dict[str, Any] = dict(self.names.services) if name == "service" else dict(self.names.categories)
        return self.attempt(
            lambda: set_details(
                ticket_id=self.tickets[number],
                changes={name: rows[value] if value else None},
                actor=self.person(person),
                now=now,
            )
        )

    def merge(self, now: dt.datetime, losers: Sequence[int], survivor: int, person: str) -> str | None:
        return self.attempt(
            lambda: merge_tickets(
                loser_ids=[self.tickets[number] for number in losers],
                survivor_id=self.tickets[survivor],
                actor=self.person(person),
                now=now,
            )
        )

    def declare(self, now: dt.datetime, number: int, person: str) -> str | None:
        return self.attempt(
            lambda: declare_major(ticket_id=self.tickets[number], actor=self.person(person), now=now)
        )

    def link(self, now: dt.datetime, numbers: Sequence[int], incident: int, person: str) -> str | None:
        return self.attempt(
            lambda: link_to_incident(
                ticket_ids=[self.tickets[number] for number in numbers],
                incident_id=self.tickets[incident],
                actor=self.person(person),
                now=now,
            )
        )

    def unlink(self, now: dt.datetime, numbers: Sequence[int], person: str) -> str | None:
        return self.attempt(
            lambda: unlink_from_incident(
                ticket_ids=[self.tickets[number] for number in numbers], actor=self.person(person), now=now
            )
        )

    def resolve_linked(self, now: dt.datetime, incident: int, person: str) -> str | None:
        return self.attempt(
            lambda: resolve_linked(incident_id=self.tickets[incident], actor=self.person(person), now=now)
        )

    def publish(self, now: dt.datetime, number: int, variant: int) -> None:
        spec = spec_of(self.names, world.path_variant(number, variant))
        publish_path(path_id=self.names.paths[number], spec=spec, actor=self.names.people["ada"], now=now)

    def publish_calendar(self, now: dt.datetime, name: str, variant: int) -> None:
        publish_calendar(
            calendar_id=self.names.calendars[name],
            name=name,
            hours=parse(world.CALENDARS[name][variant]),
            actor_name="Ada",
            now=now,
        )

    def switch(self, contact: str) -> None:
        row = Contact.objects.get(pk=self.names.contacts[contact].pk)
        row.is_active = not row.is_active
        row.save()

    def tick(self, now: dt.datetime, parts: Sequence[Iterable[int]] = ()) -> None:
        """Tick; `parts` are batches of tickets that go first, as other workers would take them."""
        if parts:
            # Every worker's tick begins with them.
            follow_incidents(now=now)
            handle_dead_letters(now=now)
        for part in parts:
            tick(now=now, only=[self.tickets[number] for number in part])
        tick(now=now)

    def deliver(self, fate: Callable[[Row], str]) -> int:
        """Send everything pending through the real delivery; `fate` says sent, failed or dead of each row."""

        def send(envelope: Envelope) -> str:
            (row,) = outbox(self, key=envelope.key)
            outcome = fate(row)
            if outcome == "failed":
                raise Failed("451 later")
            if outcome == "dead":
                raise FailedForGood("550 never")
            return "250 accepted"

        token = uuid.uuid4()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(channels._SENDERS, "email", send)
            # What a mail says is proven elsewhere, and takes longer than all the rest.
            patch.setattr(
                "notifications.leasing.Leased.render",
                lambda leased: Rendered(leased.row.kind, leased.row.kind, ""),
            )
            # Histories hop through months: what comes in digests is proven elsewhere.
            patch.setattr(settings, "BELAY_DIGEST_ABOVE", 0)
            ids = claim(token=token, now=FAR, batch=10_000)
            for pk in sorted(ids):
                deliver(pk, token)
        return len(ids)

    # --- looking ----------------------------------------------------------------------------------------------------

    def new_events(self) -> list[tuple[int, Any]]:
        """Return (ticket number, event) of what the timelines gained since the last look, in plain words."""
        rows = list(
            Event.objects.filter(pk__gt=self._seen_event, ticket_id__in=self.tickets)
            .order_by("pk")
            .values_list("pk", "ticket_id", "kind", "actor_id", "at", "data")
        )
        if rows:
            self._seen_event = rows[-1][0]
        return [
            (self.tickets.index(ticket_id), (kind, self.names.person(actor), at, facts_of(self, kind, data)))
            for _, ticket_id, kind, actor, at, data in rows
        ]
