"""Tickets over the API: lists and their pages, opening, looking, changing."""

import datetime as dt
import io
from typing import Any

import pytest
from django.db import connection
from django.test.client import Client
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from accounts.models import User
from accounts.operations import create_user
from escalation.operations import acknowledge, escalate
from tests.api.conftest import Call, World
from tests.house import House
from tickets.models import Ticket
from tickets.operations import (
    Draft,
    Upload,
    add_note,
    add_reply,
    add_tags,
    assign_ticket,
    change_status,
    open_tickets,
)

INTERNAL = {
    "team",
    "tags",
    "seq",
    "source",
    "complexity",
    "next_due_at",
    "tier_due_at",
    "unacknowledged_since",
    "ladder",
}


def open_many(house: House, count: int) -> list[Ticket]:
    drafts = [Draft(requester=house.requester, subject=f"Ticket {n}", body="Help") for n in range(count)]
    return open_tickets(drafts=drafts, actor=None, now=house.now)


def send_form(user: User, path: str, fields: dict[str, Any]) -> Any:
    _, token = AuthToken.objects.create(user)
    return Client().post(
        f"/api/v1/{path}",
        fields,
        headers={"Authorization": f"Token {token}"},
    )


def named(content: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file


def test_a_list_costs_the_same_for_25_and_50_tickets(house: House, call: Call) -> None:
    open_many(house, 50)
    call(house.agent, "GET", "tickets/")
    counts = {}

    for size in (25, 50):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = call(house.agent, "GET", f"tickets/?page_size={size}")
        assert len(response.json()["results"]) == size
        # Less those with which the test makes its token.
        counts[size] = len([q for q in queries if 'INSERT INTO "knox' not in q["sql"]])

    assert counts[25] == counts[50]
    assert counts[50] <= 10


LISTS = (
    "escalations/",
    "clocks/",
    "notifications/",
    "teams/",
    "paths/",
    "tickets/{id}/timeline/",
    "tickets/{id}/conversation/",
)


@pytest.mark.parametrize("path", LISTS)
def test_every_list_costs_the_same_however_long_it_is(path: str, house: House, call: Call) -> None:
    def cost(ticket: Ticket) -> int:
        with CaptureQueriesContext(connection) as queries:
            response = call(house.lead, "GET", path.format(id=ticket.pk) + "?page_size=100")
        assert response.status_code == 200
        assert response.json()["results"]
        return len(queries)

    # given
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    cost(ticket)
    few = cost(ticket)

    # when there is more of everything
    for number in range(5):
        other = house.open()
        escalate(ticket_id=other.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
        add_reply(ticket_id=ticket.pk, body=f"{number}", actor=house.requester, now=house.now)
    escalate(
        ticket_id=ticket.pk,
        seen_seq=1,
        actor=house.second,
        now=house.now,
        reason="Rights",
        handoff={"tried": "all"},
    )

    # then
    assert cost(ticket) == few


def test_a_ticket_costs_at_most_14_queries(house: House, call: Call) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    call(house.agent, "GET", f"tickets/{ticket.pk}/")

    with CaptureQueriesContext(connection) as queries:
        call(house.agent, "GET", f"tickets/{ticket.pk}/")

    assert len(queries) <= 14


@pytest.mark.parametrize("ordering", ["-id", "id", "next_due_at"])
def test_following_next_shows_each_ticket_once_while_others_are_added(
    ordering: str, house: House, call: Call
) -> None:
    # given
    before = {ticket.pk for ticket in open_many(house, 12)}
    seen: list[int] = []
    path: str | None = f"tickets/?page_size=5&ordering={ordering}"

    # when: after each page a ticket is added
    while path:
        page = call(house.agent, "GET", path.removeprefix("http://testserver/api/v1/")).json()
        seen += [ticket["id"] for ticket in page["results"]]
        path = page["next"]
        if len(seen) < 12:
            house.open(subject="Added meanwhile")

    # then
    assert len(seen) == len(set(seen))
    assert before <= set(seen)
    if ordering == "-id":
        assert seen == sorted(before, reverse=True)


def test_the_next_deadline_comes_first(house: House, call: Call) -> None:
    early, late = house.open(severity=1, at=house.now - dt.timedelta(minutes=5)), house.open(severity=4)
    done = house.open()
    change_status(ticket_id=done.pk, status="resolved", actor=house.agent, now=house.now)

    rows = call(house.agent, "GET", "tickets/?ordering=next_due_at").json()["results"]

    assert [row["id"] for row in rows] == [early.pk, late.pk]


@pytest.mark.parametrize(
    "cursor", ["x", "!!!", "WyItaWQiLCAiYSJd", "W10", "bnVsbA", "WyJpZCIsIDFd", "WyItaWQiLCAxZTk5OTldA"]
)
def test_a_cursor_that_is_none_is_refused(cursor: str, agent: User, call: Call) -> None:
    response = call(agent, "GET", f"tickets/?cursor={cursor}")

    assert response.status_code == 400
    assert response.json()["field"] == "cursor"


def made_for_filters(world: World) -> dict[str, int]:
    """Return tickets by what makes each of them special."""
    house, now = world.house, world.house.now
    found = {
        "plain": house.open(subject="Printer is on fire").pk,
        "sev1": house.open(severity=1).pk,
        "service": house.open(service=world.service).pk,
        "category": house.open(category=world.category).pk,
        "tagged": house.open().pk,
        "mine": house.open().pk,
        "network": house.open().pk,
        "taken": house.open().pk,
        "resolved": house.open().pk,
        "old": house.open(at=now - dt.timedelta(days=3)).pk,
        "strange": open_tickets(drafts=[Draft(requester=world.stranger, subject="Hi")], actor=None, now=now)[
            0
        ].pk,
    }
    add_tags(ticket_ids=[found["tagged"]], tags=["Vpn"], actor=house.agent, now=now)
    assign_ticket(ticket_id=found["mine"], assignee=house.agent, actor=house.lead, now=now)
    for name in ("network", "taken"):
        escalate(ticket_id=found[name], seen_seq=0, actor=house.agent, now=now, reason="Rights")
    acknowledge(ticket_id=found["taken"], seen_seq=1, actor=house.second, now=now)
    change_status(ticket_id=found["resolved"], status="resolved", actor=house.agent, now=now)
    return found


FILTERS = [
    ("severity=1", {"sev1"}),
    ("severity=1&severity=2", {"sev1"}),
    ("status=resolved", {"resolved"}),
    ("status=open&status=resolved", {"resolved", "mine", "taken"}),
    ("open=false", {"resolved"}),
    ("service={service}", {"service"}),
    ("category={category}", {"category"}),
    ("organisation={umbrella}", {"strange"}),
    ("q=fire%20printer", {"plain"}),
    ("q=%23{plain}", {"plain"}),
    ("tag=vpn", {"tagged"}),
    ("tag=VPN", {"tagged"}),
    ("tier=2", {"network", "taken"}),
    ("team={network}", {"network", "taken"}),
    ("assignee=me", {"mine"}),
    ("assignee={agent}", {"mine"}),
    ("assignee=none&tier=2", {"network"}),
    ("requester={stranger}", {"strange"}),
    ("unacknowledged=true", {"network"}),
    ("opened_before={yesterday}", {"old"}),
    ("due_before={yesterday}", {"old"}),
    ("opened_after={tomorrow}", set()),
    ("severity=1&tier=2", set()),
]


def test_filters(world: World, call: Call) -> None:
    # given
    ids = made_for_filters(world)
    house, day = world.house, dt.timedelta(days=1)
    values = {
        "service": world.service.pk,
        "category": world.category.pk,
        "umbrella": world.stranger.organisation_id,
        "plain": ids["plain"],
        "network": house.network.pk,
        "agent": house.agent.pk,
        "stranger": world.stranger.pk,
        "yesterday": (house.now - day).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tomorrow": (house.now + day).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }

    # when
    names = {pk: name for name, pk in ids.items()}
    got = {}
    for query, _ in FILTERS:
        path = f"tickets/?page_size=100&{query.format(**values)}"
        got[query] = {names[row["id"]] for row in call(house.agent, "GET", path).json()["results"]}

    # then
    assert got == dict(FILTERS)


@pytest.mark.parametrize(
    "query",
    [
        "severity=9",
        "status=gone",
        "open=maybe",
        "service=x",
        "team=theirs",
        "assignee=0",
        "assignee=100%.G",
        "open=100%.G",
        "service=100%.G",
        "severity=100%.G",
        "opened_after=100%.G",
        "opened_after=noon",
        "opened_after=0001-01-01T00:00:00%2B14:00",
        "opened_before=9999-12-31T23:59:59-14:00",
        "tier=L1",
    ],
)
def test_a_filter_s_wrong_value_is_refused_by_name(query: str, agent: User, call: Call) -> None:
    name, _, value = query.replace("%2B", "+").partition("=")

    response = call(agent, "GET", f"tickets/?{query.replace('%.', '%25.')}")

    assert response.status_code == 400
    assert (response.json()["field"], response.json()["value"]) == (name, value)


@pytest.mark.parametrize("offset", ["", "Z", "%2B14:00", "-21:57", "%2B23:59"])
def test_an_instant_may_come_with_any_offset(offset: str, agent: User, call: Call) -> None:
    assert call(agent, "GET", f"tickets/?opened_after=2026-01-01T00:00:00{offset}").status_code == 200


def test_an_unknown_filter_is_refused_and_the_known_ones_are_named(house: House, call: Call) -> None:
    answer = call(house.agent, "GET", "tickets/?sevrity=1").json()

    assert answer["field"] == "sevrity"
    assert "severity" in answer["mend"]


@pytest.mark.parametrize(
    "query", ["tag=vpn", "team=none", "unacknowledged=true", "assignee=none", "ordering=next_due_at"]
)
def test_requesters_can_t_learn_internal_facts_by_filters(query: str, call: Call, db: None) -> None:
    requester = create_user(email="carla@example.org", name="Carla")

    assert call(requester, "GET", f"tickets/?{query}").status_code == 400


def test_requesters_see_public_facts_only(house: House, call: Call) -> None:
    ticket = house.open()
    add_tags(ticket_ids=[ticket.pk], tags=["secret"], actor=house.agent, now=house.now)

    row = call(house.requester, "GET", "tickets/").json()["results"][0]
    document = call(house.requester, "GET", f"tickets/{ticket.pk}/").json()

    assert not INTERNAL & (set(row) | set(document))
    assert "email" not in document["requester"]
    assert set(call(house.agent, "GET", f"tickets/{ticket.pk}/").json()) >= INTERNAL


def test_each_sees_their_own(world: World, call: Call) -> None:
    mine = world.house.open()
    theirs = open_tickets(
        drafts=[Draft(requester=world.stranger, subject="Hi")], actor=None, now=world.house.now
    )[0]

    def seen(user: User) -> set[int]:
        return {row["id"] for row in call(user, "GET", "tickets/").json()["results"]}

    assert seen(world.house.requester) == {mine.pk}
    assert seen(world.colleague) == {mine.pk}
    assert seen(world.stranger) == {theirs.pk}
    assert seen(world.house.agent) == {mine.pk, theirs.pk}


def test_requesters_read_no_notes_and_see_promised_clocks_only(house: House, call: Call) -> None:
    ticket = house.open()
    add_note(ticket_id=ticket.pk, body="Difficult person", actor=house.agent, now=house.now)

    said = call(house.requester, "GET", f"tickets/{ticket.pk}/conversation/").json()["results"]
    clocks = call(house.requester, "GET", f"tickets/{ticket.pk}/clocks/").json()["results"]

    assert [entry["body"] for entry in said] == ["It drops."]
    assert {clock["kind"] for clock in clocks} == {"first_response", "resolution"}
    inside = call(house.agent, "GET", f"tickets/{ticket.pk}/clocks/").json()["results"]
    assert {clock["kind"] for clock in inside} == {"first_response", "resolution", "tier_time"}


def test_opening_derives_what_is_left_out(world: World, call: Call) -> None:
    body = {
        "subject": "VPN is down",
        "body": "Since nine.",
        "impact": 1,
        "urgency": 1,
        "service": world.service.pk,
    }

    response = call(world.house.requester, "POST", "tickets/", body)

    document = response.json()
    assert response.status_code == 201
    assert response["Location"].endswith(f"/api/v1/tickets/{document['id']}/")
    assert (document["severity"], document["requester"]["id"]) == (1, world.house.requester.pk)
    ticket = Ticket.objects.get(pk=document["id"])
    assert (ticket.source, ticket.team) == ("api", world.house.desk)


def test_an_agent_opens_for_somebody_else_with_files(
    world: World, call: Call, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    fields = {
        "subject": "Called in",
        "body": "See attached.",
        "requester": str(world.stranger.pk),
        "impact": "1",
        "tags": ["phone", "vpn"],
        "files": [named(b"one", "one.txt"), named(b"two", "two.txt")],
    }

    response = send_form(world.house.agent, "tickets/", fields)

    document = response.json()
    assert response.status_code == 201, document
    assert document["requester"]["id"] == world.stranger.pk
    assert document["tags"] == ["phone", "vpn"]
    assert document["organisation"]["name"] == "Umbrella"
    said = call(world.stranger, "GET", f"tickets/{document['id']}/conversation/").json()["results"]
    assert [file["name"] for file in said[0]["attachments"]] == ["one.txt", "two.txt"]


@pytest.mark.parametrize("field", ["requester", "organisation", "severity", "team", "tags", "complexity"])
def test_requesters_don_t_decide_what_agents_decide(field: str, call: Call, db: None) -> None:
    requester = create_user(email="carla@example.org", name="Carla")

    response = call(requester, "POST", "tickets/", {"subject": "Mine", field: 999999})

    # The same answer whether there is a person 999999 or not.
    assert response.status_code == 403
    assert response.json()["field"] == field
    assert not Ticket.objects.exists()


def test_details_change_by_one_operation(world: World, call: Call) -> None:
    ticket = world.house.open()
    body = {
        "subject": "VPN drops hourly",
        "service": world.service.pk,
        "impact": 1,
        "urgency": 1,
        "reason": "Asked",
    }

    document = call(world.house.agent, "PATCH", f"tickets/{ticket.pk}/", body).json()

    assert document["subject"] == "VPN drops hourly"
    assert document["service"] == {"id": world.service.pk, "name": "VPN"}
    assert document["severity"] == 1
    kinds = [
        event["kind"]
        for event in call(world.house.agent, "GET", f"tickets/{ticket.pk}/timeline/").json()["results"]
    ]
    assert kinds.count("field_changed") == 4


def test_null_takes_a_relation_away(world: World, call: Call) -> None:
    ticket = world.house.open(service=world.service)

    document = call(world.house.agent, "PATCH", f"tickets/{ticket.pk}/", {"service": None}).json()

    assert document["service"] is None


def test_a_reply_with_files_and_a_status_is_one_request(
    world: World, call: Call, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    ticket = world.house.open()
    fields = {"body": "Try this.", "then_status": "waiting", "files": named(b"<script>", "fix.html")}

    response = send_form(world.house.agent, f"tickets/{ticket.pk}/reply/", fields)

    assert response.status_code == 201, response.content
    attachment = response.json()["attachments"][0]
    ticket.refresh_from_db()
    assert ticket.status == "waiting"
    file = call(world.house.requester, "GET", attachment["url"].removeprefix("http://testserver/api/v1/"))
    assert b"".join(file.streaming_content) == b"<script>"  # type: ignore[attr-defined]
    assert file["Content-Type"] == "application/octet-stream"
    assert file["Content-Disposition"] == 'attachment; filename="fix.html"'
    assert file["X-Content-Type-Options"] == "nosniff"


def test_files_beyond_the_limit_are_refused_by_name(world: World, tmp_path: Any, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.BELAY_MAX_FILE_BYTES = 10
    ticket = world.house.open()

    response = send_form(
        world.house.agent, f"tickets/{ticket.pk}/note/", {"body": "x", "files": named(b"x" * 11, "big.bin")}
    )

    assert response.status_code == 400
    assert (response.json()["field"], response.json()["value"]) == ("files", "big.bin")
    assert ticket.entries.count() == 1


def test_a_file_is_gone_with_the_entry_it_came_with(
    world: World, call: Call, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    house = world.house
    ticket = house.open()
    upload = Upload("log.txt", io.BytesIO(b"log"))
    entry = add_reply(ticket_id=ticket.pk, body="Log", actor=house.requester, now=house.now, uploads=[upload])
    entry.erased_at = house.now
    entry.save()

    assert call(house.agent, "GET", f"attachments/{entry.attachments.get().pk}/").status_code == 404


def test_the_timeline_tells_what_was_said_and_done(house: House, call: Call) -> None:
    ticket = house.open()
    assign_ticket(
        ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=house.now, reason="Knows VPN"
    )

    events = call(house.agent, "GET", f"tickets/{ticket.pk}/timeline/?page_size=100").json()["results"]

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assigned = next(event for event in events if event["kind"] == "assigned")
    assert assigned["text"] == {"reason": "Knows VPN"}
    assert assigned["actor"]["id"] == house.lead.pk
    assert assigned["at"].endswith("Z")
