"""Consult, send back, answer, merge, link: over the API."""

from typing import Any

import pytest

from escalation.models import HandoffQuestion
from escalation.operations import escalate, send_back
from notifications.models import Notification
from tests.api.conftest import Call, World
from tests.house import House
from tickets.models import Ticket
from tickets.operations import change_status, declare_major, link_to_incident, merge_tickets


@pytest.fixture
def house(world: World) -> House:
    return world.house


def at_network(house: House) -> Ticket:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    return ticket


def post(call: Call, user: Any, ticket: Ticket, verb: str, body: dict[str, Any], **headers: str) -> Any:
    return call(user, "POST", f"tickets/{ticket.pk}/{verb}/", body, **headers)


def test_consulting_answers_with_who_was_told(house: House, call: Call) -> None:
    ticket = house.open()

    response = post(call, house.agent, ticket, "consult", {"seq": 0, "to_position": 3, "question": "Which?"})

    document = response.json()
    assert response.status_code == 201
    assert (document["seq"], document["to_position"], document["to_name"], document["to_tier"]) == (
        0,
        3,
        "Core network",
        3,
    )
    told = Notification.objects.filter(ticket=ticket, kind="escalation.consulted")
    assert sorted(document["contacts"]) == sorted(told.values_list("contact_id", flat=True))


def test_a_question_and_its_answer(house: House, call: Call) -> None:
    ticket = at_network(house)

    asked = post(call, house.second, ticket, "send-back", {"seq": 1, "question": "Which rule?"})
    answered = post(call, house.agent, ticket, "answer", {"seq": 1, "text": "Rule 112."})

    assert (asked.status_code, answered.status_code) == (201, 200)
    first, then = asked.json(), answered.json()
    assert (first["asked_to"]["id"], first["state"], first["answer"]) == (house.agent.pk, "open", "")
    assert (then["id"], then["state"], then["answer"]) == (first["id"], "answered", "Rule 112.")
    assert then["answered_by"]["id"] == house.agent.pk


def test_a_question_sent_again_with_its_key_is_asked_once(house: House, call: Call) -> None:
    ticket = at_network(house)
    body = {"seq": 1, "question": "Which rule?"}

    first = post(call, house.second, ticket, "send-back", body, Idempotency_Key="a1")
    again = post(call, house.second, ticket, "send-back", body, Idempotency_Key="a1")
    anew = post(call, house.second, ticket, "send-back", body)

    assert (first.status_code, again.status_code, anew.status_code) == (201, 201, 409)
    assert again.json() == first.json()
    assert HandoffQuestion.objects.filter(ticket=ticket).count() == 1


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("consult", {"to_position": 3, "question": "Which?"}),
        ("send-back", {"question": "Which?"}),
        ("answer", {"text": "112"}),
    ],
)
def test_a_stale_seq_moves_and_asks_nothing(
    verb: str, body: dict[str, Any], house: House, call: Call
) -> None:
    ticket = at_network(house)

    response = post(call, house.lead, ticket, verb, {"seq": 0, **body})

    problem = response.json()
    assert (response.status_code, problem["type"], problem["seq"]) == (409, "urn:belay:problem:moved", 1)


def test_merging_answers_with_the_survivor(house: House, call: Call) -> None:
    survivor, loser = house.open(severity=3), house.open(severity=1)

    response = post(call, house.agent, survivor, "merge", {"tickets": [loser.pk], "reason": "The same."})

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["severity"]) == (survivor.pk, 1)
    looked = call(house.agent, "GET", f"tickets/{loser.pk}/").json()
    assert (looked["status"], looked["merged_into"]) == ("closed", survivor.pk)


def test_replies_to_a_merged_ticket(house: House, call: Call) -> None:
    survivor, loser = house.open(), house.open()
    merge_tickets(loser_ids=[loser.pk], survivor_id=survivor.pk, actor=house.agent, now=house.now)

    inside = post(call, house.agent, loser, "reply", {"body": "Hm."})
    outside = post(call, house.requester, loser, "reply", {"body": "Still down."})

    assert (inside.status_code, inside.json()["mend"]) == (409, f"Write on #{survivor.pk}.")
    assert outside.status_code == 201
    assert survivor.entries.filter(body="Still down.").exists()


@pytest.mark.parametrize(
    ("tickets", "status"), [([], 400), ([0], 400), (["x"], 400), (None, 400), ([999_999_999], 404)]
)
def test_what_names_no_ticket_merges_nothing(tickets: Any, status: int, house: House, call: Call) -> None:
    response = post(call, house.agent, house.open(), "merge", {"tickets": tickets})

    assert response.status_code == status


def test_linking_and_unlinking(house: House, call: Call) -> None:
    parent, child = house.open(), house.open()

    refused = post(call, house.agent, child, "link", {"incident": parent.pk})
    declared = post(call, house.agent, parent, "declare-major", {"reason": "All offices."})
    linked = post(call, house.agent, child, "link", {"incident": parent.pk})
    unlinked = post(call, house.agent, child, "unlink", {})

    assert (refused.status_code, refused.json()["mend"]) == (400, "Declare it one first.")
    assert (declared.json()["is_major"], linked.json()["incident"]) == (True, parent.pk)
    assert linked.json()["tier_due_at"] is None
    assert unlinked.json()["incident"] is None
    assert unlinked.json()["tier_due_at"] is not None


def test_resolving_what_is_linked(house: House, call: Call) -> None:
    parent, children = house.open(), [house.open(), house.open()]
    declare_major(ticket_id=parent.pk, actor=house.agent, now=house.now)
    link_to_incident(
        ticket_ids=[c.pk for c in children], incident_id=parent.pk, actor=house.agent, now=house.now
    )

    early = post(call, house.agent, parent, "resolve-linked", {})
    change_status(ticket_id=parent.pk, status="resolved", actor=house.agent, now=house.now)
    done = post(call, house.agent, parent, "resolve-linked", {"reason": "VPN is back."})

    assert (early.status_code, done.status_code, done.json()) == (409, 200, {"resolved": 2})


def test_what_a_requester_sees_says_nothing_of_mergers_and_incidents(house: House, call: Call) -> None:
    ticket = house.open()

    seen = call(house.requester, "GET", f"tickets/{ticket.pk}/").json()

    assert not {"merged_into", "is_major", "incident"} & seen.keys()


def test_a_question_is_no_business_of_those_who_see_the_ticket_only(house: House, call: Call) -> None:
    ticket = at_network(house)
    send_back(ticket_id=ticket.pk, seen_seq=1, actor=house.second, now=house.now, question="Which?")

    response = post(call, house.outsider, ticket, "answer", {"seq": 1, "text": "112"})

    assert response.status_code == 403
