"""The Idempotency-Key: a request that comes twice happens once."""

import datetime as dt
import io
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.client import Client
from knox.models import AuthToken

from api import idempotency
from api.models import IdempotencyKey
from escalation.models import Escalation
from tests.api.conftest import Call, World, build_world, call_as
from tests.helpers import race
from tests.house import House
from tickets.models import Entry, Ticket

BODY = {"subject": "VPN is down"}


def test_the_same_request_again_changes_nothing_and_is_answered_the_same(house: House, call: Call) -> None:
    first = call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="a-1")
    again = call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="a-1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    assert not first.has_header("Idempotent-Replayed")
    assert again["Content-Type"] == "application/json"
    assert Ticket.objects.count() == 1


def test_another_request_with_the_key_is_refused(house: House, call: Call) -> None:
    call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="a-1")

    other_body = call(house.requester, "POST", "tickets/", {"subject": "Other"}, Idempotency_Key="a-1")
    ticket = Ticket.objects.get()
    other_path = call(
        house.requester, "POST", f"tickets/{ticket.pk}/reply/", {"body": "x"}, Idempotency_Key="a-1"
    )

    for response in (other_body, other_path):
        assert response.status_code == 422
        assert response.json()["type"] == "urn:belay:problem:key-reused"
    assert Ticket.objects.count() == 1
    assert Entry.objects.count() == 0


def test_a_key_belongs_to_its_user(world: World, call: Call) -> None:
    call(world.house.requester, "POST", "tickets/", BODY, Idempotency_Key="a-1")

    response = call(world.stranger, "POST", "tickets/", BODY, Idempotency_Key="a-1")

    assert response.json()["requester"]["id"] == world.stranger.pk
    assert Ticket.objects.count() == 2


def test_a_refused_request_leaves_its_key_free(house: House, call: Call) -> None:
    ticket = house.open()
    path = f"tickets/{ticket.pk}/status/"
    refused = call(house.agent, "POST", path, {"status": "hold"}, Idempotency_Key="a-1")
    mended = call(house.agent, "POST", path, {"status": "hold", "reason": "Vendor"}, Idempotency_Key="a-1")

    assert (refused.status_code, mended.status_code) == (400, 200)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ä"])
def test_a_key_that_can_t_be_one_is_refused(key: str, house: House, call: Call) -> None:
    response = call(house.requester, "POST", "tickets/", BODY, Idempotency_Key=key)

    assert response.status_code == 400
    assert response.json()["field"] == "Idempotency-Key"
    assert not Ticket.objects.exists()


def test_escalating_again_with_the_key_does_not_climb_again(house: House, call: Call) -> None:
    ticket = house.open()
    body = {"seq": 0, "reason": "Rights"}

    first = call(house.agent, "POST", f"tickets/{ticket.pk}/escalate/", body, Idempotency_Key="e-1")
    again = call(house.agent, "POST", f"tickets/{ticket.pk}/escalate/", body, Idempotency_Key="e-1")
    without = call(house.agent, "POST", f"tickets/{ticket.pk}/escalate/", body)

    assert (first.status_code, again.status_code, without.status_code) == (201, 201, 409)
    assert first.json() == again.json()
    assert Escalation.objects.filter(ticket=ticket, kind="climb").count() == 1


def test_a_form_with_files_is_known_again_by_its_content(house: House, tmp_path: Any, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    ticket = house.open()
    _, token = AuthToken.objects.create(house.agent)

    def send(content: bytes) -> Any:
        file = io.BytesIO(content)
        file.name = "log.txt"
        headers = {"Authorization": f"Token {token}", "Idempotency-Key": "f-1"}
        return Client().post(
            f"/api/v1/tickets/{ticket.pk}/note/", {"body": "Log", "files": file}, headers=headers
        )

    assert [send(b"one").status_code, send(b"one").status_code, send(b"two").status_code] == [201, 201, 422]
    assert ticket.entries.filter(kind="note").count() == 1


def test_keys_are_forgotten_after_a_day(house: House, call: Call) -> None:
    call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="old")
    call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="new")
    IdempotencyKey.objects.filter(key="old").update(created_at=house.now - dt.timedelta(hours=25))

    out = StringIO()
    call_command("forget_idempotency_keys", stdout=out)

    assert out.getvalue().strip() == "1 forgotten"
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]


def test_a_key_of_the_day_before_yesterday_is_free_even_before_it_is_cleaned_up(
    house: House, call: Call
) -> None:
    call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="a-1")
    IdempotencyKey.objects.update(created_at=house.now - dt.timedelta(hours=25))

    assert (
        call(house.requester, "POST", "tickets/", {"subject": "Other"}, Idempotency_Key="a-1").status_code
        == 201
    )
    assert Ticket.objects.count() == 2


@pytest.fixture
def committed(transactional_db: None) -> World:
    return build_world()


def outcomes(calls: list[Callable[[], Any]]) -> list[Any]:
    found = race(*calls)
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found


def test_of_two_at_the_same_time_one_happens_and_both_are_answered(committed: World) -> None:
    user = committed.house.requester

    def send() -> Any:
        return call_as(user, "POST", "tickets/", BODY, Idempotency_Key="race")

    responses = outcomes([send] * 4)

    assert [response.status_code for response in responses] == [201] * 4
    assert len({response.json()["id"] for response in responses}) == 1
    assert sum(response.has_header("Idempotent-Replayed") for response in responses) == 3
    assert Ticket.objects.count() == 1


def test_escalations_at_the_same_time_with_one_seq_climb_once(committed: World) -> None:
    house = committed.house
    ticket = house.open()

    def send() -> Any:
        return call_as(house.agent, "POST", f"tickets/{ticket.pk}/escalate/", {"seq": 0, "reason": "Rights"})

    responses = outcomes([send] * 3)

    assert sorted(response.status_code for response in responses) == [201, 409, 409]
    losers = [response.json() for response in responses if response.status_code == 409]
    assert {problem["seq"] for problem in losers} == {1}
    assert Escalation.objects.filter(ticket=ticket, kind="climb").count() == 1


def test_who_waits_too_long_for_the_first_is_told_to_come_back(
    committed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a first request that is still under way in another connection
    monkeypatch.setattr(idempotency, "_PATIENCE", "200ms")
    user = committed.house.requester
    with transaction.atomic():
        IdempotencyKey.objects.create(user=user, key="slow", digest=b"x", created_at=committed.house.now)

        # when
        (response,) = race(lambda: call_as(user, "POST", "tickets/", BODY, Idempotency_Key="slow"))

    # then
    assert response.status_code == 409, response
    assert response.json()["type"] == "urn:belay:problem:conflict"
    assert not Ticket.objects.exists()


def test_a_key_leaves_the_connection_s_patience_as_it_was(house: House, call: Call) -> None:
    call(house.requester, "POST", "tickets/", BODY, Idempotency_Key="a-1")

    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
