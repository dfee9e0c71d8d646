"""The on-call pages through the test client: who may look, what they show, and what their forms do."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from core.db import database_now
from notifications.models import Contact, OnCallOverride, OnCallSchedule, Rotation, TimeOff
from notifications.operations import add_override, add_time_off, create_schedule
from notifications.queries.oncall import people_on_call
from tests.house import House
from tests.web.desk.conftest import As, text_of
from tests.web.oncall.world import DAY, ZONE, network_schedule, next_monday, person, wall

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def schedule(house: House) -> OnCallSchedule:
    return network_schedule(house)


def on_call(schedule: OnCallSchedule, at: dt.datetime) -> list[str]:
    names = Contact.objects.in_bulk(people_on_call([schedule.pk], at)[schedule.pk])
    return [contact.name for contact in names.values()]


# --- who may look -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "agents"),
    [
        ("/oncall/", 200),
        ("/oncall/{pk}/", 200),
        ("/oncall/{pk}/?month=2026-02", 200),
        ("/oncall/{pk}/?month=9999-99", 200),
        ("/oncall/{pk}/override/", 200),
        ("/oncall/{pk}/override/?day=nonsense", 200),
        ("/oncall/time-off/", 200),
        ("/oncall/new/", 403),
        ("/oncall/{pk}/edit/", 403),
        ("/oncall/{pk}/rotations/new/", 403),
        ("/oncall/{pk}/rotations/{rotation}/", 403),
        ("/oncall/999999/", 404),
    ],
)
def test_pages_are_for_those_who_work_tickets_and_rotations_for_leads(
    house: House, schedule: OnCallSchedule, signed_in_as: As, page: str, agents: int
) -> None:
    path = page.format(pk=schedule.pk, rotation=schedule.rotations.get().pk)
    assert Client().get(path)["Location"].startswith("/sign-in/")
    assert signed_in_as(house.requester).get(path).status_code == 403
    assert signed_in_as(house.agent).get(path).status_code == agents
    assert signed_in_as(house.lead).get(path).status_code == (404 if agents == 404 else 200)


def test_everybody_who_works_tickets_finds_the_way_there(house: House, signed_in_as: As) -> None:
    assert '<a href="/oncall/"' in text_of(signed_in_as(house.agent).get("/queue/"))
    assert "/oncall/" not in text_of(signed_in_as(house.requester).get("/portal/"))


# --- now and next -----------------------------------------------------------------------------------------------------


def test_without_a_schedule_the_page_says_what_to_do(house: House, signed_in_as: As) -> None:
    page = text_of(signed_in_as(house.lead).get("/oncall/"))
    assert "No on-call schedule yet" in page
    assert 'href="/oncall/new/">Make the first schedule' in page
    assert "A lead can make the first one." in text_of(signed_in_as(house.agent).get("/oncall/"))


def test_the_overview_names_who_is_on_call_and_who_comes_next_per_tier(
    house: House, signed_in_as: As, django_assert_max_num_queries: Any
) -> None:
    network_schedule(house, windows=())
    top = create_schedule(name="Crisis", time_zone="UTC", team=house.board, actor=house.lead)
    now = database_now()
    add_override(
        schedule=top,
        kind="add",
        contact=person(house.manager),
        starts_at=now - DAY,
        ends_at=now + 2 * DAY,
        actor=house.lead,
        now=now,
    )
    client = signed_in_as(house.second)
    with django_assert_max_num_queries(10):
        page = text_of(client.get("/oncall/"))
    assert page.index("Management</h2>") < page.index("L2</h2>")
    assert "<b>Ilse Test</b>" in page
    assert "then <b>nobody</b>" in page
    assert "then Tomas Test, until" in page or "then Aisha Test, until" in page
    # Aisha takes every other week.
    assert "None within 90 days" not in page
    assert "None within 90 days" in text_of(signed_in_as(house.agent).get("/oncall/"))


def test_a_gap_now_is_shouted(house: House, signed_in_as: As) -> None:
    now = database_now()
    schedule = network_schedule(house, windows=())
    for user in (house.second, house.third):
        add_time_off(contact=person(user), starts_at=now - DAY, ends_at=now + DAY, actor=house.lead, now=now)
    create_schedule(name="Empty", time_zone="UTC", actor=house.lead)
    page = text_of(signed_in_as(house.agent).get("/oncall/"))
    assert "<b>Nobody is on call for Network on call</b> until" in page
    assert "<b>Nobody is on call for Empty</b>: it has no rotation yet" in page
    assert "Nobody is on call now" in text_of(signed_in_as(house.agent).get(f"/oncall/{schedule.pk}/"))


def test_who_cannot_be_told_is_said(house: House, signed_in_as: As) -> None:
    network_schedule(house, windows=())
    Contact.objects.filter(user=house.second).get().methods.all().delete()
    Contact.objects.filter(user=house.third).update(is_active=False)
    page = text_of(signed_in_as(house.agent).get("/oncall/"))
    assert "no contact method" in page or "switched off" in page


# --- the month --------------------------------------------------------------------------------------------------------


def test_the_month_names_the_people_of_each_day_and_the_gaps_exactly(
    house: House, schedule: OnCallSchedule, signed_in_as: As, django_assert_max_num_queries: Any
) -> None:
    client = signed_in_as(house.agent)
    with django_assert_max_num_queries(18):
        page = text_of(client.get(f"/oncall/{schedule.pk}/"))
    today = database_now().astimezone(ZONE)
    assert 'aria-current="date"' in page
    assert f">{today:%B %Y}</h2>" in page
    assert page.count('<th scope="col">') == 7
    assert "Aisha Test" in page
    sunday = today.date() + (6 - today.weekday()) * DAY if today.weekday() < 6 else today.date() + 7 * DAY
    monday = sunday + DAY
    said = (
        f"Sun {sunday.day} {sunday:%b} {sunday.year} 00:00 – Mon {monday.day} {monday:%b} {monday.year} 00:00"
    )
    assert f'<b>Nobody</b> <span class="muted">{said}</span>' in page
    assert "Hands over every week on Mondays at 09:00" in page
    assert "Mon–Sat all day" in page


def test_a_month_over_which_the_clocks_change_has_all_its_days(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    for month, days in (("2027-03", 35), ("2026-10", 35), ("2027-02", 28)):
        page = text_of(signed_in_as(house.agent).get(f"/oncall/{schedule.pk}/?month={month}"))
        assert page.count('class="oc-day"') == days
        # Each day is filled: 24 hours of it, give or take one that is too short to be drawn.
        assert page.count("?month=") >= 2


# --- overrides --------------------------------------------------------------------------------------------------------


def override_form(schedule: OnCallSchedule, **more: Any) -> dict[str, Any]:
    start = next_monday()
    return {"kind": "replace", "starts_at": wall(start), "ends_at": wall(start + 6 * HOUR), **more}


def replaced(schedule: OnCallSchedule) -> Contact:
    return Contact.objects.get(pk=people_on_call([schedule.pk], next_monday())[schedule.pk][0])


def test_an_override_is_looked_at_before_it_is_made(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    old, me = replaced(schedule), person(house.agent)
    asked = override_form(schedule, contact=me.pk, replaces=old.pk)
    client = signed_in_as(house.agent)

    # When: a shift is taken by its link, which shows what changes and changes nothing
    page = text_of(client.get(f"/oncall/{schedule.pk}/override/", asked))
    assert f"<td>{old.name}</td><td><b>Piet Test</b></td>" in page
    looked = text_of(client.post(f"/oncall/{schedule.pk}/override/", {**asked, "look": "1"}))
    assert f"<td>{old.name}</td><td><b>Piet Test</b></td>" in looked
    assert not OnCallOverride.objects.exists()

    # Then
    saved = client.post(f"/oncall/{schedule.pk}/override/", {**asked, "save": "1"})
    assert saved.status_code == 302
    assert on_call(schedule, next_monday()) == ["Piet Test"]
    assert on_call(schedule, next_monday() + 7 * HOUR) == [old.name]
    page = text_of(client.get(f"/oncall/{schedule.pk}/"))
    assert f"Piet Test takes over from {old.name}" in page
    row = OnCallOverride.objects.get()
    assert signed_in_as(house.second).post(f"/oncall/override/{row.pk}/remove/").status_code == 302
    assert OnCallOverride.objects.exists()
    client.post(f"/oncall/override/{row.pk}/remove/")
    assert not OnCallOverride.objects.exists()


def test_the_same_form_sent_twice_makes_one_override(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    asked = override_form(schedule, contact=person(house.agent).pk, replaces=replaced(schedule).pk)
    for _ in range(2):
        signed_in_as(house.agent).post(
            f"/oncall/{schedule.pk}/override/", {**asked, "save": "1", "form_token": "once"}
        )
    assert OnCallOverride.objects.count() == 1


def test_what_changes_nothing_says_so(house: House, schedule: OnCallSchedule, signed_in_as: As) -> None:
    other = house.third if replaced(schedule).user_id == house.second.pk else house.second
    asked = override_form(schedule, contact=person(house.agent).pk, replaces=person(other).pk)
    assert "<b>Nothing.</b>" in text_of(
        signed_in_as(house.agent).get(f"/oncall/{schedule.pk}/override/", asked)
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replaces": ""}, "Who is taken off? Choose a person."),
        ({"ends_at": "2026-02-30T10:00"}, "“2026-02-30T10:00” is no date and time. Write 2026-03-09 17:00."),
        ({"ends_at": "2020-01-01T10:00"}, "It ends before it has begun."),
        ({"ends_at": "2150-01-01T10:00"}, "It lasts longer than a year."),
        ({"kind": "instead"}, "Select a valid choice. instead is not one of the available choices."),
        ({"contact": "999999"}, "Select a valid choice."),
    ],
)
@pytest.mark.parametrize("button", ["look", "save"])
def test_what_is_wrong_with_an_override_is_said_beside_the_field(
    house: House, schedule: OnCallSchedule, signed_in_as: As, change: dict[str, Any], said: str, button: str
) -> None:
    asked = override_form(schedule, contact=person(house.agent).pk, replaces=replaced(schedule).pk) | change
    answer = signed_in_as(house.agent).post(f"/oncall/{schedule.pk}/override/", {**asked, button: "1"})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not OnCallOverride.objects.exists()


def test_an_agent_puts_nobody_else_on_call(house: House, schedule: OnCallSchedule, signed_in_as: As) -> None:
    asked = override_form(schedule, contact=person(house.second).pk, replaces=replaced(schedule).pk, save="1")
    assert signed_in_as(house.agent).post(f"/oncall/{schedule.pk}/override/", asked).status_code == 422
    alone = override_form(schedule, kind="instead", contact=person(house.agent).pk, save="1")
    assert signed_in_as(house.lead).post(f"/oncall/{schedule.pk}/override/", alone).status_code == 302
    assert on_call(schedule, next_monday()) == ["Piet Test"]


# --- time off ---------------------------------------------------------------------------------------------------------


def test_time_off_shows_what_it_changes_on_every_schedule(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    old = replaced(schedule)
    user = User.objects.get(pk=old.user_id)
    start = next_monday()
    asked = {
        "contact": old.pk,
        "starts_at": f"{start.astimezone(dt.UTC):%Y-%m-%dT%H:%M}",
        "ends_at": f"{start.astimezone(dt.UTC) + DAY:%Y-%m-%dT%H:%M}",
        "substitute": person(house.agent).pk,
    }
    client = signed_in_as(user)
    looked = text_of(client.post("/oncall/time-off/", {**asked, "look": "1"}))
    assert "<h3>Network on call</h3>" in looked
    assert f"<td>{old.name}</td><td><b>Piet Test</b></td>" in looked
    assert not TimeOff.objects.exists()
    assert client.post("/oncall/time-off/", {**asked, "save": "1"}).status_code == 302
    assert on_call(schedule, start + HOUR) == ["Piet Test"]
    assert f"{old.name} is away" in text_of(client.get(f"/oncall/{schedule.pk}/"))
    # Nobody's but theirs, or a lead's.
    other = {**asked, "contact": person(house.agent).pk, "substitute": "", "save": "1"}
    assert client.post("/oncall/time-off/", other).status_code == 422
    row = TimeOff.objects.get()
    signed_in_as(house.agent).post(f"/oncall/time-off/{row.pk}/remove/")
    assert TimeOff.objects.exists()
    client.post(f"/oncall/time-off/{row.pk}/remove/")
    assert not TimeOff.objects.exists()


# --- schedules and rotations ------------------------------------------------------------------------------------------


def rotation_form(
    *turns: tuple[int, Any], windows: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "Days",
        "length": 1,
        "unit": "daily",
        "handoff_time": "08:00",
        "starts_on": "2026-01-05",
        "level": 2,
        "turn-TOTAL_FORMS": len(turns) + 1,
        "turn-INITIAL_FORMS": 0,
        "window-TOTAL_FORMS": len(windows or []) + 1,
        "window-INITIAL_FORMS": 0,
    }
    for place, (position, contact) in enumerate(turns):
        values |= {f"turn-{place}-position": position, f"turn-{place}-contact": contact}
    for place, window in enumerate(windows or []):
        values |= {f"window-{place}-{name}": value for name, value in window.items()}
    return values | more


def test_a_lead_makes_a_schedule_and_its_rotation(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.lead)
    answer = client.post("/oncall/new/", {"name": "Core", "time_zone": "Europe/Nowhere"})
    assert answer.status_code == 422
    assert "Europe/Nowhere" in text_of(answer)
    answer = client.post(
        "/oncall/new/", {"name": "Core", "time_zone": "Europe/Berlin", "team": house.core.pk}
    )
    schedule = OnCallSchedule.objects.get(name="Core")
    assert answer["Location"] == f"/oncall/{schedule.pk}/rotations/new/"
    weekdays = [{"days": [0, 1, 2, 3, 4], "start": "08:00", "end": "18:00"}]
    two = (person(house.second).pk, person(house.third).pk)
    asked = rotation_form((2, two[0]), (1, two[1]), (2, person(house.agent).pk), windows=weekdays)

    # When: looked at, nothing is written
    page = text_of(client.post(answer["Location"], {**asked, "look": "1"}))
    assert page.count("<td>Tomas Test</td>") == 4
    assert page.count("<td>Aisha Test and Piet Test</td>") == 4
    assert not Rotation.objects.exists()

    # Then
    assert client.post(answer["Location"], {**asked, "save": "1"}).status_code == 302
    rotation = Rotation.objects.get()
    assert (rotation.level, rotation.windows.get().days) == (2, [0, 1, 2, 3, 4])
    page = text_of(client.get(f"/oncall/{schedule.pk}/"))
    assert "Hands over every day at 08:00, from 5 Jan 2026 on. Mon–Fri 08:00–18:00." in page
    assert "<li>Tomas Test</li><li>Aisha Test and Piet Test</li>" in page
    edit = f"/oncall/{schedule.pk}/rotations/{rotation.pk}/"
    assert page.count(edit) == 1
    assert f'<option value="{two[1]}" selected>Tomas Test</option>' in text_of(client.get(edit))
    assert client.post(f"{edit}remove/").status_code == 302
    assert not Rotation.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"turn-0-contact": ""}, "Nobody takes a turn. Name at least one person."),
        ({"window-0-days": [1]}, "A window needs days, a beginning and an end. Fill in all three, or none."),
        ({"length": 0}, "greater than or equal to 1"),
        ({"ends_on": "2026-01-05"}, "The rotation ends before it has begun."),
        ({"name": "Weeks"}, "has a rotation “Weeks” already."),
    ],
)
def test_what_is_wrong_with_a_rotation_is_said(
    house: House, schedule: OnCallSchedule, signed_in_as: As, change: dict[str, Any], said: str
) -> None:
    asked = rotation_form((1, person(house.second).pk), save="1") | change
    answer = signed_in_as(house.lead).post(f"/oncall/{schedule.pk}/rotations/new/", asked)
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert schedule.rotations.count() == 1


def test_a_schedule_is_renamed_and_switched_off(
    house: House, schedule: OnCallSchedule, signed_in_as: As
) -> None:
    client = signed_in_as(house.lead)
    answer = client.post(f"/oncall/{schedule.pk}/edit/", {"name": "Old", "time_zone": "Asia/Tokyo"})
    assert answer.status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.time_zone, schedule.is_active) == ("Old", "Asia/Tokyo", False)
    assert "Switched off." in text_of(client.get(f"/oncall/{schedule.pk}/"))
    assert "Switched off: <a" in text_of(client.get("/oncall/")) or "No on-call schedule yet" in text_of(
        client.get("/oncall/")
    )
