"""Who may do what: every route, every role, by table."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import transaction

from accounts.models import User
from escalation.operations import escalate, request_escalation, send_back
from helpdesk import environment
from tests.api.conftest import Call, World
from tests.house import House
from tickets.models import Ticket
from tickets.operations import Upload, add_note, add_reply, assign_ticket, change_status, declare_major

ROLES = (
    "nobody",
    "stranger",
    "requester",
    "colleague",
    "narrowed",
    "agent",
    "second",
    "lead",
    "manager",
    "admin",
)


def row(nobody: int, stranger: int, requester: int, narrowed: int, agent: int, lead: int) -> dict[str, int]:
    """One line of the table: the colleague is like the requester, second like agent, manager and admin like lead."""
    return {
        "nobody": nobody,
        "stranger": stranger,
        "requester": requester,
        "colleague": requester,
        "narrowed": narrowed,
        "agent": agent,
        "second": agent,
        "lead": lead,
        "manager": lead,
        "admin": lead,
    }


# The ticket stands at the service desk, which the narrowed agent doesn't belong to: for them it isn't there.
READ_INSIDE = row(401, 404, 403, 404, 200, 200)
READ_PUBLIC = row(401, 404, 200, 404, 200, 200)
WORK = row(401, 404, 403, 404, 200, 200)
WRITE_INSIDE = row(401, 404, 403, 404, 201, 201)
LIST_INSIDE = row(401, 403, 403, 200, 200, 200)
LIST_ALL = row(401, 200, 200, 200, 200, 200)

TABLE: list[tuple[str, str, Any, dict[str, int]]] = [
    ("GET", "me/", None, LIST_ALL),
    ("GET", "auth/tokens/", None, LIST_ALL),
    ("GET", "tickets/", None, LIST_ALL),
    ("POST", "tickets/", {"subject": "New"}, row(401, 201, 201, 201, 201, 201)),
    ("GET", "tickets/{ticket}/", None, READ_PUBLIC),
    ("PATCH", "tickets/{ticket}/", {"subject": "Other"}, WORK),
    ("GET", "tickets/{ticket}/conversation/", None, READ_PUBLIC),
    ("GET", "tickets/{ticket}/timeline/", None, READ_INSIDE),
    ("GET", "tickets/{ticket}/clocks/", None, READ_PUBLIC),
    ("GET", "tickets/{ticket}/escalations/", None, READ_INSIDE),
    ("GET", "tickets/{ticket}/explain/", None, READ_INSIDE),
    ("GET", "tickets/{ticket}/notifications/", None, READ_INSIDE),
    ("POST", "tickets/{ticket}/reply/", {"body": "Hello"}, row(401, 404, 201, 404, 201, 201)),
    ("POST", "tickets/{ticket}/note/", {"body": "Psst"}, WRITE_INSIDE),
    ("POST", "tickets/{ticket}/update/", {"body": "Soon"}, WRITE_INSIDE),
    ("POST", "tickets/{ticket}/handoff/", {"tried": "All"}, WRITE_INSIDE),
    ("POST", "tickets/{ticket}/assign/", {"assignee": None}, WORK),
    ("POST", "tickets/{ticket}/status/", {"status": "resolved"}, READ_PUBLIC),
    ("POST", "tickets/{ticket}/severity/", {"severity": 2, "reason": "Many"}, WORK),
    ("POST", "tickets/{ticket}/tags/add/", {"tags": ["vpn"]}, WORK),
    ("POST", "tickets/{ticket}/tags/remove/", {"tags": ["vpn"]}, WORK),
    ("POST", "tickets/{ticket}/escalate/", {"seq": 0, "reason": "Rights"}, WRITE_INSIDE),
    (
        "POST",
        "tickets/{ticket}/consult/",
        {"seq": 0, "to_position": 2, "question": "Which rule?"},
        WRITE_INSIDE,
    ),
    ("POST", "tickets/{ticket}/declare-major/", {}, WORK),
    ("POST", "tickets/{ticket}/unlink/", {}, WORK),
    ("POST", "tickets/{ticket}/request-escalation/", {"reason": "Soon!"}, row(401, 404, 201, 404, 201, 201)),
    ("GET", "escalations/", None, LIST_INSIDE),
    ("GET", "clocks/", None, LIST_INSIDE),
    ("GET", "notifications/", None, LIST_INSIDE),
    ("GET", "escalation-requests/", None, LIST_ALL),
    ("GET", "paths/", None, LIST_INSIDE),
    ("GET", "paths/{path}/", None, LIST_INSIDE),
    ("GET", "teams/", None, LIST_INSIDE),
    ("GET", "teams/{team}/", None, LIST_INSIDE),
    ("GET", "services/", None, LIST_ALL),
    ("GET", "services/{service}/", None, LIST_ALL),
    ("GET", "categories/", None, LIST_ALL),
    ("GET", "categories/{category}/", None, LIST_ALL),
    ("GET", "organisations/", None, LIST_ALL),
    ("GET", "organisations/{organisation}/", None, row(401, 404, 200, 200, 200, 200)),
    ("GET", "attachments/{public_file}/", None, READ_PUBLIC),
    ("GET", "attachments/{internal_file}/", None, row(401, 404, 404, 404, 200, 200)),
    ("POST", "auth/sign-out/", {}, row(401, 204, 204, 204, 204, 204)),
    ("DELETE", "auth/tokens/0123456789abcde/", None, row(401, 404, 404, 404, 404, 404)),
]

# These need a ticket that has moved, or a wish: what the four roles of interest get.
AT_NETWORK = {"stranger": 404, "requester": 403, "narrowed": 201, "agent": 403, "second": 201, "lead": 201}


WORK_OF_SOME = {"nobody": 401, "stranger": 404, "requester": 403, "narrowed": 404, "agent": 200, "lead": 200}


def place(world: World, tmp_path: Path, settings: Any) -> dict[str, int]:
    """Open a ticket with a public and an internal file; return the ids that paths name."""
    settings.MEDIA_ROOT = tmp_path
    house = world.house
    ticket = house.open()
    files = []
    for say, who in ((add_reply, house.requester), (add_note, house.agent)):
        upload = Upload("log.txt", (tmp_path / "log.txt").open("w+b"))
        entry = say(ticket_id=ticket.pk, body="See file.", actor=who, now=house.now, uploads=[upload])
        files.append(entry.attachments.get().pk)
    assert house.path is not None
    assert house.requester.organisation_id is not None
    return {
        "ticket": ticket.pk,
        "path": house.path.path_id,
        "team": house.desk.pk,
        "service": world.service.pk,
        "category": world.category.pk,
        "organisation": house.requester.organisation_id,
        "public_file": files[0],
        "internal_file": files[1],
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "answers"), TABLE, ids=[f"{line[0]} {line[1]}" for line in TABLE]
)
def test_each_role_gets_what_it_may(
    method: str,
    path: str,
    body: Any,
    answers: dict[str, int],
    world: World,
    call: Call,
    tmp_path: Path,
    settings: Any,
) -> None:
    # given
    ids = place(world, tmp_path, settings)

    # when: each finds it as it was
    got = {}
    for role in ROLES:
        before = transaction.savepoint()
        got[role] = call(world.as_role(role), method, path.format(**ids), body).status_code
        transaction.savepoint_rollback(before)

    # then
    assert got == answers


def at_network(house: House) -> Ticket:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    return ticket


def test_only_the_current_step_or_a_lead_hands_back(world: World, call: Call) -> None:
    body = {"seq": 1, "to_position": 1, "reason": "Desk can do it"}

    got = {
        role: call(
            world.as_role(role), "POST", f"tickets/{at_network(world.house).pk}/deescalate/", body
        ).status_code
        for role in AT_NETWORK
    }

    assert got == AT_NETWORK


def test_only_the_current_step_or_a_lead_acknowledges(world: World, call: Call) -> None:
    got = {
        role: call(
            world.as_role(role), "POST", f"tickets/{at_network(world.house).pk}/acknowledge/", {"seq": 1}
        ).status_code
        for role in AT_NETWORK
    }

    assert got == {role: 200 if status == 201 else status for role, status in AT_NETWORK.items()}


def test_only_the_current_step_or_a_lead_asks_the_sender(world: World, call: Call) -> None:
    body = {"seq": 1, "question": "Which rule?"}

    got = {
        role: call(
            world.as_role(role), "POST", f"tickets/{at_network(world.house).pk}/send-back/", body
        ).status_code
        for role in AT_NETWORK
    }

    # The agent among them is the sender: asking oneself makes no sense, whoever one is.
    assert got == AT_NETWORK


def test_only_who_was_asked_or_a_lead_answers(world: World, call: Call) -> None:
    got = {}
    for role in ("nobody", "stranger", "requester", "narrowed", "agent", "second", "lead"):
        ticket = at_network(world.house)
        send_back(
            ticket_id=ticket.pk, seen_seq=1, actor=world.house.second, now=world.house.now, question="Which?"
        )
        body = {"seq": 1, "text": "Rule 112"}
        got[role] = call(world.as_role(role), "POST", f"tickets/{ticket.pk}/answer/", body).status_code

    assert got == {
        "nobody": 401,
        "stranger": 404,
        "requester": 403,
        "narrowed": 403,
        "agent": 200,
        "second": 403,
        "lead": 200,
    }


def test_whoever_works_tickets_merges_those_they_see(world: World, call: Call) -> None:
    got = {}
    for role in ("nobody", "stranger", "requester", "narrowed", "agent", "lead"):
        ticket, double = world.house.open(), world.house.open()
        body = {"tickets": [double.pk]}
        got[role] = call(world.as_role(role), "POST", f"tickets/{ticket.pk}/merge/", body).status_code

    assert got == WORK_OF_SOME


def test_whoever_works_tickets_links_those_they_see(world: World, call: Call) -> None:
    house = world.house
    incident = house.open()
    declare_major(ticket_id=incident.pk, actor=house.agent, now=house.now)
    got = {}
    for role in ("nobody", "stranger", "requester", "narrowed", "agent", "lead"):
        path = f"tickets/{house.open().pk}/link/"
        got[role] = call(world.as_role(role), "POST", path, {"incident": incident.pk}).status_code

    assert got == WORK_OF_SOME


def test_whoever_works_tickets_resolves_those_linked_to_what_is_over(world: World, call: Call) -> None:
    house = world.house
    incident = house.open()
    declare_major(ticket_id=incident.pk, actor=house.agent, now=house.now)
    change_status(ticket_id=incident.pk, status="resolved", actor=house.agent, now=house.now)
    path = f"tickets/{incident.pk}/resolve-linked/"

    got = {role: call(world.as_role(role), "POST", path, {}).status_code for role in WORK_OF_SOME}

    assert got == WORK_OF_SOME


@pytest.mark.parametrize("verb", ["grant", "decline"])
def test_only_leads_answer_wishes(verb: str, world: World, call: Call) -> None:
    house = world.house
    got = {}
    for role in ("nobody", "stranger", "requester", "narrowed", "agent", "lead"):
        ticket = house.open()
        wish = request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Soon!", now=house.now)
        path = f"escalation-requests/{wish.pk}/{verb}/"
        got[role] = call(world.as_role(role), "POST", path, {"reason": "Because"}).status_code

    assert got == {
        "nobody": 401,
        "stranger": 404,
        "requester": 403,
        "narrowed": 404,
        "agent": 403,
        "lead": 200,
    }


def operations() -> list[tuple[str, str]]:
    """Return every operation of the committed OpenAPI document."""
    text = (environment.BASE_DIR / "docs/openapi.yaml").read_text()
    document = yaml.load(text, yaml.CSafeLoader)
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def test_nobody_gets_anything_unless_signed_in(world: World, call: Call) -> None:
    # given
    ticket = world.house.open()
    answers, expected = {}, {}

    # when
    for method, path in operations():
        filled = path.removeprefix("/api/v1/").replace("{id}", str(ticket.pk)).replace("{token_key}", "0123")
        assert "{" not in filled
        response = call(None, method, filled, {} if method != "GET" else None)
        problem = json.loads(response.content)
        answers[method, path] = (problem["type"], response["Content-Type"], response.get("WWW-Authenticate"))
        # Signing in is the one door that stands open; it wants to know who.
        door = path.endswith("/auth/token/")
        kind, asks = ("invalid", None) if door else ("unauthenticated", "Token")
        expected[method, path] = (f"urn:belay:problem:{kind}", "application/problem+json", asks)

    # then
    assert answers == expected
    assert len(answers) > 40


AFTER_A_MOVE = (
    "deescalate",
    "acknowledge",
    "pass-on",
    "send-back",
    "answer",
    "merge",
    "link",
    "resolve-linked",
)


def test_every_operation_is_in_the_tables_of_roles() -> None:
    tables = {(method, "/api/v1/" + path) for method, path, _, _ in TABLE}
    others = {("POST", f"/api/v1/tickets/{{ticket}}/{verb}/") for verb in AFTER_A_MOVE}
    others |= {("POST", f"/api/v1/escalation-requests/{{wish}}/{verb}/") for verb in ("grant", "decline")}
    others |= {("POST", "/api/v1/auth/token/")}

    def shape(method: str, path: str) -> tuple[str, str]:
        parts = ["{}" if part.startswith(("{", "0123")) else part for part in path.split("/")]
        return method, "/".join(parts)

    covered = {shape(*line) for line in tables | others}
    assert {shape(*line) for line in operations()} == covered


def test_what_a_person_may_no_longer_do_ends_with_the_account(world: World, call: Call) -> None:
    user = world.house.agent
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert call(user, "GET", "tickets/").status_code == 401


def test_an_agent_narrowed_to_teams_finds_their_team_s_tickets(world: World, call: Call) -> None:
    house = world.house
    house.open(subject="At the desk")
    mine = at_network(house)
    assign_ticket(ticket_id=mine.pk, assignee=house.second, actor=house.lead, now=house.now)

    response = call(world.narrowed, "GET", "tickets/")

    assert [ticket["id"] for ticket in response.json()["results"]] == [mine.pk]
