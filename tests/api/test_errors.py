"""What is wrong is said by field, value and mend; and nothing half-written stays."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from tests.api.conftest import Call
from tests.house import House
from tickets.models import Ticket

# (body of POST tickets/, the field it is about, a part of what is said)
WRONG: list[tuple[Any, str, str]] = [
    ({}, "subject", "required"),
    ({"subject": "x", "colour": "red"}, "colour", "no field"),
    ({"subject": "x", "id": 7}, "id", "no field"),
    ({"subject": 12}, "subject", "no text"),
    ({"subject": None}, "subject", "null"),
    ({"subject": ""}, "subject", "blank"),
    ({"subject": "x\u0000y"}, "subject", "Null characters"),
    ({"subject": "x" * 301}, "subject", "300"),
    ({"subject": "x", "impact": "1"}, "impact", "no impact"),
    ({"subject": "x", "impact": True}, "impact", "no impact"),
    ({"subject": "x", "impact": 9}, "impact", "“9”"),
    ({"subject": "x", "impact": [1]}, "impact", "no impact"),
    ({"subject": "x", "service": 999999}, "service", "There is no service 999999."),
    ({"subject": "x", "service": "VPN"}, "service", "no whole number"),
    ({"subject": "x", "service": 1.5}, "service", "valid integer"),
    ({"subject": "x", "service": 10**30}, "service", "less than or equal"),
    ({"subject": "x", "service": True}, "service", "no whole number"),
    ({"subject": "x", "tags": "vpn"}, "tags", "list"),
    ({"subject": "x", "tags": ["ok", 3]}, "tags.1", "no text"),
    ({"subject": "x", "severity": 1}, "severity_reason", "reason"),
    ([], "", "dictionary"),
    ("text", "", "dictionary"),
]


@pytest.mark.parametrize(("body", "field", "says"), WRONG, ids=[json.dumps(line[0])[:50] for line in WRONG])
def test_a_wrong_body_is_refused_by_field(body: Any, field: str, says: str, agent: User, call: Call) -> None:
    response = call(agent, "POST", "tickets/", json.dumps(body))

    problem = response.json()
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert problem.get("field", "") == field
    assert says in problem["detail"]
    assert not Ticket.objects.exists()


def test_all_errors_are_told_at_once(agent: User, call: Call) -> None:
    problem = call(agent, "POST", "tickets/", {"subject": "", "impact": 9, "urgency": 0}).json()

    assert {error["field"] for error in problem["errors"]} == {"subject", "impact", "urgency"}
    impact = next(error for error in problem["errors"] if error["field"] == "impact")
    assert (impact["value"], impact["mend"]) == (9, "Take one of 1, 2, 3.")


def test_nested_fields_are_named_by_their_way(house: House, call: Call) -> None:
    ticket = house.open()
    body = {"seq": 0, "reason": "x", "handoff": {"tired": "y"}}

    problem = call(house.agent, "POST", f"tickets/{ticket.pk}/escalate/", body).json()

    assert (problem["field"], problem["value"]) == ("handoff.tired", "y")
    assert "tried" in problem["mend"]


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ('{"subject": NaN}', "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ('{"subject": "\\ud800"}', "application/json", 400),
        ('{"\\udfff": "x"}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        ("subject=x", "application/x-www-form-urlencoded", 415),
        ("subject", "text/plain", 415),
        ("x", "multipart/form-data; boundary=", 400),
        ("x" * 1_400_000, "application/json", 413),
    ],
)
def test_what_can_t_be_read_is_said_to_be_so(
    data: Any, content_type: str, status: int, agent: User, call: Call
) -> None:
    client = Client()
    client.force_login(agent, backend="allauth.account.auth_backends.AuthenticationBackend")

    response = client.post("/api/v1/tickets/", data, content_type=content_type)

    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert not Ticket.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere/", 404),
        ("GET", "tickets/x/", 404),
        ("GET", "tickets/99999999999999999999999/", 404),
        ("GET", "tickets/1/nothing/", 404),
        ("DELETE", "tickets/", 405),
        ("PUT", "tickets/1/", 405),
        ("OPTIONS", "tickets/", 405),
        ("POST", "me/", 405),
    ],
)
def test_wrong_turns_are_problem_documents_too(
    method: str, path: str, status: int, agent: User, call: Call
) -> None:
    response = call(agent, method, path)

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_operations_refusals_pass_unchanged(house: House, call: Call) -> None:
    ticket = house.open()

    problem = call(house.agent, "POST", f"tickets/{ticket.pk}/status/", {"status": "waiting"}).json()

    assert problem == {
        "type": "urn:belay:problem:refused",
        "title": "Refused",
        "status": 400,
        "detail": "Waiting on the customer needs a public reply first.",
        "field": "status",
        "value": "waiting",
        "mend": "Ask them something, then wait.",
    }


def test_a_session_needs_the_csrf_token(house: House) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(house.agent, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.get("/api/v1/docs/")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value

    without = client.post("/api/v1/tickets/", {"subject": "x"}, content_type="application/json")
    with_it = client.post(
        "/api/v1/tickets/", {"subject": "x"}, content_type="application/json", headers={"X-CSRFToken": token}
    )

    assert (without.status_code, without["Content-Type"]) == (403, "application/problem+json")
    assert with_it.status_code == 201
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token \xff\xfe", "Token 123", "Token é", "Bearer x"]
)
def test_a_header_that_is_no_token_is_a_401(header: str, db: None) -> None:
    response = Client().get("/api/v1/me/", headers={"Authorization": header})

    assert response.status_code == 401
