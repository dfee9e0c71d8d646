"""The outbox page: what was told to whom, what became of it, and another try."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Role
from accounts.operations import create_user
from accounts.queries import scope_of
from accounts.rules import Verb
from escalation import kinds
from escalation.operations import escalate
from notifications import receivers, rendering
from notifications.models import Contact, Delivery, Notification
from notifications.operations import save_template, watch
from notifications.watch_messages import stop_url
from notifications.watching import NEWS
from tests.house import MIN, House
from tests.notifications.cast import emptied, queued
from tests.web.desk.conftest import As, text_of
from tickets.models import Event, Ticket
from web.outbox import paging
from web.outbox.filters import Filters, visible_rows
from web.outbox.reading import without_tokens
from web.wording import KINDS, name_of

PLAIN = receivers.REPLIED


def listed(client: Client, query: str = "") -> list[int]:
    page = client.get(f"/outbox/{query}").content.decode()
    return [int(pk) for pk in re.findall(r'<td class="what"><a href="/outbox/(\d+)/">', page)]


def row_of(house: House, address: str = "ann@example.org", state: str = "pending", **more: Any) -> int:
    row = queued(address, kind=more.pop("kind", PLAIN), now=house.now, **more)
    marks = {
        "dead": {"dead_at": house.now, "answer": "550 no such user", "attempts": 9},
        "sent": {"sent_at": house.now, "answer": "250 OK", "attempts": 1},
        "withdrawn": {"withdrawn_at": house.now},
    }
    Notification.objects.filter(pk=row.pk).update(state=state, **marks.get(state, {}))
    return row.pk


# --- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status"), [("requester", 403), ("agent", 403), ("lead", 200), ("manager", 200), ("admin", 200)]
)
def test_it_is_open_to_those_who_lead(house: House, signed_in_as: As, who: str, status: int) -> None:
    client, pk = signed_in_as(getattr(house, who)), row_of(house, state="dead")

    assert client.get("/outbox/").status_code == status
    assert client.get(f"/outbox/{pk}/").status_code == status
    assert client.post("/outbox/act/", {"retry": pk}).status_code == (302 if status == 200 else status)
    page = client.get("/portal/" if who == "requester" else "/queue/").content.decode()
    assert ('href="/outbox/"' in page) == (status == 200)


def test_lead_narrowed_to_teams_sees_what_is_about_their_tickets_and_none(
    house: House, signed_in_as: As
) -> None:
    mine, foreign = house.open(), house.open(subject="Salaries")
    Ticket.objects.filter(pk=foreign.pk).update(team=house.board)
    emptied()
    narrow = create_user(email="nora@example.org", name="Nora Narrow", role=Role.LEAD)
    narrow.only_own_teams = True
    narrow.save()
    house.desk.memberships.create(user=narrow)
    seen, hidden, other = (
        row_of(house, state="dead", ticket_id=mine.pk),
        row_of(house, state="dead", ticket_id=foreign.pk),
        row_of(house),
    )
    digest, mixed = row_of(house, kind="notifications.digest"), row_of(house, kind="notifications.digest")
    carried = row_of(house, ticket_id=mine.pk), row_of(house, ticket_id=foreign.pk)
    Notification.objects.filter(pk=carried[0]).update(state="folded", folded_into=digest)
    Notification.objects.filter(pk=carried[1]).update(state="folded", folded_into=mixed)
    client = signed_in_as(narrow)

    assert set(listed(client)) == {seen, other, digest, carried[0]}
    assert "Salaries" not in client.get("/outbox/").content.decode()
    assert [client.get(f"/outbox/{pk}/").status_code for pk in (seen, hidden, mixed)] == [200, 404, 404]
    client.post("/outbox/act/", {"do": "retry", "row": [seen, hidden]})
    states = Notification.objects.in_bulk([seen, hidden])
    assert (states[seen].state, states[hidden].state) == ("pending", "dead")
    assert "is not there, or not yours to see" in client.get("/outbox/").content.decode()


# --- the list --------------------------------------------------------------------------------------------------------


def test_a_row_says_what_to_whom_how_and_what_was_answered(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    contact = Contact.objects.get(user=house.second)
    pk = row_of(house, state="dead", ticket_id=ticket.pk, contact_id=contact.pk, kind=kinds.TELL)

    page = text_of(signed_in_as(house.lead).get("/outbox/?state=dead"))

    assert "Dead letter" in page
    assert "<b>Call to take it</b>" in page
    assert f'<a href="/t/{ticket.pk}/">#{ticket.pk}</a> VPN drops' in page
    assert f'href="/outbox/?contact={contact.pk}"' in page
    assert "Email ann@example.org" in page
    assert "550 no such user" in page
    assert "9 attempts" in page
    assert "1 dead letter<" in page
    assert f'name="retry" value="{pk}"' in page


def test_every_kind_that_is_registered_has_words() -> None:
    theirs = {kind for kind in rendering._kinds if not kind.startswith("test.")}

    assert theirs - KINDS.keys() == set()
    assert name_of("contact.test_message") == "Test message"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?state=dead", {"dead"}),
        ("?state=sent", {"sent"}),
        ("?state=withdrawn", {"off"}),
        ("?channel=sms", {"sms"}),
        ("?channel=email&state=pending", {"plain"}),
        (f"?kind={receivers.ASSIGNED}", {"sent"}),
        ("?address=BOB@", {"dead", "sent"}),
        ("?address=%25", set()),
        ("?ticket=%23{ticket}", {"dead"}),
        ("?ticket={ticket}&state=sent", set()),
        ("?contact={contact}", {"off"}),
        ("?person={person}", {"plain"}),
        (
            "?state=nonsense&channel=%00&ticket=x&contact=99999999999999999999",
            {"dead", "sent", "off", "sms", "plain"},
        ),
    ],
)
def test_filters_narrow_the_list(house: House, signed_in_as: As, query: str, wanted: set[str]) -> None:
    ticket = house.open()
    emptied()
    rows = {
        "dead": row_of(house, "bob@example.org", "dead", ticket_id=ticket.pk),
        "sent": row_of(house, "bob@example.org", "sent", kind=receivers.ASSIGNED),
        "off": row_of(house, state="withdrawn", contact_id=house.fallback.pk),
        "sms": row_of(house, "+4930123456", channel="sms"),
        "plain": row_of(house, user_id=house.agent.pk),
    }
    query = query.format(ticket=ticket.pk, contact=house.fallback.pk, person=house.agent.pk)

    assert set(listed(signed_in_as(house.lead), query)) == {rows[name] for name in wanted}


def test_an_empty_outbox_and_a_filter_that_finds_nothing_say_so(house: House, signed_in_as: As) -> None:
    emptied()
    client = signed_in_as(house.lead)

    assert "Nothing has been sent yet" in client.get("/outbox/").content.decode()
    assert "No message matches" in client.get("/outbox/?channel=ntfy").content.decode()


def test_pages_follow_each_other_both_ways(house: House, signed_in_as: As, monkeypatch: Any) -> None:
    emptied()
    monkeypatch.setattr(paging.page_of, "__defaults__", (2,))
    rows = [row_of(house) for _ in range(5)][::-1]
    client = signed_in_as(house.lead)

    assert listed(client) == rows[:2]
    assert listed(client, f"?after={rows[1]}") == rows[2:4]
    assert listed(client, f"?after={rows[3]}") == rows[4:]
    assert listed(client, f"?before={rows[4]}") == rows[2:4]
    assert listed(client, "?page=last") == rows[3:]
    first = client.get("/outbox/").content.decode()
    assert ">Newest<" not in first
    assert f"after={rows[1]}" in first
    assert ">Older<" not in client.get("/outbox/?page=last").content.decode()


def test_what_no_index_finds_is_looked_for_a_window_at_a_time(
    house: House, signed_in_as: As, monkeypatch: Any
) -> None:
    emptied()
    monkeypatch.setattr(paging, "WINDOW", 3)
    wanted = row_of(house, "bob@example.org")
    others = [row_of(house) for _ in range(3)]
    client = signed_in_as(house.lead)

    page = client.get("/outbox/?address=bob").content.decode()
    assert "What you look for may stand further back" in page
    assert f"after={others[0]}" in page
    assert listed(client, f"?address=bob&after={others[0]}") == [wanted]
    assert ">Look further<" not in client.get(f"/outbox/?address=bob&after={others[0]}").content.decode()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("state=withdrawn", "outbox_withdrawn_latest"),
        ("state=dead", "outbox_dead_latest"),
        ("channel=sms", "outbox_not_by_mail"),
        ("ticket=12", "outbox_by_ticket"),
        ("contact=12", "outbox_by_contact"),
        ("person=12", "outbox_by_user"),
        ("", "notifications_notification_pkey"),
    ],
)
@pytest.mark.django_db
def test_each_filter_walks_an_index_in_order(query: str, index: str) -> None:
    filters = Filters.read(dict([query.split("=")]) if query else {})
    rows = filters.rows().filter(pk__lt=10**9).values("pk")[:41]

    with connection.cursor() as cursor:
        # As among very many; these few are quicker sorted.
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
        )
        if query.startswith(("state", "channel", "ticket")):
            # Going back through all rows, which is quicker while there are none.
            cursor.execute(
                "ALTER TABLE notifications_notification DROP CONSTRAINT notifications_notification_pkey CASCADE"
            )
        sql, params = rows.query.sql_with_params()
        cursor.execute("EXPLAIN " + sql, params)
        plan = "".join(line for (line,) in cursor.fetchall())

    assert index in plan
    assert "Sort" not in plan


def test_the_list_costs_the_same_for_one_row_and_forty(
    house: House, signed_in_as: As, django_assert_num_queries: Any
) -> None:
    ticket = house.open()
    for _ in range(40):
        row_of(house, ticket_id=ticket.pk, user_id=house.agent.pk)
    client = signed_in_as(house.lead)
    client.get("/outbox/")

    # Session, person, the bar on top, a page's ids, its rows, the dead letters.
    with django_assert_num_queries(6):
        client.get("/outbox/")


# --- one message -----------------------------------------------------------------------------------------------------


def test_one_message_shows_every_attempt_and_how_it_reads_but_no_link_that_acts(
    house: House, signed_in_as: As
) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")
    row = Notification.objects.get(ticket=ticket, kind=kinds.TELL, user=house.second)
    for attempt, answer in ((1, "451 try later"), (2, "250 OK")):
        Delivery.objects.create(
            notification=row, attempt=attempt, at=house.now + attempt * MIN, ok=attempt == 2, answer=answer
        )

    page = signed_in_as(house.lead).get(f"/outbox/{row.pk}/").content.decode()

    assert page.index("451 try later") < page.index("250 OK")
    assert "Needs L2." in page
    assert "/a/…/" in page
    assert "/a/W" not in page
    assert f'name="cancel" value="{row.pk}"' in page


def test_what_can_not_be_read_any_more_is_said_calmly(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    gone = row_of(house, ticket_id=ticket.pk, context={"event": 10**9})
    unknown = row_of(house, kind="of.yesterday")
    client = signed_in_as(house.lead)

    assert "isn’t there any more" in client.get(f"/outbox/{gone}/").content.decode()
    assert "no longer knows how such a message reads" in client.get(f"/outbox/{unknown}/").content.decode()
    assert client.get("/outbox/999999999/").status_code == 404


def test_a_digest_and_what_it_carries_lead_to_each_other(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    digest, row = row_of(house, kind="notifications.digest"), row_of(house, ticket_id=ticket.pk)
    Notification.objects.filter(pk=row).update(state="folded", folded_into=digest)
    client = signed_in_as(house.lead)

    assert f'href="/outbox/{digest}/"' in client.get(f"/outbox/{row}/").content.decode()
    assert f'href="/outbox/{row}/"' in client.get(f"/outbox/{digest}/").content.decode()


def test_signed_links_lose_their_token() -> None:
    text = "Take it: https://belay.example.org/a/WzEsMiwzXQ:1tQz4b:J3x-0kq_UuTq6d7xXGZ2l5q3M8b/ by 10:30:00."
    assert without_tokens(text) == "Take it: https://belay.example.org/a/…/ by 10:30:00."


# --- trying again, calling off ---------------------------------------------------------------------------------------


def test_trying_a_selection_again_reports_what_became_of_each(house: House, signed_in_as: As) -> None:
    dead, sent = row_of(house, "a@example.org", "dead"), row_of(house, "b@example.org", "sent")
    client = signed_in_as(house.lead)

    answer = client.post(
        "/outbox/act/", {"do": "retry", "row": [dead, sent], "next": "/outbox/?state=dead"}, follow=True
    )

    page = text_of(answer)
    assert answer.redirect_chain[-1][0] == "/outbox/?state=dead"
    assert f"No. {dead}</a> to a@example.org is tried again now." in page
    assert f"No. {sent}</a> to b@example.org is no dead letter (sent)." in page
    row = Notification.objects.get(pk=dead)
    assert (row.state, row.attempts, row.dead_at) == ("pending", 0, None)
    assert "is tried again" not in client.get("/outbox/").content.decode()


def test_calling_off_takes_what_waits_and_marks_what_is_on_its_way(house: House, signed_in_as: As) -> None:
    waits, sending, sent = row_of(house), row_of(house), row_of(house, state="sent")
    Notification.objects.filter(pk=sending).update(
        state="sending", lease_token="6e2d4c6e-5ed3-4a37-a4a4-3f8f0d7b2f77", lease_until=house.now + MIN
    )
    client = signed_in_as(house.admin)

    page = text_of(client.post("/outbox/act/", {"do": "cancel", "row": [waits, sending, sent]}, follow=True))

    rows = Notification.objects.in_bulk([waits, sending, sent])
    assert (rows[waits].state, rows[sending].state, rows[sent].state) == ("withdrawn", "sending", "sent")
    assert rows[sending].withdrawn_at is not None
    assert "is called off" in page
    assert "if this attempt fails, there is no other" in page
    assert "can’t be called off (sent)" in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Nothing was asked for."),
        ({"do": "retry"}, "No message is ticked."),
        ({"do": "retry", "row": ["x", "-1"]}, "No message is ticked."),
        ({"do": "cancel", "row": [str(n) for n in range(1, 102)]}, "101 messages are too many at once."),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    house: House, signed_in_as: As, form: dict[str, Any], words: str
) -> None:
    assert words in text_of(signed_in_as(house.lead).post("/outbox/act/", form, follow=True))


def test_a_lead_of_all_teams_costs_no_condition(house: House) -> None:
    assert not visible_rows(scope_of(house.lead, Verb.VIEW))


def test_a_message_reads_in_an_admins_words_and_without_the_link_that_ends_a_watch(
    house: House, signed_in_as: As
) -> None:
    # Given
    ticket = house.open()
    followed = watch(user=house.outsider, ticket=ticket, now=house.now)
    event = Event.objects.filter(ticket=ticket).earliest("pk")
    row = queued(
        house.outsider.email,
        kind=NEWS,
        ticket_id=ticket.pk,
        user_id=house.outsider.pk,
        context={"watch": followed.pk, "events": [event.pk]},
    )
    save_template(
        kind=NEWS, form="mail", body="Our own words. {{ action }} {{ url }}", actor=house.admin, now=house.now
    )

    # When
    page = text_of(signed_in_as(house.lead).get(f"/outbox/{row.pk}/"))

    # Then
    assert "Our own words." in page
    assert "/watch/stop/…" in page
    assert stop_url(followed).rstrip("/").rpartition("/")[2] not in page
