"""Why these deadlines: the page that explains a ticket's clocks."""

import datetime as dt

from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from calendars.operations import publish_calendar
from calendars.rules import parse
from escalation.operations import PromiseSpec, acknowledge, escalate
from tests.house import HOUR, MIN, House, republish
from tests.web.desk.conftest import As, text_of
from tickets.models import Ticket
from tickets.operations import change_status

MONDAY = dt.datetime(2026, 5, 4, 8, tzinfo=dt.UTC)


def page_of(signed_in_as: As, user: User, ticket: Ticket) -> str:
    return text_of(signed_in_as(user).get(f"/t/{ticket.pk}/why/"))


def test_each_clock_says_where_its_time_comes_from_and_what_happens_then(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open(severity=2)
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now)

    page = page_of(signed_in_as, house.agent, ticket)

    assert "SEV2 at Network: work within 30 min" in page
    assert "on Standard version 1." in page
    assert "It climbs to Core network; Tomas Test and Duty L3 (L3 contacts) are told." in page
    assert "at 75 % of it" in page
    assert "Ended at this step" in page
    assert "<dt>Acknowledge</dt><dd>met <time" in page
    assert "is in force since" not in page


def test_a_newer_version_is_pointed_out(house: House, signed_in_as: As) -> None:
    ticket = house.open(severity=2)
    republish(house, warn_percent=50)

    page = page_of(signed_in_as, house.agent, ticket)

    assert "Version 2 is in force since" in page
    assert "applying it to open tickets counts these clocks anew" in page


def test_many_windows_are_folded_into_their_sum(house: House, signed_in_as: As) -> None:
    house.now = MONDAY
    week = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    hours = parse({"tz": "Europe/Berlin", "week": week})
    office = publish_calendar(calendar_id=None, name="Office", hours=hours, actor_name="Ada", now=MONDAY)
    republish(house, calendar_id=office.calendar_id, promises={4: PromiseSpec(resolution=100 * HOUR)})
    ticket = house.open(severity=4, at=MONDAY)

    page = page_of(signed_in_as, house.agent, ticket)

    # A hundred hours of eight a day: thirteen days, of which five are shown.
    assert "8 more windows, 2 d 16 h" in page
    assert "<span>Together</span><b>4 d 4 h</b>" in page


def test_a_clock_that_stands_still_says_since_when(house: House, signed_in_as: As) -> None:
    republish(house, hold_pauses=True)
    ticket = house.open(severity=2)
    change_status(ticket_id=ticket.pk, status="hold", actor=house.agent, now=house.now + MIN, reason="Vendor")

    page = page_of(signed_in_as, house.agent, ticket)

    assert "stands still" in page
    assert "Stood still" in page
    assert "followed up after 3 business days" in page


def test_only_those_who_work_the_ticket_read_why(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    assert signed_in_as(house.requester).get(f"/t/{ticket.pk}/why/").status_code == 403
    User.objects.filter(pk=house.third.pk).update(only_own_teams=True)
    assert signed_in_as(house.third).get(f"/t/{ticket.pk}/why/").status_code == 404
    assert signed_in_as(house.agent).get(f"/t/{ticket.pk}/why/").status_code == 200


def test_a_finished_ticket_has_no_clock_to_explain(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    change_status(ticket_id=ticket.pk, status="resolved", actor=house.agent, now=house.now)
    assert "its clocks start again when it is reopened" in page_of(signed_in_as, house.agent, ticket)


def test_explaining_costs_few_queries(
    house: House, signed_in_as: As, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    client = signed_in_as(house.agent)
    client.get(f"/t/{ticket.pk}/why/")
    with django_assert_max_num_queries(18):
        client.get(f"/t/{ticket.pk}/why/")
