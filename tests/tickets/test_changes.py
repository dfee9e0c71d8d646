"""Owner, severity, details and tags: what may change into what, and what is kept of it."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Tier, User
from accounts.operations import create_organisation, create_team, create_user
from core.errors import NotAllowed, Refused
from tests.house import MIN, House
from tickets import kinds
from tickets.models import Category, Event, Service, Status, Ticket
from tickets.operations import (
    Draft,
    add_tags,
    assign_ticket,
    assign_tickets,
    change_statuses,
    open_tickets,
    remove_tags,
    set_details,
    set_severities,
    set_severity,
)
from tickets.operations.words import clean_tag

NEW, OPEN, WAITING, _, RESOLVED, _ = Status.values


@pytest.fixture
def house(house: House) -> House:
    return house


def events_of(ticket: Ticket, kind: str) -> list[Event]:
    return list(Event.objects.filter(ticket=ticket, kind=kind).order_by("seq"))


@pytest.mark.parametrize("status", [NEW, OPEN, WAITING, RESOLVED])
def test_taking_a_new_ticket_opens_it_any_other_stays(status: str, house: House) -> None:
    ticket = house.open()
    Ticket.objects.filter(pk=ticket.pk).update(status=status)

    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now, reason="Yours.")

    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.status) == (house.agent, OPEN if status == NEW else status)
    (event,) = events_of(ticket, kinds.ASSIGNED)
    assert (event.data, event.actor) == ({"from": None, "to": house.agent.pk}, house.lead)
    assert event.payload.text == {"reason": "Yours."}


@pytest.mark.parametrize("unfit", ["requester", "switched off"])
def test_only_who_works_tickets_is_given_one(unfit: str, house: House) -> None:
    ticket = house.open()
    User.objects.filter(pk=house.agent.pk).update(is_active=False)
    house.agent.refresh_from_db()
    person = house.requester if unfit == "requester" else house.agent

    with pytest.raises(Refused) as refusal:
        assign_ticket(ticket_id=ticket.pk, assignee=person, actor=house.lead, now=house.now)

    assert (refusal.value.field, refusal.value.value) == ("assignee", person.email)
    ticket.refresh_from_db()
    assert ticket.assignee is None


def test_a_ticket_goes_to_another_team_and_back_to_its_queue(house: House) -> None:
    ticket = house.open()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=house.now)

    events = assign_ticket(
        ticket_id=ticket.pk, assignee=None, team=house.network, actor=house.agent, now=house.now
    )

    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.team, ticket.status) == (None, house.network, OPEN)
    assert {event.kind: event.data for event in events} == {
        kinds.TEAM_CHANGED: {"from": house.desk.pk, "to": house.network.pk},
        kinds.ASSIGNED: {"from": house.agent.pk, "to": None},
    }


@pytest.mark.parametrize("severity", [0, 5, None, "1", "SEV1"])
def test_an_unknown_severity_is_refused(severity: Any, house: House) -> None:
    with pytest.raises(Refused) as refusal:
        set_severity(
            ticket_id=house.open().pk, severity=severity, actor=house.agent, now=house.now, reason="x"
        )

    assert refusal.value.field == "severity"


def test_a_person_says_why_the_severity_is_another_belay_needs_not(house: House) -> None:
    ticket = house.open()
    with pytest.raises(Refused) as refusal:
        set_severity(ticket_id=ticket.pk, severity=1, actor=house.agent, now=house.now, reason=" ")
    assert refusal.value.field == "reason"

    set_severity(ticket_id=ticket.pk, severity=1, actor=None, now=house.now, reason="")

    ticket.refresh_from_db()
    (event,) = events_of(ticket, kinds.SEVERITY_CHANGED)
    assert (ticket.severity, ticket.severity_overridden) == (1, True)
    assert event.data == {"from": 3, "to": 1, "by": "system"}


@pytest.mark.parametrize("overridden", [False, True])
def test_the_matrix_follows_impact_and_urgency_unless_a_person_decided(
    overridden: bool, house: House
) -> None:
    ticket = house.open()
    if overridden:
        set_severity(ticket_id=ticket.pk, severity=4, actor=house.agent, now=house.now, reason="A test.")

    set_details(ticket_id=ticket.pk, changes={"impact": 1, "urgency": 1}, actor=house.agent, now=house.now)

    ticket.refresh_from_db()
    facts = events_of(ticket, kinds.SEVERITY_CHANGED)[-1].data
    assert (ticket.impact, ticket.urgency) == (1, 1)
    assert ticket.severity == (4 if overridden else 1)
    assert facts == (
        {"from": 3, "to": 4, "by": "person"} if overridden else {"from": 3, "to": 1, "by": "matrix"}
    )


def test_each_detail_is_changed_and_kept_with_from_and_to(house: House) -> None:
    ticket = house.open()
    category = Category.objects.create(name="Network")
    service = Service.objects.create(name="VPN")
    organisation = create_organisation(name="Acme")
    person = create_user(email="rita@acme.test", name="Rita")
    changes = {
        "category": category,
        "service": service,
        "organisation": organisation,
        "requester": person,
        "impact": 1,
        "urgency": 3,
        "complexity": 3,
    }

    set_details(
        ticket_id=ticket.pk, changes=changes, actor=house.agent, now=house.now + MIN, reason="On the phone."
    )

    ticket.refresh_from_db()
    assert {name: getattr(ticket, name) for name in changes} == changes
    found = {event.data["field"]: event for event in events_of(ticket, kinds.FIELD_CHANGED)}
    assert {name: (event.data["from"], event.data["to"]) for name, event in found.items()} == {
        "category": (None, category.pk),
        "service": (None, service.pk),
        "organisation": (None, organisation.pk),
        "requester": (house.requester.pk, person.pk),
        "impact": (2, 1),
        "urgency": (2, 3),
        "complexity": (2, 3),
    }
    assert all(event.payload.text == {"reason": "On the phone."} for event in found.values())
    assert all(event.actor == house.agent and event.at == house.now + MIN for event in found.values())


def test_a_relation_is_taken_off_again(house: House) -> None:
    ticket = house.open(service=Service.objects.create(name="VPN"))

    set_details(ticket_id=ticket.pk, changes={"service": None}, actor=house.agent, now=house.now)

    ticket.refresh_from_db()
    assert ticket.service is None


def test_the_words_of_a_subject_stand_only_where_they_can_be_erased(house: House) -> None:
    ticket = house.open(subject="Ann's salary is wrong")

    set_details(
        ticket_id=ticket.pk,
        changes={"subject": "  Payroll\n question "},
        actor=house.agent,
        now=house.now,
        reason="Privacy.",
    )

    ticket.refresh_from_db()
    (event,) = events_of(ticket, kinds.FIELD_CHANGED)
    assert ticket.subject == "Payroll question"
    assert event.data == {"field": "subject"}
    assert event.payload.text == {
        "from": "Ann's salary is wrong",
        "to": "Payroll question",
        "reason": "Privacy.",
    }
    facts = Event.objects.filter(ticket=ticket).values_list("data", flat=True)
    assert not any("salary" in str(data) or "Payroll" in str(data) for data in facts)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", " "),
        ("subject", "x" * 301),
        ("impact", 0),
        ("impact", None),
        ("urgency", 4),
        ("complexity", 99),
        ("requester", None),
        ("status", "closed"),
        ("severity", 1),
        ("tier", 4),
        ("event_seq", 0),
    ],
)
def test_a_detail_that_can_t_be_is_refused_by_name_and_the_rest_with_it(
    name: str, value: Any, house: House
) -> None:
    ticket = house.open()
    count = Event.objects.count()

    with pytest.raises(Refused) as refusal:
        set_details(
            ticket_id=ticket.pk, changes={"urgency": 1, name: value}, actor=house.agent, now=house.now
        )

    ticket.refresh_from_db()
    assert refusal.value.field == name
    assert (ticket.urgency, ticket.severity, Event.objects.count()) == (2, 3, count)


def test_tags_are_small_each_once_and_in_order(house: House) -> None:
    ticket = house.open()
    add_tags(ticket_ids=[ticket.pk], tags=["VPN", "Head  Office", "vpn"], actor=house.agent, now=house.now)
    add_tags(ticket_ids=[ticket.pk], tags=["VPN", "again"], actor=house.agent, now=house.now)
    remove_tags(ticket_ids=[ticket.pk], tags=["HEAD office", "never there"], actor=house.agent, now=house.now)

    ticket.refresh_from_db()
    assert ticket.tags == ["again", "vpn"]
    assert [event.data for event in events_of(ticket, kinds.TAGGED)] == [
        {"added": ["head-office", "vpn"], "removed": []},
        {"added": ["again"], "removed": []},
        {"added": [], "removed": ["head-office"]},
    ]


@pytest.mark.parametrize("tag", ["", "  ", "a,b", "x" * 51, "\0"])
def test_what_is_no_tag_is_refused(tag: str, house: House) -> None:
    with pytest.raises(Refused) as refusal:
        add_tags(ticket_ids=[house.open().pk], tags=["fine", tag], actor=house.agent, now=house.now)

    assert refusal.value.field == "tags"


@given(st.text(max_size=60))
def test_a_tag_once_cleaned_stays(tag: str) -> None:
    try:
        clean = clean_tag(tag)
    except Refused:
        return
    assert clean_tag(clean) == clean
    assert 1 <= len(clean) <= 50
    assert not {",", " "} & set(clean)


@pytest.mark.parametrize(
    "batch",
    [
        lambda ids, h: assign_tickets(ticket_ids=ids, assignee=h.agent, actor=h.lead, now=h.now),
        lambda ids, h: change_statuses(ticket_ids=ids, status=RESOLVED, actor=h.agent, now=h.now),
        lambda ids, h: set_severities(ticket_ids=ids, severity=1, actor=h.agent, now=h.now, reason="x"),
        lambda ids, h: add_tags(ticket_ids=ids, tags=["vpn"], actor=h.agent, now=h.now),
    ],
    ids=["assign", "status", "severity", "tags"],
)
def test_a_batch_costs_the_same_for_two_and_for_twenty(batch: Any, house: House) -> None:
    def cost(size: int) -> int:
        drafts = [Draft(requester=house.requester, subject="VPN") for _ in range(size)]
        ids = [ticket.pk for ticket in open_tickets(drafts=drafts, actor=None, now=house.now)]
        with CaptureQueriesContext(connection) as queries:
            assert len(batch(ids, house)) >= size
        return len(queries)

    assert cost(20) == cost(2)


def test_who_may_not_work_is_told_so_before_what_is_wrong(house: House) -> None:
    ticket = house.open()

    for attempt in (
        lambda: assign_ticket(
            ticket_id=ticket.pk, assignee=house.requester, actor=house.requester, now=house.now
        ),
        lambda: set_severity(
            ticket_id=ticket.pk, severity=9, actor=house.requester, now=house.now, reason=""
        ),
        lambda: set_details(
            ticket_id=ticket.pk, changes={"nonsense": 1}, actor=house.requester, now=house.now
        ),
    ):
        with pytest.raises(NotAllowed):
            attempt()


def test_a_team_that_holds_the_ticket_names_its_lead(house: House) -> None:
    orphaned = create_team(name="Orphaned", tier=Tier.L1)
    ticket = house.open()

    assert ticket.team_lead == house.lead
    ticket.team = orphaned
    assert ticket.team_lead is None
    User.objects.filter(pk=house.lead.pk).update(is_active=False)
    assert Ticket.objects.get(pk=ticket.pk).team_lead is None
