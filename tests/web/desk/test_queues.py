"""The queue page."""

import datetime as dt
import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Team, User
from escalation.models import Clock
from escalation.operations import escalate
from tests.house import HOUR, MIN, House
from tests.web.desk.conftest import As, seq_of, text_of
from tickets.models import Ticket
from tickets.operations import add_reply, assign_ticket, change_status
from web.agent.listing import SHORT
from web.agent.paging import PAGE_SIZE, Mark, Order, page_of


def listed(client: Client, address: str) -> list[int]:
    page = client.get(address).content.decode()
    return [int(number) for number in re.findall(r'<a href="/t/(\d+)/" data-open>', page)]


def test_each_queue_holds_its_tickets(house: House, signed_in_as: As) -> None:
    mine, unowned, waiting, done = (
        house.open(subject=name) for name in ("mine", "unowned", "waiting", "done")
    )
    assign_ticket(ticket_id=mine.pk, assignee=house.agent, actor=house.lead, now=house.now)
    add_reply(ticket_id=waiting.pk, body="Which?", actor=house.third, now=house.now, then_status="waiting")
    change_status(ticket_id=done.pk, status="resolved", actor=house.lead, now=house.now)
    client = signed_in_as(house.agent)

    assert listed(client, "/queue/") == [mine.pk]
    assert set(listed(client, "/queue/teams/")) == {mine.pk, unowned.pk, waiting.pk}
    assert unowned.pk in listed(client, "/queue/unassigned/")
    assert mine.pk not in listed(client, "/queue/unassigned/")
    assert set(listed(client, "/queue/open/")) == {mine.pk, unowned.pk, waiting.pk}
    assert listed(client, "/queue/waiting/") == [waiting.pk]
    assert listed(client, "/queue/done/") == [done.pk]


def test_unacknowledged_climb_stands_in_its_queue_and_on_top_of_every_page(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()
    client = signed_in_as(house.agent)
    assert listed(client, "/queue/unacknowledged/") == []

    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")

    assert listed(client, "/queue/unacknowledged/") == [ticket.pk]
    assert '<b>1</b> <span class="word">to acknowledge</span>' in client.get("/waiting/").content.decode()


def test_most_urgent_ticket_is_first_and_those_without_a_deadline_last(
    house: House, signed_in_as: As
) -> None:
    late, soon, none = (house.open(at=house.now - age) for age in (HOUR, MIN, dt.timedelta(0)))
    Clock.objects.filter(ticket=none).delete()
    Ticket.objects.filter(pk=none.pk).update(next_due_at=None)

    assert listed(signed_in_as(house.agent), "/queue/open/") == [late.pk, soon.pk, none.pk]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ("severity=2", {"b"}),
        ("status=waiting", {"c"}),
        ("assignee=nobody", {"a", "c"}),
        ("assignee=me", {"b"}),
        ("q=printer", {"a"}),
        ("q=PRINTER+floor", {"a"}),
        ("q=printer+cellar", set()),
        ("tier=1", {"a", "b", "c"}),
        ("tier=4", set()),
        ("tier=nonsense&severity=%00&team=9999999999999999999999&status=;drop", {"a", "b", "c"}),
        ("q=%25", set()),
    ],
)
def test_filters_narrow_the_queue(house: House, signed_in_as: As, filters: str, wanted: set[str]) -> None:
    a = house.open(subject="Printer on floor 3")
    b = house.open(subject="Mail", severity=2)
    c = house.open(subject="Badge")
    assign_ticket(ticket_id=b.pk, assignee=house.agent, actor=house.lead, now=house.now)
    add_reply(ticket_id=c.pk, body="Which?", actor=house.third, now=house.now, then_status="waiting")
    Ticket.objects.filter(pk=c.pk).update(assignee=None)
    numbers = {"a": a.pk, "b": b.pk, "c": c.pk}

    found = listed(signed_in_as(house.agent), f"/queue/open/?{filters}")

    assert set(found) == {numbers[name] for name in wanted}


def test_a_number_in_the_search_field_opens_the_ticket(house: House, signed_in_as: As) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).get(f"/queue/all/?q=%23{ticket.pk}")

    assert (answer.status_code, answer["Location"]) == (302, f"/t/{ticket.pk}/")


def test_a_number_with_a_hash_means_that_ticket_and_no_subject(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    house.open(subject=f"As in #{ticket.pk}")

    answer = signed_in_as(house.agent).get(f"/queue/all/?q=%23{ticket.pk}")

    assert (answer.status_code, answer["Location"]) == (302, f"/t/{ticket.pk}/")


def test_whatever_a_row_shows_is_text(house: House, signed_in_as: As) -> None:
    ticket = house.open(subject="<b>no</b>")
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)
    User.objects.filter(pk__in=(house.agent.pk, ticket.requester_id)).update(name="<i>no</i>")
    Team.objects.filter(pk=ticket.team_id).update(name="<u>no</u>")

    page = signed_in_as(house.agent).get("/queue/open/").content.decode()

    assert not re.search("<[biu]>no", page)
    for tag in "biu":
        assert f"&lt;{tag}&gt;no" in page


def test_a_row_says_what_happens_next_and_who_has_it(house: House, signed_in_as: As) -> None:
    ticket = house.open(subject="Printer")
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)
    lost = house.open(subject="Without a clock")
    Clock.objects.filter(ticket=lost).delete()
    Ticket.objects.filter(pk=lost.pk).update(next_due_at=None)

    page = text_of(signed_in_as(house.agent).get("/queue/open/"))

    first = Clock.objects.filter(ticket=ticket, state="running").order_by("due_at")[0]
    assert SHORT[Clock.Kind(first.kind)] in page
    assert house.agent.name in page
    assert house.requester.name in page
    assert "no clock runs" in page


def test_taking_a_ticket_in_its_row_goes_back_to_the_list(house: House, signed_in_as: As) -> None:
    ticket = house.open()

    answer = signed_in_as(house.agent).post(f"/t/{ticket.pk}/take/", {"next": "/queue/unassigned/?tier=1"})

    ticket.refresh_from_db()
    assert answer["Location"] == "/queue/unassigned/?tier=1"
    assert ticket.assignee == house.agent


def test_pages_meet_without_gap_or_overlap_in_both_directions(house: House) -> None:
    tickets = [house.open(at=house.now - number * MIN) for number in range(5)]
    # Equal deadlines and none at all: where a page might lose or repeat a row.
    Ticket.objects.filter(pk__in=[t.pk for t in tickets[:2]]).update(next_due_at=house.now)
    Ticket.objects.filter(pk__in=[t.pk for t in tickets[3:]]).update(next_due_at=None)
    order = Order("next_due_at")
    expected = [ticket.pk for ticket in Ticket.objects.all().by_urgency()]

    for size in (1, 2, 3, 4, 5, 6):
        forward, backward = [], []
        page = page_of(Ticket.objects.all(), order, {}, size)
        forward += [row.pk for row in page.rows]
        while page.after is not None:
            page = page_of(Ticket.objects.all(), order, {"after": str(page.after)}, size)
            forward += [row.pk for row in page.rows]
        page = page_of(Ticket.objects.all(), order, {"page": "last"}, size)
        backward = [row.pk for row in page.rows]
        while page.before is not None:
            page = page_of(Ticket.objects.all(), order, {"before": str(page.before)}, size)
            backward = [row.pk for row in page.rows] + backward
        assert forward == expected, size
        assert backward == expected, size


@pytest.mark.parametrize(
    "text", ["", "~", "x~1", "2026-01-01~1", "2026-13-01T00:00:00Z~1", "~-1", "1", "~" + "9" * 30]
)
def test_nonsense_in_the_address_is_the_first_page(text: str) -> None:
    assert Mark.read(text) is None


def test_empty_queue_says_what_to_do_next(house: House, signed_in_as: As) -> None:
    page = text_of(signed_in_as(house.agent).get("/queue/"))

    assert "Nothing on your desk" in page
    assert 'href="/queue/unassigned/"' in page
    assert 'href="/new/"' in page


def test_queue_costs_the_same_few_queries_however_many_tickets(
    house: House, signed_in_as: As, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in_as(house.agent)
    for number in range(PAGE_SIZE + 3):
        ticket = house.open(at=house.now - number * MIN)
        if number % 2:
            assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now)
    client.get("/queue/open/")

    for address in ("/queue/", "/queue/teams/", "/queue/open/", "/queue/unacknowledged/", "/queue/done/"):
        with django_assert_max_num_queries(10):
            client.get(address)
    house.agent.only_own_teams = True
    house.agent.save()
    with django_assert_max_num_queries(10):
        client.get("/queue/teams/")


def test_refreshed_list_is_a_fragment_with_its_counts(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    assert seq_of(ticket) == 0

    answer = signed_in_as(house.agent).get("/queue/open/", headers={"HX-Request": "true"})
    page = answer.content.decode()

    assert "<html" not in page
    assert 'id="queue-nav"' in page
    assert f"/t/{ticket.pk}/" in page
