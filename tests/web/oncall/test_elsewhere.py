"""Whoever is on call, on the board, on the ticket page, in the dialog for escalating and in the admin."""

from typing import Any

import pytest

from core.db import database_now
from escalation.operations import escalate
from notifications.models import Contact, ContactListEntry
from notifications.operations import add_time_off
from tests.house import House
from tests.web.desk.conftest import As, text_of
from tests.web.oncall.world import DAY, network_schedule, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def duty(house: House) -> Contact:
    """Return whoever is on call for the network, who stands on the list of L2."""
    schedule = network_schedule(house, windows=(), groups=((person(house.outsider),),))
    role = Contact.objects.create(name="Whoever is on call", kind=Contact.Kind.ON_CALL, schedule=schedule)
    ContactListEntry.objects.create(contact_list=house.lists[2], contact=role, position=3)
    return role


def nobody(house: House) -> None:
    now = database_now()
    add_time_off(
        contact=person(house.outsider), starts_at=now - DAY, ends_at=now + DAY, actor=house.lead, now=now
    )


def test_the_board_shows_who_is_on_call_and_who_comes_then(
    house: House, duty: Contact, signed_in_as: As, django_assert_max_num_queries: Any
) -> None:
    client = signed_in_as(house.agent)
    client.get("/board/")
    with django_assert_max_num_queries(10):
        page = text_of(client.get("/board/"))
    assert "On call now" in page
    assert "<b>Olaf Test</b>" in page
    assert f'<a href="/oncall/{duty.schedule_id}/">L2 Network on call</a>' in page
    # Where no schedule says, who is told first.
    assert "L3, then Duty L3 (told first)" in page
    nobody(house)
    page = text_of(client.get("/board/"))
    assert '<b class="late">Nobody</b>' in page
    assert "then Olaf Test" in page


def test_the_ticket_page_names_whoever_is_on_call(
    house: House, duty: Contact, signed_in_as: As, django_assert_max_num_queries: Any
) -> None:
    ticket = house.open()
    client = signed_in_as(house.agent)
    client.get(f"/t/{ticket.pk}/")
    with django_assert_max_num_queries(14):
        page = text_of(client.get(f"/t/{ticket.pk}/"))
    assert "<b>Olaf Test</b> <small>on call: Network on call</small>" in page
    assert "<b>Olaf Test</b>, on call: Network on call" in text_of(client.get(f"/t/{ticket.pk}/escalate/"))
    nobody(house)
    assert "Nobody is on call: Network on call" in text_of(client.get(f"/t/{ticket.pk}/"))


def test_whoever_is_on_call_may_acknowledge_from_the_ticket_page(
    house: House, duty: Contact, signed_in_as: As
) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")
    assert "/acknowledge/" in text_of(signed_in_as(house.outsider).get(f"/t/{ticket.pk}/"))


def test_the_admin_shows_schedules_and_leads_to_where_they_are_changed(
    house: House, duty: Contact, signed_in_as: As
) -> None:
    nobody(house)
    client = signed_in_as(house.admin)
    assert "Weeks" in text_of(client.get("/admin/notifications/oncallschedule/"))
    page = text_of(client.get(f"/admin/notifications/oncallschedule/{duty.schedule_id}/change/"))
    assert "Hands over every week on Mondays at 09:00" in page
    assert f'href="/oncall/{duty.schedule_id}/"' in page
    assert client.get("/admin/notifications/oncalloverride/").status_code == 200
    assert "Olaf Test" in text_of(client.get("/admin/notifications/timeoff/"))
    assert client.get("/admin/notifications/oncallschedule/add/").status_code == 403
    assert "whoever is on call on Network on call" in text_of(client.get("/admin/notifications/contact/"))


def test_the_admin_makes_a_contact_of_a_schedule(house: House, duty: Contact, signed_in_as: As) -> None:
    client = signed_in_as(house.admin)
    form = {
        "name": "Second",
        "kind": "on_call",
        "time_zone": "UTC",
        "is_active": "on",
        "language": "en",
        "methods-TOTAL_FORMS": 0,
        "methods-INITIAL_FORMS": 0,
    }
    answer = client.post("/admin/notifications/contact/add/", form)
    assert "Choose the schedule on which whoever is on call is told." in text_of(answer)
    answer = client.post("/admin/notifications/contact/add/", {**form, "schedule": duty.schedule_id})
    assert answer.status_code == 302
    assert Contact.objects.get(name="Second").schedule_id == duty.schedule_id
