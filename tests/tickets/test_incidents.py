"""Major incidents and the tickets that are linked to one."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from accounts.models import User
from core.errors import Conflict, NotAllowed, Refused
from tests.house import MIN, House
from tickets import kinds
from tickets.models import Event, Status, Ticket
from tickets.operations import (
    Draft,
    change_status,
    declare_major,
    link_to_incident,
    merge_tickets,
    open_ticket,
    resolve_linked,
    unlink_from_incident,
)
from tickets.verification import verify


@pytest.fixture
def house(house: House) -> House:
    return house


def incident(house: House) -> Ticket:
    ticket = house.open(subject="VPN is down")
    declare_major(ticket_id=ticket.pk, actor=house.agent, now=house.now)
    return ticket


def link(house: House, parent: Ticket, *tickets: Ticket, actor: User | None = None) -> list[Event]:
    return link_to_incident(
        ticket_ids=[t.pk for t in tickets],
        incident_id=parent.pk,
        actor=actor or house.agent,
        now=house.now + MIN,
    )


def resolve(house: House, ticket: Ticket) -> None:
    change_status(ticket_id=ticket.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + MIN)


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.get(pk=ticket.pk)


def test_declaring_linking_and_unlinking_are_on_the_timelines(house: House) -> None:
    parent, child = incident(house), house.open()

    link(house, parent, child)
    unlink_from_incident(
        ticket_ids=[child.pk], actor=house.agent, now=house.now + 2 * MIN, reason="Another cause."
    )

    assert fresh(parent).is_major
    assert fresh(child).incident is None
    told = Event.objects.filter(ticket__in=(parent, child), kind__in=("declared_major", "linked", "unlinked"))
    assert [(e.ticket_id, e.kind, e.data) for e in told.order_by("pk")] == [
        (parent.pk, kinds.DECLARED_MAJOR, {}),
        (child.pk, kinds.LINKED, {"incident": parent.pk}),
        (parent.pk, kinds.LINKED, {"tickets": [child.pk]}),
        (child.pk, kinds.UNLINKED, {"incident": parent.pk}),
    ]
    assert list(verify()) == []


def test_each_done_twice_counts_once(house: House) -> None:
    parent, child = incident(house), house.open()
    link(house, parent, child)
    before = Event.objects.count()

    assert declare_major(ticket_id=parent.pk, actor=house.agent, now=house.now) == []
    assert link(house, parent, child) == []
    assert Event.objects.count() == before
    unlink_from_incident(ticket_ids=[child.pk], actor=house.agent, now=house.now)
    assert unlink_from_incident(ticket_ids=[child.pk], actor=house.agent, now=house.now) == []


def _ordinary(house: House) -> tuple[Ticket, Ticket]:
    return house.open(), house.open()


def _finished_incident(house: House) -> tuple[Ticket, Ticket]:
    parent = incident(house)
    resolve(house, parent)
    return parent, house.open()


def _finished_child(house: House) -> tuple[Ticket, Ticket]:
    child = house.open()
    resolve(house, child)
    return incident(house), child


def _two_incidents(house: House) -> tuple[Ticket, Ticket]:
    return incident(house), incident(house)


def _linked_elsewhere(house: House) -> tuple[Ticket, Ticket]:
    child = house.open()
    link(house, incident(house), child)
    return incident(house), child


def _itself(house: House) -> tuple[Ticket, Ticket]:
    parent = incident(house)
    return parent, parent


def _history(house: House) -> tuple[Ticket, Ticket]:
    past = Draft(requester=house.requester, subject="Old", historic=True, happened_at=house.now)
    return incident(house), open_ticket(draft=past, actor=None, now=house.now)


@pytest.mark.parametrize(
    ("pair", "words", "field"),
    [
        (_ordinary, "is no major incident", "incident"),
        (_finished_incident, "is resolved", "incident"),
        (_finished_child, "is resolved", "tickets"),
        (_two_incidents, "is a major incident itself", "tickets"),
        (_linked_elsewhere, "is linked to #", "tickets"),
        (_itself, "linked to another one", "tickets"),
        (_history, "imported history", "tickets"),
    ],
)
def test_what_does_not_belong_together_is_not_linked(
    pair: Callable[[House], tuple[Ticket, Ticket]], words: str, field: str, house: House
) -> None:
    parent, child = pair(house)
    before = fresh(child).incident_id

    with pytest.raises(Refused, match=words) as refused:
        link(house, parent, child)

    assert (refused.value.field, bool(refused.value.mend)) == (field, True)
    assert fresh(child).incident_id == before


def test_a_linked_or_finished_ticket_is_no_major_incident(house: House) -> None:
    linked, done = house.open(), house.open()
    link(house, incident(house), linked)
    resolve(house, done)

    for ticket in (linked, done):
        with pytest.raises(Conflict):
            declare_major(ticket_id=ticket.pk, actor=house.agent, now=house.now)


def test_a_major_incident_is_merged_into_nothing(house: House) -> None:
    parent, other = incident(house), house.open()

    with pytest.raises(Conflict, match="is a major incident"):
        merge_tickets(loser_ids=[parent.pk], survivor_id=other.pk, actor=house.agent, now=house.now)


def test_people_outside_declare_and_link_nothing(house: House) -> None:
    parent, child = incident(house), house.open()

    with pytest.raises(NotAllowed):
        link(house, parent, child, actor=house.requester)
    with pytest.raises(NotAllowed):
        declare_major(ticket_id=child.pk, actor=house.requester, now=house.now)
    with pytest.raises(NotAllowed):
        unlink_from_incident(ticket_ids=[child.pk], actor=house.requester, now=house.now)
    with pytest.raises(NotAllowed):
        resolve_linked(incident_id=parent.pk, actor=house.requester, now=house.now)


def test_what_is_linked_to_an_incident_that_is_over_is_resolved_in_batches(house: House) -> None:
    parent = incident(house)
    children = [house.open() for _ in range(5)]
    link(house, parent, *children)
    resolve(house, children[0])
    other = house.open()

    with pytest.raises(Conflict, match="is still"):
        resolve_linked(incident_id=parent.pk, actor=house.agent, now=house.now + MIN)
    resolve(house, parent)
    resolved = resolve_linked(
        incident_id=parent.pk, actor=house.agent, now=house.now + 2 * MIN, batch=2, reason="VPN is back."
    )

    assert resolved == 4
    assert {fresh(child).status for child in children} == {Status.RESOLVED}
    assert fresh(other).is_open
    assert resolve_linked(incident_id=parent.pk, actor=house.agent, now=house.now + 3 * MIN) == 0
    with pytest.raises(Refused, match="is no major incident"):
        resolve_linked(incident_id=other.pk, actor=house.agent, now=house.now)


def test_an_agent_narrowed_to_teams_resolves_what_they_reach(house: House) -> None:
    parent, child, elsewhere = incident(house), house.open(team=house.desk), house.open()
    link(house, parent, child, elsewhere)
    Ticket.objects.filter(pk=elsewhere.pk).update(team=house.core)
    resolve(house, parent)
    Ticket.objects.filter(pk=parent.pk).update(team=house.desk)
    User.objects.filter(pk=house.agent.pk).update(only_own_teams=True)
    narrowed = User.objects.get(pk=house.agent.pk)

    assert resolve_linked(incident_id=parent.pk, actor=narrowed, now=house.now + 2 * MIN) == 1

    assert fresh(elsewhere).is_open


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"is_major": True}, "ticket_incident_is_linked_to_none"),
        ({"incident": "itself"}, "ticket_linked_to_another"),
    ],
)
def test_the_database_keeps_links_whole(values: dict[str, object], constraint: str, house: House) -> None:
    child = house.open()
    link(house, incident(house), child)
    changed = {name: child if value == "itself" else value for name, value in values.items()}

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Ticket.objects.filter(pk=child.pk).update(**changed)


def test_the_database_links_tickets_to_major_incidents_only(house: House) -> None:
    parent, child, ordinary = incident(house), house.open(), house.open()
    link(house, parent, child)

    for ticket, values in (
        (ordinary, {"incident": child}),
        (child, {"incident": ordinary}),
        (parent, {"is_major": False}),
    ):
        with pytest.raises(IntegrityError, match="ticket_incident_is_major"), transaction.atomic():
            Ticket.objects.filter(pk=ticket.pk).update(**values)
    unlink_from_incident(ticket_ids=[child.pk], actor=house.agent, now=house.now + 2 * MIN)
    assert Ticket.objects.filter(pk=parent.pk).update(is_major=False) == 1
