"""What is doubtful about whoever is on call, as an entry of a contact list."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from calendars.operations import publish_calendar
from calendars.rules import parse
from core.stretches import between, common
from escalation.linting import lint_active
from escalation.rules.lint import Doubt
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod, OnCallSchedule
from notifications.operations import Turns, contacts_for, create_schedule, save_rotation
from notifications.rules.rotation import Window
from tests.house import House

pytestmark = pytest.mark.django_db

# A Wednesday at noon in Berlin.
NOW = dt.datetime(2026, 6, 3, 10, tzinfo=dt.UTC)
WORKDAYS = frozenset({0, 1, 2, 3, 4})


@pytest.fixture
def sound(house: House) -> House:
    ContactMethod.objects.update(proven_at=house.now)
    return house


def on_list(
    house: House, *windows: Window, hours: str = "always", calendar: int | None = None
) -> OnCallSchedule:
    """Put whoever is on call onto the list of L2; Aisha alone takes turns."""
    schedule = create_schedule(
        name="Network", time_zone="Europe/Berlin", team=house.network, actor=house.lead
    )
    contact = contacts_for([house.second])[house.second.pk]
    turns = Turns(
        name="Weeks",
        groups=((contact,),),
        unit="weekly",
        starts_on=dt.date(2026, 1, 5),
        handoff_time=dt.time(),
        windows=windows,
    )
    save_rotation(schedule=schedule, turns=turns, actor=house.lead)
    role = Contact.objects.create(name="Duty", kind=Contact.Kind.ON_CALL, schedule=schedule)
    ContactListEntry.objects.create(contact_list=house.lists[2], contact=role, position=3, hours=hours)
    ContactList.objects.filter(pk=house.lists[2].pk).update(calendar_id=calendar)
    return schedule


def doubts(now: dt.datetime = NOW) -> list[Doubt]:
    return [doubt for linted in lint_active(now) for doubt in linted.doubts]


def test_a_schedule_without_a_gap_is_no_doubt(sound: House) -> None:
    on_list(sound)
    assert doubts() == []


def test_gaps_are_named_exactly_the_first_of_them_and_how_many_more(sound: House) -> None:
    on_list(sound, Window(dt.time(), dt.time(), WORKDAYS))
    (doubt,) = doubts()
    assert (doubt.code, doubt.level, doubt.field) == ("on_call_gap", "warning", "steps.2.contact_list_ids")
    assert doubt.message == (
        "“Duty” on “L2 contacts”: nobody is on call on “Network” at Sat 6 Jun 2026 00:00 – Mon 8 Jun 2026 00:00; "
        "Sat 13 Jun 2026 00:00 – Mon 15 Jun 2026 00:00; Sat 20 Jun 2026 00:00 – Mon 22 Jun 2026 00:00; and 10 more "
        "(Europe/Berlin, next 90 days)."
    )


def test_a_gap_now_says_until_when_and_not_that_a_method_is_missing(sound: House) -> None:
    on_list(sound, Window(dt.time(), dt.time(), WORKDAYS))
    (doubt,) = doubts(NOW + dt.timedelta(days=4))
    assert (
        "nobody is on call on “Network” now, until Mon 8 Jun 2026 00:00. Gaps of the next 90 days:"
        in doubt.message
    )
    assert "method" not in doubt.message


def test_a_schedule_that_is_switched_off_is_told_as_such(sound: House) -> None:
    schedule = on_list(sound)
    OnCallSchedule.objects.filter(pk=schedule.pk).update(is_active=False)
    (doubt,) = doubts()
    assert "the schedule “Network” is switched off, so nobody is on call." in doubt.message


def test_who_takes_turns_without_a_method_is_named_once(sound: House) -> None:
    on_list(sound)
    ContactMethod.objects.filter(contact__user=sound.second).update(is_active=False)
    found = {doubt.code: doubt.message for doubt in doubts()}
    assert "Aisha Test takes turns on “Network” and can't be told" in found["on_call_without_method"]
    # As an entry of her own she is named besides.
    assert set(found) == {"on_call_without_method", "contact_without_method"}


@pytest.mark.parametrize(("hours", "count"), [("inside", 0), ("outside", 1), ("always", 1)])
def test_an_entry_with_hours_minds_the_gaps_of_these_alone(sound: House, hours: str, count: int) -> None:
    week: dict[str, Any] = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    version = publish_calendar(
        calendar_id=None,
        name="Office",
        hours=parse({"tz": "Europe/Berlin", "week": week}),
        actor_name="Test",
        now=sound.now,
    )
    on_list(sound, Window(dt.time(9), dt.time(17), WORKDAYS), hours=hours, calendar=version.calendar_id)
    assert [doubt.code for doubt in doubts()] == ["on_call_gap"] * count


def test_it_costs_two_queries_however_many_schedules_there_are(sound: House) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            doubts()
        return len(captured)

    doubts()
    without = queries()
    on_list(sound)
    doubts()
    one = queries()
    for number in range(3):
        schedule = create_schedule(name=f"More {number}", time_zone="UTC", actor=sound.lead)
        role = Contact.objects.create(name=f"More {number}", kind=Contact.Kind.ON_CALL, schedule=schedule)
        ContactListEntry.objects.create(contact_list=sound.lists[3], contact=role, position=5 + number)
    assert queries() == one
    # The one that resolves the role when lists are read, and the one that looks ahead; people once more.
    assert one - without <= 3


def test_stretches_have_in_common_what_lies_in_both() -> None:
    def hours(*pairs: tuple[int, int]) -> list[tuple[dt.datetime, dt.datetime]]:
        return [(NOW + dt.timedelta(hours=a), NOW + dt.timedelta(hours=b)) for a, b in pairs]

    assert list(common(hours((0, 4), (6, 9)), hours((1, 2), (3, 7), (8, 12)))) == hours(
        (1, 2), (3, 4), (6, 7), (8, 9)
    )
    assert list(common(hours((0, 1)), hours((1, 2)))) == []
    assert list(between(hours((1, 2), (4, 6)), *hours((0, 6))[0])) == hours((0, 1), (2, 4))
    assert list(between([], *hours((0, 6))[0])) == hours((0, 6))
