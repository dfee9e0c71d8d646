"""Escalate, de-escalate, acknowledge, wishes: over the API."""

from typing import Any

import pytest

from escalation.models import Escalation, Standing
from escalation.operations import escalate
from notifications.models import Notification
from tests.api.conftest import Call, World
from tests.house import House
from tickets.models import Ticket

HANDOFF = {"impact": "60 people", "tried": "Restart", "next_action": "Rule 112"}


def at_network(house: House) -> Ticket:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    return ticket


def test_escalating_answers_with_what_happened(house: House, call: Call) -> None:
    ticket = house.open()

    response = call(
        house.agent,
        "POST",
        f"tickets/{ticket.pk}/escalate/",
        {"seq": 0, "reason": "Rights", "handoff": HANDOFF},
    )

    document = response.json()
    assert response.status_code == 201
    assert (document["seq"], document["kind"], document["trigger"]) == (1, "climb", "agent")
    assert (document["from_step"]["name"], document["to_step"]["name"], document["to_tier"]) == (
        "Service desk",
        "Network",
        2,
    )
    assert (document["reason"], document["handoff"]) == ("Rights", HANDOFF)
    looked = call(house.agent, "GET", f"tickets/{ticket.pk}/").json()
    assert (looked["seq"], looked["tier"], looked["ladder"]["step_position"]) == (1, 2, 2)
    assert [step["place"] for step in looked["ladder"]["steps"]] == ["past", "now", "ahead", "ahead"]
    assert looked["ladder"]["steps"][1]["acknowledge_within_seconds"] == 600
    told = call(house.agent, "GET", f"tickets/{ticket.pk}/notifications/").json()["results"]
    assert 1 in {row["seq"] for row in told}
    assert not {"context", "lease_token", "message_id"} & set(told[0])


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("escalate", {"reason": "Rights"}),
        ("deescalate", {"to_position": 1, "reason": "Easy"}),
        ("acknowledge", {}),
        ("pass-on", {}),
    ],
)
def test_a_verb_on_a_ticket_that_has_moved_does_nothing_and_says_where_it_is(
    verb: str, body: dict[str, Any], house: House, call: Call
) -> None:
    ticket = at_network(house)

    response = call(house.lead, "POST", f"tickets/{ticket.pk}/{verb}/", {"seq": 0, **body})

    problem = response.json()
    assert response.status_code == 409
    assert response["Content-Type"] == "application/problem+json"
    assert problem["type"] == "urn:belay:problem:moved"
    assert (problem["field"], problem["value"], problem["seq"], problem["tier"]) == ("seq", 0, 1, 2)
    assert "Network" in problem["detail"]
    assert Escalation.objects.filter(ticket=ticket).count() == 2


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("escalate", {"reason": "Rights"}),
        ("deescalate", {"to_position": 1, "reason": "Easy"}),
        ("acknowledge", {}),
    ],
)
@pytest.mark.parametrize("seq", [None, "1", 1.5, -1, True])
def test_seq_is_required(seq: Any, verb: str, body: dict[str, Any], house: House, call: Call) -> None:
    ticket = at_network(house)

    for sent in (body, {**body, "seq": seq}):
        response = call(house.lead, "POST", f"tickets/{ticket.pk}/{verb}/", sent)

        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == ["seq"]
    assert Escalation.objects.filter(ticket=ticket, acknowledged_at__isnull=True).count() == 2


def test_acknowledging_takes_the_ticket_and_twice_is_a_conflict(house: House, call: Call) -> None:
    ticket = at_network(house)

    first = call(house.second, "POST", f"tickets/{ticket.pk}/acknowledge/", {"seq": 1})
    again = call(house.lead, "POST", f"tickets/{ticket.pk}/acknowledge/", {"seq": 1})

    assert first.status_code == 200
    assert first.json()["acknowledged_by"]["id"] == house.second.pk
    assert (again.status_code, again.json()["type"]) == (409, "urn:belay:problem:already-acknowledged")
    ticket.refresh_from_db()
    assert ticket.assignee == house.second
    assert not Notification.objects.filter(
        ticket=ticket, group__startswith="telling:", state="pending"
    ).exists()


def test_escalations_are_found_by_what_they_are(house: House, call: Call) -> None:
    open_one, taken = at_network(house), at_network(house)
    call(house.second, "POST", f"tickets/{taken.pk}/acknowledge/", {"seq": 1})

    def found(query: str) -> set[tuple[int, int]]:
        rows = call(house.agent, "GET", f"escalations/?{query}").json()["results"]
        return {(row["ticket"], row["seq"]) for row in rows}

    assert found("unacknowledged=true") == {(open_one.pk, 1)}
    assert found("unacknowledged=false&tier=2") == {(taken.pk, 1)}
    assert found("tier=2") == {(open_one.pk, 1), (taken.pk, 1)}
    assert found("trigger=opened") == {(open_one.pk, 0), (taken.pk, 0)}
    assert found(f"ticket={taken.pk}") == {(taken.pk, 0), (taken.pk, 1)}
    assert found("at_after=2100-01-01T00:00:00Z") == set()
    assert len(found("at_before=2100-01-01T00:00:00Z")) == 4


def test_pages_of_escalations_at_one_instant_miss_none(house: House, call: Call) -> None:
    for _ in range(4):
        at_network(house)
    seen, path = [], "escalations/?page_size=3"

    while path:
        page = call(house.agent, "GET", path.removeprefix("http://testserver/api/v1/")).json()
        seen += [row["id"] for row in page["results"]]
        path = page["next"]

    assert sorted(seen) == sorted(Escalation.objects.values_list("pk", flat=True))
    assert len(seen) == 8


def test_clocks_by_what_fires_next(house: House, call: Call) -> None:
    ticket = at_network(house)

    rows = call(house.agent, "GET", f"clocks/?live=true&ticket={ticket.pk}&ordering=fires_at").json()[
        "results"
    ]

    assert {row["kind"] for row in rows} == {
        "first_response",
        "resolution",
        "tier_time",
        "acknowledge",
        "next_telling",
    }
    assert rows[0]["kind"] == "next_telling"
    tier_time = next(row for row in rows if row["kind"] == "tier_time")
    assert tier_time["budget_seconds"] == 1800
    assert 1700 < tier_time["left_seconds"] <= 1800
    none = call(house.agent, "GET", "clocks/?due_before=2000-01-01T00:00:00Z").json()["results"]
    assert none == []


def test_a_wish_is_granted_or_declined_with_a_reason_the_requester_reads(house: House, call: Call) -> None:
    ticket = house.open()
    wish = call(
        house.requester, "POST", f"tickets/{ticket.pk}/request-escalation/", {"reason": "Payday!"}
    ).json()
    assert wish["state"] == "open"
    ladder = call(house.agent, "GET", f"tickets/{ticket.pk}/").json()["ladder"]
    assert ladder["open_request"] == wish["id"]

    declined = call(
        house.lead, "POST", f"escalation-requests/{wish['id']}/decline/", {"reason": "Fixed at noon."}
    )

    assert declined.json()["state"] == "declined"
    mine = call(house.requester, "GET", "escalation-requests/").json()["results"]
    assert [(row["state"], row["answer"]) for row in mine] == [("declined", "Fixed at noon.")]
    again = call(house.lead, "POST", f"escalation-requests/{wish['id']}/grant/", {})
    assert again.status_code == 409


def test_a_granted_wish_climbs(house: House, call: Call) -> None:
    ticket = house.open()
    wish = call(
        house.requester, "POST", f"tickets/{ticket.pk}/request-escalation/", {"reason": "Payday!"}
    ).json()

    climbed = call(
        house.lead, "POST", f"escalation-requests/{wish['id']}/grant/", {"handoff": HANDOFF}
    ).json()

    assert (climbed["ticket"], climbed["to_tier"], climbed["trigger"]) == (ticket.pk, 2, "requester")


def test_wishes_of_others_are_not_seen(world: World, call: Call) -> None:
    ticket = world.house.open()
    call(world.house.requester, "POST", f"tickets/{ticket.pk}/request-escalation/", {"reason": "Payday!"})

    assert call(world.stranger, "GET", "escalation-requests/").json()["results"] == []


def test_a_path_comes_with_its_matrix(house: House, call: Call) -> None:
    (path,) = call(house.agent, "GET", "paths/").json()["results"]

    version = path["version"]
    assert (path["name"], path["is_default"], version["fallback"]["name"]) == (
        "Standard",
        True,
        "Duty officer",
    )
    assert [step["tier"] for step in version["steps"]] == [1, 2, 3, 4]
    assert version["steps"][0]["contact_lists"] == []
    assert version["steps"][1]["contact_lists"][0]["name"] == "L2 contacts"
    assert version["steps"][1]["matrix"][0] == {
        "severity": 1,
        "acknowledge_within_seconds": 600,
        "work_within_seconds": 1800,
    }
    assert version["steps"][0]["matrix"][0]["acknowledge_within_seconds"] is None
    assert version["promises"][0]["resolution_seconds"] == 8 * 3600


def test_imported_history_says_it_is_on_no_path(house: House, call: Call) -> None:
    ticket = house.open(historic=True)

    document = call(house.agent, "GET", f"tickets/{ticket.pk}/").json()
    response = call(house.agent, "POST", f"tickets/{ticket.pk}/escalate/", {"seq": 0, "reason": "x"})

    assert (document["seq"], document["ladder"]) == (None, None)
    assert (response.status_code, response.json()["type"]) == (400, "urn:belay:problem:refused")


def test_a_ticket_explains_its_deadlines(house: House, call: Call) -> None:
    ticket = house.open(severity=2)

    document = call(house.agent, "GET", f"tickets/{ticket.pk}/explain/").json()

    assert (document["step"], document["path"], document["version"]) == ("Service desk", "Standard", 1)
    clocks = {clock["kind"]: clock for clock in document["clocks"]}
    assert set(clocks) == {"first_response", "tier_time", "resolution"}
    tier_time = clocks["tier_time"]
    assert tier_time["budget_from"] == "SEV2 at Service desk: work within 30 min"
    assert tier_time["then"].startswith("It climbs to Network;")
    assert tier_time["counted_seconds"] == tier_time["budget_seconds"] == 1800
    assert [window["taken_seconds"] for window in tier_time["windows"]] == [1800]
    assert (tier_time["newer_path"], tier_time["pauses"]) == (None, [])


def test_a_ticket_on_no_path_has_nothing_to_explain(house: House, call: Call) -> None:
    ticket = house.open(historic=True)

    document = call(house.agent, "GET", f"tickets/{ticket.pk}/explain/").json()

    assert document == {"step": "", "path": "", "version": None, "newer": None, "clocks": [], "ended": []}


def test_whoever_was_told_says_that_they_cannot_and_others_may_not(house: House, call: Call) -> None:
    ticket = at_network(house)

    first = call(house.second, "POST", f"tickets/{ticket.pk}/pass-on/", {"seq": 1})
    again = call(house.second, "POST", f"tickets/{ticket.pk}/pass-on/", {"seq": 1})
    stranger = call(house.outsider, "POST", f"tickets/{ticket.pk}/pass-on/", {"seq": 1})

    assert (first.status_code, again.status_code) == (200, 200)
    assert (stranger.status_code, stranger.json()["field"]) == (403, "contact")
    assert Standing.objects.get(ticket=ticket).declined == [house.second.contact.pk]
    rows = Notification.objects.filter(ticket=ticket, seq=1, round=2)
    assert [row.address for row in rows] == ["duty2@example.org"]
