"""On-call schedules in the database: what was written resolves as the pure rules say, and who may write what."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calendars.operations import publish_calendar
from calendars.rules import parse
from core.errors import NotAllowed, Refused
from notifications.models import Contact, OnCallOverride, OnCallSchedule, TimeOff
from notifications.operations import (
    Turns,
    add_override,
    add_time_off,
    change_schedule,
    contacts_for,
    create_schedule,
    feed_of,
    remove_override,
    remove_rotation,
    remove_time_off,
    renew_feed,
    save_rotation,
)
from notifications.queries.oncall import load_rosters, load_schedules, people_on_call
from notifications.rules import oncall as rules
from notifications.rules.oncall import Away, Override, on_call
from notifications.rules.rotation import Rotation, Window
from tests.house import House, build_house

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
DAY = dt.timedelta(days=1)
# Noon on the Tuesday before the clocks go forward.
NOW = dt.datetime(2026, 3, 24, 11, tzinfo=dt.UTC)


@pytest.fixture
def house() -> House:
    return build_house(now=NOW)


@pytest.fixture
def people(house: House) -> list[Contact]:
    """Return Piet, Aisha and Tomas as contacts."""
    users = [house.agent, house.second, house.third]
    found = contacts_for(users)
    return [found[user.pk] for user in users]


@pytest.fixture
def schedule(house: House) -> OnCallSchedule:
    return create_schedule(
        name="Network on call", time_zone="Europe/Berlin", team=house.network, actor=house.lead
    )


def turns(*groups: tuple[Contact, ...], **more: Any) -> Turns:
    values: dict[str, Any] = {
        "name": "Weeks",
        "unit": "weekly",
        "starts_on": dt.date(2026, 3, 2),
        "handoff_time": dt.time(9),
    }
    return Turns(groups=groups, **values | more)


def test_what_was_written_is_on_call_as_the_rules_say(
    house: House, schedule: OnCallSchedule, people: list[Contact]
) -> None:
    # Given: two levels, one of them by days and windows, an override of each kind, time off with and without substitute
    piet, aisha, tomas = people
    night = Window(dt.time(22), dt.time(6), frozenset({0, 1, 2, 3, 4}))
    day = Window(dt.time(8), dt.time(8), frozenset({5, 6}))
    save_rotation(schedule=schedule, turns=turns((piet,), (aisha, tomas)), actor=house.lead)
    save_rotation(
        schedule=schedule,
        turns=turns(
            (tomas,),
            (piet,),
            (aisha,),
            name="Nights",
            unit="daily",
            level=2,
            windows=(night, day),
            ends_on=dt.date(2026, 4, 20),
            aligned=True,
        ),
        actor=house.lead,
    )
    said = [
        ("add", piet, None),
        ("replace", aisha, tomas),
        ("remove", None, piet),
        ("instead", tomas, None),
    ]
    for place, (kind, comes, goes) in enumerate(said):
        add_override(
            schedule=schedule,
            kind=kind,
            contact=comes,
            replaces=goes,
            starts_at=NOW + 2 * place * DAY,
            ends_at=NOW + (2 * place + 3) * DAY,
            actor=house.lead,
            now=NOW,
        )
    add_time_off(
        contact=aisha,
        starts_at=NOW + DAY,
        ends_at=NOW + 9 * DAY,
        substitute=piet,
        actor=house.second,
        now=NOW,
    )
    add_time_off(contact=tomas, starts_at=NOW + 12 * DAY, ends_at=NOW + 20 * DAY, actor=house.lead, now=NOW)

    # When
    begin, end = NOW - DAY, NOW + 40 * DAY
    found = on_call(load_schedules([schedule.pk], begin, end)[schedule.pk], begin, end)

    # Then
    start = dt.datetime(2026, 3, 2, 9)  # noqa: DTZ001 wall time
    p, a, t = piet.pk, aisha.pk, tomas.pk
    spoken = rules.Schedule(
        (
            Rotation(
                ((t,), (p,), (a,)),
                "daily",
                1,
                start,
                BERLIN,
                (night, day),
                aligned=True,
                until=dt.datetime(2026, 4, 20, 9),  # noqa: DTZ001 wall time
                level=2,
            ),
            Rotation(((p,), (a, t)), "weekly", 1, start, BERLIN),
        ),
        (
            Override(NOW, NOW + 3 * DAY, comes=p),
            Override(NOW + 2 * DAY, NOW + 5 * DAY, a, t),
            Override(NOW + 4 * DAY, NOW + 7 * DAY, goes=p),
            Override(NOW + 6 * DAY, NOW + 9 * DAY, comes=t, instead=True),
        ),
        (Away(a, NOW + DAY, NOW + 9 * DAY, p), Away(t, NOW + 12 * DAY, NOW + 20 * DAY)),
    )
    assert found == on_call(spoken, begin, end)
    assert len(found) > 20
    for hours in range(0, 40 * 24, 7):
        at = NOW + dt.timedelta(hours=hours)
        assert people_on_call([schedule.pk], at)[schedule.pk] == rules.on_call_at(spoken, at)


def test_a_rotation_written_anew_replaces_the_old_one(
    house: House, schedule: OnCallSchedule, people: list[Contact]
) -> None:
    piet, aisha, _ = people
    row = save_rotation(schedule=schedule, turns=turns((piet,), (aisha,)), actor=house.lead)
    save_rotation(schedule=schedule, turns=turns((aisha,), name="Other"), actor=house.lead, rotation=row)
    assert people_on_call([schedule.pk], NOW) == {schedule.pk: (aisha.pk,)}
    assert schedule.rotations.get().name == "Other"
    remove_rotation(rotation=row, actor=house.lead)
    assert people_on_call([schedule.pk], NOW) == {schedule.pk: ()}


def test_a_schedule_that_is_switched_off_has_nobody_on_call(
    house: House, schedule: OnCallSchedule, people: list[Contact]
) -> None:
    save_rotation(schedule=schedule, turns=turns((people[0],)), actor=house.lead)
    change_schedule(
        schedule=schedule, name="Network", time_zone="Asia/Tokyo", actor=house.lead, is_active=False
    )
    assert people_on_call([schedule.pk], NOW) == {schedule.pk: ()}
    # In another zone handoffs fall on its wall clock.
    change_schedule(schedule=schedule, name="Network", time_zone="Asia/Tokyo", actor=house.lead)
    loaded = load_schedules([schedule.pk], NOW, NOW + DAY)[schedule.pk]
    assert loaded.rotations[0].handoff(0) == dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"unit": "yearly"}, "unit"),
        ({"length": 0}, "length"),
        ({"ends_on": dt.date(2026, 3, 2)}, "ends_on"),
        ({"groups": ()}, "groups"),
        ({"groups": ((),)}, "groups"),
        ({"windows": (Window(dt.time(9), dt.time(10), frozenset()),)}, "windows"),
    ],
)
def test_a_rotation_that_says_nothing_is_refused_at_the_field(
    house: House, schedule: OnCallSchedule, people: list[Contact], change: dict[str, Any], field: str
) -> None:
    values: dict[str, Any] = {"groups": ((people[0],),)} | change
    with pytest.raises(Refused) as refused:
        save_rotation(
            schedule=schedule,
            turns=turns(*values.pop("groups"), **values),
            actor=house.lead,
        )
    assert refused.value.field == field
    assert refused.value.mend
    assert not schedule.rotations.exists()


def test_nobody_stands_twice_in_a_turn_and_only_people_take_turns(
    house: House, schedule: OnCallSchedule, people: list[Contact]
) -> None:
    room = Contact.objects.create(name="Duty room", kind=Contact.Kind.ROOM)
    for group in ((people[0], people[0]), (room,)):
        with pytest.raises(Refused) as refused:
            save_rotation(schedule=schedule, turns=turns(group), actor=house.lead)
        assert refused.value.field == "groups"


def test_agents_take_shifts_themselves_and_leads_put_anybody_on_call(
    house: House, schedule: OnCallSchedule, people: list[Contact]
) -> None:
    piet, aisha, _ = people
    span = {"starts_at": NOW - DAY, "ends_at": NOW + DAY, "now": NOW, "schedule": schedule}
    with pytest.raises(NotAllowed):
        add_override(kind="add", contact=aisha, actor=house.agent, **span)
    with pytest.raises(NotAllowed):
        add_override(kind="remove", replaces=aisha, actor=house.agent, **span)
    with pytest.raises(NotAllowed):
        add_override(kind="instead", contact=piet, actor=house.agent, **span)
    taken = add_override(kind="replace", contact=piet, replaces=aisha, actor=house.agent, **span)
    with pytest.raises(NotAllowed):
        remove_override(override=taken, actor=house.second, now=NOW)
    # Taken back, what has begun ends now: the past stays as it was.
    remove_override(override=taken, actor=house.agent, now=NOW)
    assert OnCallOverride.objects.get().ends_at == NOW
    with pytest.raises(NotAllowed):
        add_time_off(contact=aisha, starts_at=NOW, ends_at=NOW + DAY, actor=house.agent, now=NOW)
    away = add_time_off(contact=aisha, starts_at=NOW, ends_at=NOW + DAY, actor=house.lead, now=NOW)
    remove_time_off(time_off=away, actor=house.second, now=NOW)
    assert not TimeOff.objects.exists()


def test_a_feed_is_made_once_and_renewed_by_its_owner_alone(house: House, schedule: OnCallSchedule) -> None:
    mine = feed_of(user=house.agent, schedule=None)
    assert feed_of(user=house.agent, schedule=None) == mine
    assert feed_of(user=house.agent, schedule=schedule) != mine
    nonce = mine.nonce
    with pytest.raises(NotAllowed):
        renew_feed(feed=mine, actor=house.second)
    assert renew_feed(feed=mine, actor=house.agent).nonce != nonce


def test_outside_of_the_hours_to_cover_nobody_is_no_gap(
    house: House, schedule: OnCallSchedule, people: list[Contact]
) -> None:
    # Given Piet from seven to twelve on weekdays, where nine to five is to be covered
    week = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    office = publish_calendar(
        calendar_id=None,
        name="Office",
        hours=parse({"tz": "Europe/Berlin", "week": week}),
        actor_name="Ada",
        now=NOW,
    ).calendar
    mornings = Window(dt.time(7), dt.time(12), frozenset(range(5)))
    save_rotation(schedule=schedule, turns=turns((people[0],), windows=(mornings,)), actor=None)
    change_schedule(
        schedule=schedule, name="Desk", time_zone="Europe/Berlin", covers=office, actor=house.lead
    )

    # When: from Friday at noon on, over the change of the clocks, until Monday evening
    friday = dt.datetime(2026, 3, 27, 12, tzinfo=BERLIN)
    (roster,) = load_rosters(friday, friday + 4 * DAY, [schedule.pk])
    found = [
        (begin.astimezone(BERLIN), end.astimezone(BERLIN))
        for begin, end in roster.gaps(friday, friday + 4 * DAY)
    ]

    # Then
    def wall(day: int, hour: int) -> dt.datetime:
        return dt.datetime(2026, 3, day, hour, tzinfo=BERLIN)

    assert found == [(wall(27, 12), wall(27, 17)), (wall(30, 12), wall(30, 17))]
