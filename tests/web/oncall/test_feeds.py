"""Private calendars: what they hold, for whom, and until when."""

import datetime as dt
import re
from typing import Any

import pytest
from django.test import Client
from icalendar import Calendar

from accounts.models import Role, User
from core.db import database_now
from notifications.models import CalendarFeed, OnCallSchedule
from notifications.queries.oncall import people_on_call
from tests.house import House
from tests.web.desk.conftest import As, text_of
from tests.web.oncall.world import DAY, network_schedule, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def schedule(house: House) -> OnCallSchedule:
    return network_schedule(house, windows=())


def made(client: Client, **data: Any) -> str:
    """Make an address, or renew it; return its path."""
    answer = client.post("/oncall/feed/", data)
    assert answer.status_code == 302
    page = text_of(client.get(answer["Location"].partition("#")[0]))
    found = re.search(r'value="https?://[^/]+(/oncall/feed/[^"]+\.ics)"', page)
    assert found is not None
    return found[1]


def events(answer: Any) -> list[Any]:
    return list(Calendar.from_ical(answer.content).walk("VEVENT"))


def test_a_persons_own_feed_holds_their_shifts_and_asks_for_no_sign_in(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    answer = Client().get(made(signed_in_as(house.second)))
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/calendar")
    assert answer["Cache-Control"].startswith("private")
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H" in answer.content
    now = database_now()
    found = events(answer)
    # Every other week, thirty days back and half a year ahead.
    assert 13 <= len(found) <= 17
    for event in found:
        begin, end = event.decoded("dtstart"), event.decoded("dtend")
        assert (begin.utcoffset(), end.utcoffset()) == (dt.timedelta(0), dt.timedelta(0))
        assert now - 31 * DAY < end
        assert begin < now + 181 * DAY
        assert people_on_call([schedule.pk], begin)[schedule.pk] == (person(house.second).pk,)
        assert str(event["summary"]) == "Network on call"
    assert len({str(event["uid"]) for event in found}) == len(found)


def test_a_schedules_feed_holds_everybodys_shifts_with_names(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    answer = Client().get(made(signed_in_as(house.agent), schedule=schedule.pk))
    assert {str(event["summary"]) for event in events(answer)} == {
        "Aisha Test: Network on call",
        "Tomas Test: Network on call",
    }


def test_what_has_not_changed_is_not_sent_again(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    path = made(signed_in_as(house.second))
    first = Client().get(path)
    again = Client().get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    uids = [str(event["uid"]) for event in events(first)]
    schedule.rotations.update(name="Renamed")
    assert [str(event["uid"]) for event in events(Client().get(path))] == uids


def test_a_new_address_makes_the_old_one_worthless(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    client = signed_in_as(house.second)
    old = made(client)
    new = made(client)
    assert old != new
    assert Client().get(old).status_code == 404
    assert Client().get(new).status_code == 200
    assert CalendarFeed.objects.count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.REQUESTER}])
def test_whoever_may_look_no_more_has_no_calendar_either(
    house: House, schedule: OnCallSchedule, signed_in_as: As, change: dict[str, Any]
) -> None:
    path = made(signed_in_as(house.second))
    User.objects.filter(pk=house.second.pk).update(**change)
    assert Client().get(path).status_code == 404


@pytest.mark.parametrize("token", ["x", "1-abc", "1-abc.def", "é", "1-00000000000000000000000000000000.sig"])
def test_a_made_up_address_is_not_there(db: None, token: str) -> None:
    assert Client().get(f"/oncall/feed/{token}.ics").status_code == 404


def test_a_changed_token_is_not_there(house: House, schedule: OnCallSchedule, signed_in_as: As) -> None:
    path = made(signed_in_as(house.second))
    number = path.rpartition("/")[2].partition("-")[0]
    assert Client().get(path.replace(f"/{number}-", f"/{int(number) + 1}-")).status_code == 404


def test_a_requester_makes_none(house: House, signed_in_as: As) -> None:
    assert signed_in_as(house.requester).post("/oncall/feed/").status_code == 403
