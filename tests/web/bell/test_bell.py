"""The bell: what the person signed in was told, once, and what of it is new."""

import datetime as dt
import re
from typing import Any

from django.db import connection
from django.test import Client

from accounts.models import User
from core.db import database_now
from escalation import kinds
from notifications.models import Bell, Contact, Notification
from notifications.operations import bell, mark_bell_seen
from notifications.queries.bell import _LATEST, unread_sql
from tests.house import MIN, House
from tests.notifications.cast import queued
from tests.web.desk.conftest import As, text_of
from tickets.models import Ticket
from tickets.operations import add_reply, assign_ticket

SCRIPT = {"HX-Request": "true"}


def told(house: House, ticket: Ticket, **more: Any) -> Notification:
    """Tell Aisha (who stands on the list of L2) that she is asked to take a ticket."""
    contact = Contact.objects.get(user=house.second)
    values = {
        "kind": kinds.TELL,
        "ticket_id": ticket.pk,
        "seq": 1,
        "round": 1,
        "contact_id": contact.pk,
        "user_id": house.second.pk,
        "now": house.now,
        "context": {"instructions": "First, by day and night."},
    }
    return queued(house.second.email, **values | more)


def tell_many(*, first: User, then: User, each: tuple[int, int]) -> None:
    """Put so many rows of one person into the outbox and then so many of another; let PostgreSQL count them."""
    now = database_now()
    people = [first] * each[0] + [then] * each[1]
    Notification.objects.bulk_create(
        Notification(
            kind=kinds.TELL, user=person, message_id=f"<{n}@belay>", created_at=now, due_at=now, state="sent"
        )
        for n, person in enumerate(people)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_notification")


def plan_of(sql: str, params: Any) -> str:
    """Return how PostgreSQL would find it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(line for (line,) in cursor.fetchall())


def unread(client: Client) -> str:
    page = client.get("/waiting/").content.decode()
    found = re.search(r'class="bell-count"[^>]*><b aria-hidden="true">([^<]+)</b>', page)
    return found[1] if found else ""


def test_it_says_what_the_person_was_told_with_the_ticket_and_links_to_it(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open(severity=1)
    row = told(house, ticket)

    page = text_of(signed_in_as(house.second).get("/bell/"))

    assert "You are asked to take it" in page
    assert f"#{ticket.pk} VPN drops" in page
    assert f'href="/bell/{row.pk}/"' in page
    assert 'class="sev s1"' in page


def test_the_same_event_on_two_channels_and_in_several_rounds_is_one_line(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()
    told(house, ticket)
    told(house, ticket, channel="sms", method_id=None, context={"instructions": "By night only."}, round=2)
    latest = told(house, ticket, round=3)
    client = signed_in_as(house.second)

    page = client.get("/bell/").content.decode()

    assert page.count("You are asked to take it") == 1
    assert f"/bell/{latest.pk}/" in page
    assert unread(client) == "1"


def test_another_step_or_another_reply_is_another_line(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    told(house, ticket)
    told(house, ticket, seq=2)
    assign_ticket(ticket_id=ticket.pk, assignee=house.second, actor=house.lead, now=house.now)
    add_reply(ticket_id=ticket.pk, body="And again.", actor=house.requester, now=house.now)
    add_reply(ticket_id=ticket.pk, body="And again!", actor=house.requester, now=house.now)

    assert unread(signed_in_as(house.second)) == "5"


def test_what_is_withdrawn_not_due_yet_or_somebody_elses_is_not_there(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    Notification.objects.filter(pk=told(house, ticket).pk).update(state="withdrawn", withdrawn_at=house.now)
    told(house, ticket, seq=2, due_at=house.now + dt.timedelta(hours=3))
    told(house, ticket, seq=3, user_id=house.third.pk)
    client = signed_in_as(house.second)

    assert unread(client) == ""
    assert "Nothing so far" in client.get("/bell/").content.decode()


def test_the_count_ends_at_nine_and_more(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    for seq in range(1, 12):
        told(house, ticket, seq=seq)

    assert unread(signed_in_as(house.second)) == "9+"


def test_marking_all_read_forgets_no_line_and_what_comes_after_is_new(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    told(house, ticket)
    newest = told(house, ticket, seq=2)
    client = signed_in_as(house.second)

    answer = client.post("/bell/seen/", {"through": newest.pk, "next": "/queue/"})

    assert (answer.status_code, answer["Location"]) == (302, "/queue/")
    assert unread(client) == ""
    assert client.get("/bell/").content.decode().count("You are asked to take it") == 2
    told(house, ticket, seq=3)
    assert unread(client) == "1"


def test_the_menus_list_comes_back_read_with_its_count(house: House, signed_in_as: As) -> None:
    newest = told(house, house.open())
    client = signed_in_as(house.second)
    assert 'hx-post="/bell/seen/"' in client.get("/bell/", headers=SCRIPT).content.decode()

    answer = client.post("/bell/seen/", {"through": newest.pk}, headers=SCRIPT).content.decode()

    assert '<span id="bell-count" class="bell-count" hx-swap-oob="true"></span>' in answer
    assert "Mark all read" not in answer
    assert "<html" not in answer


def test_what_has_been_seen_only_rises_and_never_beyond_what_there_is(house: House) -> None:
    ticket = house.open()
    first, second = told(house, ticket), told(house, ticket, seq=2)

    mark_bell_seen(actor=house.second, through=10**15)
    assert Bell.objects.get(user=house.second).seen_through == second.pk
    mark_bell_seen(actor=house.second, through=first.pk)
    assert Bell.objects.get(user=house.second).seen_through == second.pk


def test_following_a_line_leads_to_the_ticket_and_marks_through_it(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    first, _second = told(house, ticket), told(house, ticket, seq=2)
    client = signed_in_as(house.second)

    ahead = client.get(f"/bell/{first.pk}/", headers={"Sec-Purpose": "prefetch"})
    assert (ahead["Location"], unread(client)) == (f"/t/{ticket.pk}/", "2")
    answer = client.get(f"/bell/{first.pk}/")

    assert answer["Location"] == f"/t/{ticket.pk}/"
    assert unread(client) == "1"


def test_somebody_elses_line_can_not_be_followed(house: House, signed_in_as: As) -> None:
    row = told(house, house.open())
    assert signed_in_as(house.third).get(f"/bell/{row.pk}/").status_code == 404


def test_a_ticket_that_is_not_theirs_to_see_any_more_is_a_number_only(house: House, signed_in_as: As) -> None:
    ticket = house.open(subject="Salaries are wrong")
    row = told(house, ticket)
    house.second.only_own_teams = True
    house.second.save()

    page = text_of(signed_in_as(house.second).get("/bell/"))

    assert f"#{ticket.pk}: not yours to see any more" in page
    assert "Salaries" not in page
    assert f"/bell/{row.pk}/" not in page


def test_the_count_costs_no_query_and_the_list_only_a_few(
    house: House, signed_in_as: As, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        told(house, house.open(at=house.now - MIN))
    client = signed_in_as(house.second)
    client.get("/waiting/")

    # Session, person, and what the bar on top counts, all of it.
    with django_assert_num_queries(3):
        client.get("/waiting/")
    # The rows' ids, the rows, how far they were seen, and the tickets.
    with django_assert_num_queries(3 + 4):
        client.get("/bell/")


def test_nonsense_marks_nothing(house: House, signed_in_as: As) -> None:
    told(house, house.open())
    client = signed_in_as(house.second)

    answer = client.post("/bell/seen/", {"through": "all"}, headers=SCRIPT)

    assert answer.status_code == 400
    assert unread(client) == "1"


def test_requesters_have_no_bell(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.requester)

    assert client.get("/bell/").status_code == 403
    assert client.post("/bell/seen/", {"through": 1}).status_code == 403
    assert "data-bell" not in client.get("/portal/").content.decode()


def test_who_was_told_much_long_ago_costs_no_walk_over_everybodys_rows(house: House) -> None:
    # Given: one row in ten is theirs, and the oldest. Taken to be spread evenly, they would be met soon by id.
    tell_many(first=house.second, then=house.agent, each=(1_000, 9_000))
    person = house.second.pk

    plans = [
        plan_of(f"SELECT {unread_sql(person)[0]}", unread_sql(person)[1]),
        plan_of(_LATEST, (person, person)),
        plan_of(bell._SEEN, {"user": person, "through": 1}),
    ]

    for plan in plans:
        assert "outbox_by_user" in plan
        assert "notifications_notification_pkey" not in plan
