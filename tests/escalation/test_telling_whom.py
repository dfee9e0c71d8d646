"""Whom a contact list means at the moment of telling: whoever is on call, at this hour, and not quiet (DESIGN 3)."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from calendars.models import Calendar
from calendars.operations import publish_calendar
from calendars.rules import parse
from core.errors import NotAllowed
from escalation.engine import tick
from escalation.explaining import explain_ticket
from escalation.operations import acknowledge
from notifications.models import Contact, ContactList, ContactListEntry, Notification, OnCallOverride
from notifications.operations import (
    Turns,
    add_override,
    add_time_off,
    contacts_for,
    create_contact,
    create_schedule,
    save_rotation,
)
from notifications.queries import resolve_lists
from tests.escalation.looking import at_l2, fresh, tellings
from tests.house import HOUR, MIN, House, build_house, republish, steps_for

# A Wednesday at noon.
NOON = dt.datetime(2026, 7, 15, 12, tzinfo=dt.UTC)
NIGHT = NOON + 12 * HOUR


@pytest.fixture
def house(db: None) -> House:
    return build_house(now=NOON)


def people(*names: str) -> list[Contact]:
    return [create_contact(name=name, email=f"{name.lower()}@example.org") for name in names]


def on_call_list(house: House, *groups: list[Contact], hours: int = 1) -> Contact:
    """Let the step L2 tell whoever is on call: the groups take turns by the hour since the house stands."""
    schedule = create_schedule(name="Network", time_zone="UTC", actor=house.lead, team=house.network)
    turns = Turns(
        name="Primary",
        groups=groups,
        unit="hourly",
        length=hours,
        starts_on=NOON.date(),
        handoff_time=NOON.time(),
    )
    save_rotation(schedule=schedule, turns=turns, actor=house.lead)
    role = Contact.objects.create(name="Network on call", kind=Contact.Kind.ON_CALL, schedule=schedule)
    house.lists[2].entries.all().delete()
    ContactListEntry.objects.create(contact_list=house.lists[2], contact=role, when_to_reach_out="By night")
    return role


def told(ticket: object) -> list[tuple[int, str]]:
    return [(row[1], row[2]) for row in tellings(ticket)]  # type: ignore[arg-type]


# --- on call --------------------------------------------------------------------------------------------------------


def test_whoever_is_on_call_at_the_moment_of_telling_is_told(house: House) -> None:
    # Given a handoff between round one and round two
    ann, ben = people("Ann", "Ben")
    on_call_list(house, [ann], [ben])
    house.now = NOON + 27 * MIN

    # When
    ticket = at_l2(house)
    tick(now=NOON + 61 * MIN)

    # Then
    assert told(ticket) == [(1, "ann@example.org"), (2, "ben@example.org")]
    first, second = Notification.objects.filter(ticket=ticket, round__isnull=False).order_by("pk")
    assert first.contact == ann
    assert second.context["instructions"] == "By night"


def test_all_who_are_on_call_together_are_told(house: House) -> None:
    ann, ben = people("Ann", "Ben")
    on_call_list(house, [ann, ben])

    ticket = at_l2(house)

    assert told(ticket) == [(1, "ann@example.org"), (1, "ben@example.org")]


def test_an_override_made_a_minute_ago_counts(house: House) -> None:
    ann, ben = people("Ann", "Ben")
    role = on_call_list(house, [ann])
    assert role.schedule is not None
    add_override(
        schedule=role.schedule,
        kind=OnCallOverride.Kind.REPLACE,
        starts_at=NOON,
        ends_at=NOON + HOUR,
        contact=ben,
        replaces=ann,
        actor=house.lead,
        now=NOON,
    )

    ticket = at_l2(house)

    assert told(ticket) == [(1, "ben@example.org")]


def test_somebody_away_is_not_told_and_the_substitute_is(house: House) -> None:
    ann, ben = people("Ann", "Ben")
    on_call_list(house, [ann])
    add_time_off(
        contact=ann, starts_at=NOON, ends_at=NOON + 5 * HOUR, substitute=ben, actor=house.lead, now=NOON
    )

    ticket = at_l2(house)

    assert told(ticket) == [(1, "ben@example.org")]


def test_whoever_is_on_call_acknowledges_before_they_are_told_and_others_do_not(house: House) -> None:
    # Given a step that tells Ben first, and the role of whoever is on call after him: Olaf, who is in no team of it
    (ben,) = people("Ben")
    olaf, ada = house.outsider, house.agent
    contacts = contacts_for([olaf, ada])
    on_call_list(house, [contacts[olaf.pk]])
    ContactListEntry.objects.create(contact_list=house.lists[2], contact=ben, position=0)
    republish(house, steps=steps_for(house, telling="in_turn"))
    ticket = at_l2(house)
    assert told(ticket) == [(1, "ben@example.org")]

    # Then
    with pytest.raises(NotAllowed):
        acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=ada, now=NOON + 31 * MIN)
    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=olaf, now=NOON + 31 * MIN)


def test_a_gap_in_the_schedule_is_nobody_so_the_fallback_is_told(house: House) -> None:
    # Given the only one on call is away, without a substitute
    (ann,) = people("Ann")
    on_call_list(house, [ann])
    add_time_off(contact=ann, starts_at=NOON, ends_at=NOON + 5 * HOUR, actor=house.lead, now=NOON)

    ticket = at_l2(house)

    assert told(ticket) == [(1, "duty@example.org")]
    assert Notification.objects.get(ticket=ticket, round=1).kind == "escalation.fallback"


def test_a_schedule_that_is_switched_off_has_nobody_on_call(house: House) -> None:
    (ann,) = people("Ann")
    role = on_call_list(house, [ann])
    assert role.schedule is not None
    role.schedule.is_active = False
    role.schedule.save()

    ticket = at_l2(house)

    assert told(ticket) == [(1, "duty@example.org")]


def test_resolving_costs_the_same_however_many_schedules_and_people_there_are(house: House) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            resolve_lists([house.lists[2].pk], NOON)
        return len(seen)

    on_call_list(house, people("Ann"), people("Ben"))
    few = queries()
    for number in range(5):
        schedule = create_schedule(name=f"More {number}", time_zone="Europe/Berlin", actor=None)
        turns = Turns(
            name="All",
            groups=[people(f"P{number}x{one}") for one in range(3)],
            unit="weekly",
            starts_on=dt.date(2026, 1, 5),
            handoff_time=dt.time(9),
        )
        save_rotation(schedule=schedule, turns=turns, actor=None)
        role = Contact.objects.create(name=f"Role {number}", kind=Contact.Kind.ON_CALL, schedule=schedule)
        ContactListEntry.objects.create(contact_list=house.lists[2], contact=role, position=number + 2)

    assert queries() == few == 4


# --- business hours ---------------------------------------------------------------------------------------------------


def office(house: House) -> Calendar:
    """Nine to five in UTC, Monday to Friday."""
    week = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    hours = parse({"tz": "UTC", "week": week})
    return publish_calendar(
        calendar_id=None, name="Office", hours=hours, actor_name=house.admin.name, now=NOON
    ).calendar


def day_and_night(house: House) -> None:
    ContactListEntry.objects.filter(contact_list=house.lists[2], contact__name="Aisha Test").update(
        hours=ContactListEntry.Hours.INSIDE
    )
    ContactListEntry.objects.filter(contact_list=house.lists[2], contact__name="Duty L2").update(
        hours=ContactListEntry.Hours.OUTSIDE
    )


@pytest.mark.parametrize(
    ("at", "address"), [(NOON, "aisha@example.org"), (NIGHT, "duty2@example.org")], ids=["day", "night"]
)
def test_an_entry_is_told_inside_or_outside_the_lists_business_hours(
    house: House, at: dt.datetime, address: str
) -> None:
    day_and_night(house)
    ContactList.objects.filter(pk=house.lists[2].pk).update(calendar=office(house))
    house.now = at

    ticket = at_l2(house)

    assert told(ticket) == [(1, address)]


@pytest.mark.parametrize(
    ("at", "address"), [(NOON, "aisha@example.org"), (NIGHT, "duty2@example.org")], ids=["day", "night"]
)
def test_a_list_without_hours_of_its_own_goes_by_those_of_the_step_even_for_sev1(
    house: House, at: dt.datetime, address: str
) -> None:
    # Given SEV1 counts round the clock; its step is open from nine to five
    day_and_night(house)
    republish(house, steps=steps_for(house, calendar_id=office(house).pk))
    house.now = at

    ticket = at_l2(house, severity=1)

    assert told(ticket) == [(1, address)]


def test_when_no_entry_holds_at_this_hour_the_fallback_is_told(house: House) -> None:
    house.lists[2].entries.update(hours=ContactListEntry.Hours.OUTSIDE)
    ContactList.objects.filter(pk=house.lists[2].pk).update(calendar=office(house))

    ticket = at_l2(house)

    assert told(ticket) == [(1, "duty@example.org")]


# --- quiet hours ------------------------------------------------------------------------------------------------------


def quiet(name: str, begins: int, ends: int, zone: str = "UTC") -> None:
    Contact.objects.filter(name=name).update(
        quiet_from=dt.time(begins), quiet_until=dt.time(ends), time_zone=zone
    )


def in_office_hours(house: House) -> None:
    republish(house, calendar_id=office(house).pk, steps=steps_for(house))


def test_somebody_quiet_is_passed_over_and_the_next_one_told_now(house: House) -> None:
    # Given a step that counts in office hours, and tells one after another
    republish(house, calendar_id=office(house).pk, steps=steps_for(house, telling="in_turn"))
    quiet("Aisha Test", 11, 13)

    ticket = at_l2(house)

    assert told(ticket) == [(1, "duty2@example.org")]


def test_quiet_is_on_the_contacts_own_wall_clock(house: House) -> None:
    in_office_hours(house)
    # Noon in UTC is 21:00 in Tokyo.
    quiet("Aisha Test", 21, 8, zone="Asia/Tokyo")

    ticket = at_l2(house)

    assert told(ticket) == [(1, "duty2@example.org")]


def test_quiet_hours_silence_nobody_where_the_step_counts_round_the_clock(house: House) -> None:
    quiet("Aisha Test", 11, 13)

    ticket = at_l2(house)

    assert told(ticket) == [(1, "aisha@example.org"), (1, "duty2@example.org")]


def test_quiet_hours_silence_nobody_for_a_sev1(house: House) -> None:
    in_office_hours(house)
    quiet("Aisha Test", 11, 13)

    ticket = at_l2(house, severity=1)

    assert (1, "aisha@example.org") in told(ticket)


def test_quiet_hours_never_silence_people_on_call(house: House) -> None:
    in_office_hours(house)
    (ann,) = people("Ann")
    on_call_list(house, [ann])
    quiet("Ann", 0, 0)

    ticket = at_l2(house)

    assert told(ticket) == [(1, "ann@example.org")]


def test_where_all_are_quiet_they_are_told_when_that_ends_and_not_the_fallback(house: House) -> None:
    in_office_hours(house)
    quiet("Aisha Test", 11, 13)
    quiet("Duty L2", 11, 14)

    ticket = at_l2(house)

    rows = Notification.objects.filter(ticket=ticket, round=1).order_by("due_at")
    assert [(row.address, row.due_at) for row in rows] == [
        ("aisha@example.org", NOON + HOUR),
        ("duty2@example.org", NOON + 2 * HOUR),
    ]


def test_why_this_deadline_names_whoever_is_on_call_and_awake(house: House) -> None:
    republish(house, calendar_id=office(house).pk, steps=steps_for(house, telling="in_turn"))
    quiet("Aisha Test", 11, 13)

    ticket = at_l2(house)

    explained = explain_ticket(fresh(ticket), now=NOON + 31 * MIN)
    assert explained is not None
    assert any("Duty L2" in line.then for line in explained.clocks)
    assert not any("Aisha" in line.then for line in explained.clocks)


def test_a_day_off_every_week_is_quiet_from_midnight_to_midnight_in_their_zone(house: House) -> None:
    in_office_hours(house)
    wednesday = NOON.astimezone(ZoneInfo("Europe/Berlin")).weekday()
    Contact.objects.filter(name="Aisha Test").update(quiet_days=[wednesday], time_zone="Europe/Berlin")

    ticket = at_l2(house)

    assert told(ticket) == [(1, "duty2@example.org")]
