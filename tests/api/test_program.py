"""A program at work against the server as it runs in production, over HTTP."""

import uuid

import httpx
import pytest

from core.db import database_now
from escalation.operations import publish_path
from tests.browser_fixtures import Live
from tests.house import House, build_house, default_spec

PASSWORD = "a long password"


@pytest.fixture
def house(live: Live) -> House:
    """A house of its own in the live server's database, whose path new tickets enter."""
    tag = uuid.uuid4().hex[:6]
    house = build_house(tag=tag, with_path=False)
    spec = default_spec(house, name=f"Standard {tag}")
    publish_path(path_id=None, spec=spec, actor=house.admin, now=database_now())
    for user in (house.agent, house.second):
        user.set_password(PASSWORD)
        user.save()
    return house


def signed_in(live: Live, email: str) -> httpx.Client:
    client = httpx.Client(base_url=f"{live.url}/api/v1/", timeout=30)
    token = client.post("auth/token/", json={"email": email, "password": PASSWORD})
    assert token.status_code == 201, token.text
    client.headers["Authorization"] = f"Token {token.json()['token']}"
    return client


def test_a_program_carries_a_ticket_from_one_tier_to_the_next(live: Live, house: House) -> None:
    agent, second = signed_in(live, house.agent.email), signed_in(live, house.second.email)

    # it opens a ticket with a file; the answer gets lost, so it sends it again
    again = {"Idempotency-Key": uuid.uuid4().hex}
    fields = {
        "subject": "VPN is down",
        "body": "Log attached.",
        "requester": str(house.requester.pk),
        "impact": "1",
    }
    files = {"files": ("vpn.log", b"\x00\xff" * 100_000, "text/plain")}
    opened = [agent.post("tickets/", data=fields, files=files, headers=again) for _ in range(2)]
    assert [answer.status_code for answer in opened] == [201, 201], opened[0].text
    assert opened[0].json() == opened[1].json()
    ticket = opened[0].json()["id"]

    # it escalates with what it knows
    body = {"seq": opened[0].json()["seq"], "reason": "Rights", "handoff": {"tried": "Restart"}}
    assert agent.post(f"tickets/{ticket}/escalate/", json=body).status_code == 201
    late = agent.post(f"tickets/{ticket}/escalate/", json=body)
    assert (late.status_code, late.headers["Content-Type"]) == (409, "application/problem+json")

    # the next tier finds it waiting, reads on, takes it
    waiting = second.get("escalations/", params={"unacknowledged": True, "ticket": ticket}).json()["results"]
    assert [row["handoff"] for row in waiting] == [{"tried": "Restart"}]
    said = second.get(f"tickets/{ticket}/conversation/").json()["results"]
    file = second.get(said[0]["attachments"][0]["url"])
    assert file.content == b"\x00\xff" * 100_000
    taken = second.post(f"tickets/{ticket}/acknowledge/", json={"seq": waiting[0]["seq"]})
    assert taken.json()["acknowledged_by"]["id"] == house.second.pk

    # and after signing out nothing opens any more
    assert second.post("auth/sign-out/", json={}).status_code == 204
    assert second.get("me/").status_code == 401
