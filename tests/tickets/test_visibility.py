"""Who sees a ticket, and that nobody changes one they don't reach, whatever door they take."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Role, User
from accounts.operations import create_organisation, create_team, create_user
from accounts.queries import scope_of
from accounts.rules import NOBODY, Verb
from core.errors import NotAllowed
from escalation.operations import acknowledge, escalate
from notifications.models import ContactListEntry
from notifications.operations import create_contact
from tests.house import MIN, House
from tickets.models import Event, Status, Ticket
from tickets.operations import (
    add_note,
    add_reply,
    add_tags,
    assign_ticket,
    assign_tickets,
    change_status,
    change_statuses,
    post_update,
    remove_tags,
    set_details,
    set_severities,
    set_severity,
    write_handoff,
)
from tickets.queries import visible

# What one ticket may be to the person who looks.
OWNERSHIPS = ("none of theirs", "requested", "assigned", "their team's", "their organisation's", "led")

# Role and switches of the person -> the tickets they see.
SEEN: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "requester": (Role.REQUESTER, {}, {"requested"}),
    "requester who sees the organisation": (
        Role.REQUESTER,
        {"sees_organisation": True},
        {"requested", "their organisation's"},
    ),
    "requester who sees an organisation they left": (
        Role.REQUESTER,
        {"sees_organisation": True, "organisation": None},
        {"requested"},
    ),
    "requester narrowed to teams": (Role.REQUESTER, {"only_own_teams": True}, {"requested"}),
    "agent": (Role.AGENT, {}, set(OWNERSHIPS)),
    "agent narrowed to teams": (
        Role.AGENT,
        {"only_own_teams": True},
        {"requested", "assigned", "their team's", "led"},
    ),
    "agent narrowed to teams who sees the organisation": (
        Role.AGENT,
        {"only_own_teams": True, "sees_organisation": True},
        {"requested", "assigned", "their team's", "led"},
    ),
    "lead": (Role.LEAD, {}, set(OWNERSHIPS)),
    "lead narrowed to teams": (
        Role.LEAD,
        {"only_own_teams": True},
        {"requested", "assigned", "their team's", "led"},
    ),
    "manager narrowed to teams": (Role.MANAGER, {"only_own_teams": True}, set(OWNERSHIPS)),
    "admin narrowed to teams": (Role.ADMIN, {"only_own_teams": True}, set(OWNERSHIPS)),
    "requester switched off": (Role.REQUESTER, {"is_active": False}, set()),
    "agent switched off": (Role.AGENT, {"is_active": False}, set()),
    "admin switched off": (Role.ADMIN, {"is_active": False}, set()),
}


@pytest.fixture
def house(house: House) -> House:
    return house


@pytest.mark.parametrize("who", SEEN)
def test_each_sees_what_the_table_says(who: str, house: House) -> None:
    role, switches, expected = SEEN[who]
    organisation = create_organisation(name="Acme")
    person = create_user(email="who@example.org", name="Who", role=role, organisation=organisation)
    create_team(name="Theirs", tier=1, members=[person])
    for field, value in switches.items():
        setattr(person, field, value)
    person.save()
    tickets = _one_of_each(house, person, organisation)

    seen = {what for what, ticket in tickets.items() if visible(person, ticket)}

    assert seen == expected
    assert {t.pk for t in Ticket.objects.visible_to(person)} == {tickets[what].pk for what in expected}


def _one_of_each(house: House, person: User, organisation: Any) -> dict[str, Ticket]:
    led = create_team(name="Led", tier=2, lead=person)
    fields = {
        "none of theirs": {"team": house.network},
        "requested": {"requester": person},
        "assigned": {"assignee": person},
        "their team's": {"team": person.teams.get()},
        "their organisation's": {"organisation": organisation},
        "led": {"team": led},
    }
    tickets = {}
    for what in OWNERSHIPS:
        tickets[what] = house.open()
        Ticket.objects.filter(pk=tickets[what].pk).update(**fields[what])
    return tickets


def test_who_has_not_signed_in_sees_nothing(house: House, django_assert_num_queries: Any) -> None:
    ticket = house.open()

    with django_assert_num_queries(0):
        assert list(Ticket.objects.visible_to(AnonymousUser())) == []
        assert list(Ticket.objects.within(NOBODY)) == []
    assert visible(house.agent, ticket)


def test_two_without_an_organisation_are_no_colleagues(house: House) -> None:
    ticket = house.open()
    stranger = create_user(email="stranger@example.org", name="Stranger")
    stranger.sees_organisation = True
    stranger.save()

    assert not visible(stranger, ticket)
    assert scope_of(stranger, Verb.VIEW).organisation_ids == frozenset()


Operation = Callable[[Ticket, User, House], Any]

# Each verb of a requester, and of an agent; none may be left out when a door is added.
REQUESTER_DOES: dict[str, Operation] = {
    "reply": lambda t, u, h: add_reply(ticket_id=t.pk, body="Mine!", actor=u, now=h.now),
    "resolve": lambda t, u, h: change_status(ticket_id=t.pk, status=Status.RESOLVED, actor=u, now=h.now),
}
AGENT_DOES: dict[str, Operation] = {
    "reply": lambda t, u, h: add_reply(ticket_id=t.pk, body="Hello.", actor=u, now=h.now),
    "note": lambda t, u, h: add_note(ticket_id=t.pk, body="Note.", actor=u, now=h.now),
    "update": lambda t, u, h: post_update(ticket_id=t.pk, body="Update.", actor=u, now=h.now),
    "handoff": lambda t, u, h: write_handoff(ticket_id=t.pk, fields={"tried": "x"}, actor=u, now=h.now),
    "take": lambda t, u, h: assign_ticket(ticket_id=t.pk, assignee=u, actor=u, now=h.now),
    "status": lambda t, u, h: change_status(ticket_id=t.pk, status=Status.RESOLVED, actor=u, now=h.now),
    "severity": lambda t, u, h: set_severity(ticket_id=t.pk, severity=1, actor=u, now=h.now, reason="x"),
    "details": lambda t, u, h: set_details(ticket_id=t.pk, changes={"impact": 1}, actor=u, now=h.now),
    "tag": lambda t, u, h: add_tags(ticket_ids=[t.pk], tags=["vpn"], actor=u, now=h.now),
    "untag": lambda t, u, h: remove_tags(ticket_ids=[t.pk], tags=["vpn"], actor=u, now=h.now),
    "escalate": lambda t, u, h: escalate(ticket_id=t.pk, seen_seq=0, actor=u, now=h.now, reason="x"),
}


def unchanged(ticket: Ticket, run: Callable[[], Any]) -> bool:
    """Tell whether `run` is refused and leaves no trace."""
    events = Event.objects.count()
    before = Ticket.objects.filter(pk=ticket.pk).values().get()
    with pytest.raises(NotAllowed):
        run()
    return Event.objects.count() == events and Ticket.objects.filter(pk=ticket.pk).values().get() == before


@pytest.mark.parametrize("verb", REQUESTER_DOES)
def test_a_requester_touches_nobody_else_s_ticket(verb: str, house: House) -> None:
    ticket = house.open()
    stranger = create_user(email="stranger@example.org", name="Stranger")

    assert unchanged(ticket, lambda: REQUESTER_DOES[verb](ticket, stranger, house))
    assert REQUESTER_DOES[verb](ticket, house.requester, house)


@pytest.mark.parametrize("verb", [verb for verb in AGENT_DOES if verb not in ("reply", "status")])
def test_a_requester_works_no_ticket_not_even_their_own(verb: str, house: House) -> None:
    ticket = house.open()

    assert unchanged(ticket, lambda: AGENT_DOES[verb](ticket, house.requester, house))


@pytest.mark.parametrize("verb", AGENT_DOES)
def test_who_is_narrowed_to_teams_works_no_other_s_ticket(verb: str, house: House) -> None:
    add_tags(ticket_ids=[(ticket := house.open()).pk], tags=["vpn"], actor=None, now=house.now)
    User.objects.filter(pk=house.second.pk).update(only_own_teams=True)
    house.second.refresh_from_db()

    assert unchanged(ticket, lambda: AGENT_DOES[verb](ticket, house.second, house))
    Ticket.objects.filter(pk=ticket.pk).update(team=house.network)
    if verb == "tag":
        Ticket.objects.filter(pk=ticket.pk).update(tags=[])
    assert AGENT_DOES[verb](ticket, house.second, house)


def test_a_colleague_who_sees_the_organisation_may_answer_for_it(house: House) -> None:
    acme = create_organisation(name="Acme")
    colleague = create_user(email="cole@acme.test", name="Cole", organisation=acme)
    ticket = house.open(organisation=acme)
    assert unchanged(ticket, lambda: REQUESTER_DOES["reply"](ticket, colleague, house))

    colleague.sees_organisation = True
    colleague.save()

    assert add_reply(ticket_id=ticket.pk, body="Me too.", actor=colleague, now=house.now).from_requester


@pytest.mark.parametrize(
    "batch",
    [
        lambda ids, u, h: assign_tickets(ticket_ids=ids, assignee=u, actor=u, now=h.now),
        lambda ids, u, h: change_statuses(ticket_ids=ids, status=Status.RESOLVED, actor=u, now=h.now),
        lambda ids, u, h: set_severities(ticket_ids=ids, severity=1, actor=u, now=h.now, reason="x"),
        lambda ids, u, h: add_tags(ticket_ids=ids, tags=["vpn"], actor=u, now=h.now),
    ],
)
def test_one_ticket_out_of_reach_refuses_the_batch(batch: Any, house: House) -> None:
    mine, other = house.open(), house.open()
    Ticket.objects.filter(pk=mine.pk).update(team=house.network)
    User.objects.filter(pk=house.second.pk).update(only_own_teams=True)
    house.second.refresh_from_db()

    with pytest.raises(NotAllowed, match=f"#{other.pk} is not among"):
        batch([mine.pk, other.pk], house.second, house)

    assert not Event.objects.filter(actor=house.second).exists()


def test_the_price_of_looking_at_reach_does_not_grow_with_the_tickets(house: House) -> None:
    User.objects.filter(pk=house.second.pk).update(only_own_teams=True)
    house.second.refresh_from_db()

    def cost(size: int) -> int:
        ids = [house.open().pk for _ in range(size)]
        Ticket.objects.filter(pk__in=ids).update(team=house.network)
        with CaptureQueriesContext(connection) as queries:
            add_tags(ticket_ids=ids, tags=["vpn"], actor=house.second, now=house.now)
        return len(queries)

    assert cost(2) == cost(12)


def test_a_contact_narrowed_to_other_teams_still_takes_what_they_acknowledge(house: House) -> None:
    User.objects.filter(pk=house.outsider.pk).update(only_own_teams=True)
    house.outsider.refresh_from_db()
    contact = create_contact(name="Olaf", email="olaf.duty@example.org", user=house.outsider)
    ContactListEntry.objects.create(contact_list=house.lists[2], contact=contact, position=9)
    ticket = house.open()
    step = escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now + MIN, reason="Core?")
    assert not visible(house.outsider, ticket)

    acknowledge(ticket_id=ticket.pk, seen_seq=step.seq, contact=contact, now=house.now + 2 * MIN, via="link")

    ticket.refresh_from_db()
    assert ticket.assignee == house.outsider
