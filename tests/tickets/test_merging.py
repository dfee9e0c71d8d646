"""Merging: the survivor goes on, the others are closed and lead to it."""

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Organisation
from core.errors import Conflict, NotAllowed, Refused
from notifications import receivers
from notifications.models import Notification
from notifications.rendering import render
from tests.house import MIN, House
from tickets import kinds
from tickets.models import Entry, Event, Status, Ticket
from tickets.operations import (
    Draft,
    add_note,
    add_reply,
    change_status,
    merge_tickets,
    open_ticket,
    post_update,
    write_handoff,
)
from tickets.queries import surviving, surviving_id
from tickets.verification import verify


@pytest.fixture
def house(house: House) -> House:
    return house


def merge(house: House, survivor: Ticket, *losers: Ticket, **more: object) -> list[Event]:
    values = {"actor": house.agent, "now": house.now + MIN}
    return merge_tickets(
        loser_ids=[ticket.pk for ticket in losers],
        survivor_id=survivor.pk,
        **(values | more),  # type: ignore[arg-type]
    )


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.get(pk=ticket.pk)


def test_the_others_are_closed_and_lead_to_the_survivor(house: House) -> None:
    survivor, first, second = house.open(), house.open(), house.open()

    merge(house, survivor, first, second, reason="The same gateway.")

    for loser in (first, second):
        row = fresh(loser)
        assert (row.status, row.merged_into, row.closed_at) == (Status.CLOSED, survivor, house.now + MIN)
        event = Event.objects.select_related("payload").get(ticket=loser, kind=kinds.MERGED)
        assert event.data == {"into": survivor.pk, "was_open": True}
        assert event.payload.text == {"reason": "The same gateway."}
    row = fresh(survivor)
    assert (row.status, row.merged_into) == (Status.NEW, None)
    told = Event.objects.get(ticket=survivor, kind=kinds.MERGED)
    assert told.data == {"from": [first.pk, second.pk]}
    assert list(verify()) == []


def test_conversations_stay_where_they_are(house: House) -> None:
    survivor, loser = house.open(), house.open()
    add_reply(ticket_id=loser.pk, body="Me too.", actor=house.requester, now=house.now)

    merge(house, survivor, loser)

    assert Entry.objects.filter(ticket=loser).count() == 2
    assert Entry.objects.filter(ticket=survivor).count() == 1


@pytest.mark.parametrize(("own", "others", "expected"), [(3, 1, 1), (1, 3, 1), (2, 2, 2)])
def test_the_survivor_takes_the_highest_severity(own: int, others: int, expected: int, house: House) -> None:
    survivor, loser = house.open(severity=own), house.open(severity=others)

    merge(house, survivor, loser)

    changed = Event.objects.filter(ticket=survivor, kind=kinds.SEVERITY_CHANGED)
    assert fresh(survivor).severity == expected
    assert [event.data["by"] for event in changed] == (["merge"] if expected != own else [])


def test_a_ticket_that_was_solved_raises_nothing(house: House) -> None:
    survivor, solved = house.open(severity=3), house.open(severity=1)
    change_status(ticket_id=solved.pk, status=Status.CLOSED, actor=house.agent, now=house.now)

    merge(house, survivor, solved)

    assert (fresh(survivor).severity, fresh(solved).merged_into) == (3, survivor)
    assert Event.objects.filter(ticket=solved, kind=kinds.STATUS_CHANGED).count() == 1


def test_chains_lead_to_the_last_survivor(house: House) -> None:
    first, second, third = house.open(), house.open(), house.open()
    merge(house, second, first)
    merge(house, third, second)

    assert surviving(fresh(first)) == third
    assert surviving_id(first.pk) == surviving_id(second.pk) == surviving_id(third.pk) == third.pk
    with pytest.raises(Conflict) as conflict:
        merge(house, first, house.open())
    assert (conflict.value.field, conflict.value.mend) == ("survivor", f"Merge into #{third.pk}.")


def test_merging_twice_changes_nothing(house: House) -> None:
    survivor, loser = house.open(), house.open()
    merge(house, survivor, loser)
    before = Event.objects.count()

    assert merge(house, survivor, loser) == []

    assert Event.objects.count() == before


def test_what_was_merged_elsewhere_is_not_merged_again(house: House) -> None:
    survivor, other, loser = house.open(), house.open(), house.open()
    merge(house, survivor, loser)

    with pytest.raises(Conflict, match="was merged already") as conflict:
        merge(house, other, loser)

    assert f"#{survivor.pk}" in conflict.value.mend
    assert fresh(loser).merged_into == survivor


def test_a_finished_ticket_takes_nothing_over(house: House) -> None:
    survivor, loser = house.open(), house.open()
    change_status(ticket_id=survivor.pk, status=Status.RESOLVED, actor=house.agent, now=house.now)

    with pytest.raises(Conflict, match="is resolved"):
        merge(house, survivor, loser)

    assert fresh(loser).is_open


def test_nothing_and_oneself_make_no_merger(house: House) -> None:
    ticket = house.open()

    for losers in ((), (ticket,)):
        with pytest.raises(Refused) as refused:
            merge(house, ticket, *losers)
        assert refused.value.mend


def test_imported_history_is_left_as_it_was(house: House) -> None:
    past = open_ticket(
        draft=Draft(requester=house.requester, subject="Old", historic=True, happened_at=house.now),
        actor=None,
        now=house.now,
    )
    ticket = house.open()

    for survivor, loser in ((ticket, past), (past, ticket)):
        with pytest.raises(Refused, match="imported history"):
            merge(house, survivor, loser)


def test_other_organisations_tickets_are_merged_by_leads_only(house: House) -> None:
    survivor, loser = house.open(), house.open(organisation=Organisation.objects.create(name="Other Ltd"))

    with pytest.raises(NotAllowed, match="different organisations"):
        merge(house, survivor, loser)
    merge(house, survivor, loser, actor=house.lead)

    assert fresh(loser).merged_into == survivor


def test_requesters_merge_nothing(house: House) -> None:
    with pytest.raises(NotAllowed):
        merge(house, house.open(), house.open(), actor=house.requester)


def test_a_merged_ticket_comes_back_by_nobody(house: House) -> None:
    survivor, loser = house.open(), house.open()
    merge(house, survivor, loser)

    for actor in (house.agent, house.requester, None):
        with pytest.raises(Conflict, match="was merged") as conflict:
            change_status(ticket_id=loser.pk, status=Status.OPEN, actor=actor, now=house.now + 2 * MIN)
        assert conflict.value.mend == f"Go on with #{survivor.pk}."


def test_what_the_requester_writes_on_it_is_written_on_the_survivor(house: House) -> None:
    colleague = house.requester
    survivor = house.open()
    other = open_ticket(
        draft=Draft(requester=house.manager, subject="Same"), actor=house.manager, now=house.now
    )
    loser = house.open()
    merge(house, other, survivor, loser, actor=house.lead)
    change_status(ticket_id=other.pk, status=Status.RESOLVED, actor=house.agent, now=house.now + 2 * MIN)

    entry = add_reply(ticket_id=loser.pk, body="Still down.", actor=colleague, now=house.now + 3 * MIN)

    assert (entry.ticket, entry.from_requester) == (other, True)
    assert fresh(other).status == Status.OPEN
    assert fresh(loser).status == Status.CLOSED


def test_nobody_writes_on_a_survivor_through_a_ticket_that_is_not_theirs(house: House) -> None:
    from accounts.operations import create_user

    survivor, loser = house.open(), house.open()
    merge(house, survivor, loser)
    stranger = create_user(email="stranger@example.org", name="Stranger")

    with pytest.raises(NotAllowed):
        add_reply(ticket_id=loser.pk, body="Hello?", actor=stranger, now=house.now + 2 * MIN)


@pytest.mark.parametrize("say", [add_reply, add_note, post_update])
def test_who_works_tickets_is_told_where_to_write(say: object, house: House) -> None:
    survivor, loser = house.open(), house.open()
    merge(house, survivor, loser)

    with pytest.raises(Conflict) as conflict:
        say(ticket_id=loser.pk, body="Hm.", actor=house.agent, now=house.now + 2 * MIN)  # type: ignore[operator]
    with pytest.raises(Conflict):
        write_handoff(ticket_id=loser.pk, fields={"tried": "x"}, actor=house.agent, now=house.now + 2 * MIN)

    assert conflict.value.mend == f"Write on #{survivor.pk}."


def test_the_requester_is_told_that_it_goes_on_not_that_it_is_solved(house: House) -> None:
    survivor, loser = house.open(), house.open()

    merge(house, survivor, loser)

    row = Notification.objects.get(ticket=loser, kind=receivers.MERGED)
    assert f"the same thing as #{survivor.pk}" in render(row).text
    assert not Notification.objects.filter(ticket=loser, kind=receivers.RESOLVED).exists()


@pytest.mark.parametrize("values", [{"merged_into": "itself"}, {"merged_into": "other", "status": "open"}])
def test_the_database_keeps_mergers_whole(values: dict[str, str], house: House) -> None:
    ticket, other = house.open(), house.open()
    into = ticket if values["merged_into"] == "itself" else other
    status = values.get("status", "closed")

    with pytest.raises(IntegrityError, match="ticket_merged"), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(merged_into=into, status=status)
