"""The page of a path, without a browser: what is posted is what is published, and nothing typed is lost."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from core.db import database_now
from escalation.models import Clock, EscalationPath, PathVersion, Standing
from escalation.operations.publishing import spec_of
from notifications.models import ContactMethod
from tests.admin.conftest import House, minutes, signed_in
from tests.admin.pages import Fields, invalid_fields, read_form
from tickets.operations import Draft, open_ticket

LIST = "/admin/escalation/escalationpath/"
FORM = "path-form"


def address(path: EscalationPath) -> str:
    return f"{LIST}{path.pk}/change/"


def form_of(client: Client, path: EscalationPath) -> Fields:
    return read_form(client.get(address(path)), FORM)


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_saving_the_page_untouched_changes_nothing(house: House, admin: Client) -> None:
    before = spec_of(house.path)
    answer = admin.post(address(house.path), form_of(admin, house.path), follow=True)
    assert told(answer) == ["Saved. The path says what it said, so version 1 stays."]
    house.path.refresh_from_db()
    assert spec_of(house.path) == before


def test_every_kind_of_content_survives_the_way_through_the_page(house: House, admin: Client) -> None:
    first, second = house.spec().steps
    full = replace(
        second,
        contact_list_ids=(house.second_list.pk, house.first_list.pk),
        telling="in_turn",
        mode="involves",
        calendar_id=house.calendar.pk,
        skip_when={"severities": [4], "vip": False, "tags": ["old"]},
        targets={1: (minutes(1.5), None), 3: (None, minutes(60 * 24 * 9))},
    )
    house.publish(
        house.path.pk,
        steps=(first, full),
        conditions={
            "severities": [1, 2],
            "criticalities": [1],
            "impacts": [1, 2],
            "complexities": [3],
            "sources": ["email", "monitoring"],
            "services": [house.service.pk],
            "categories": [house.category.pk],
            "organisations": [house.organisation.pk],
            "vip": True,
            "tags": ["core", "vpn"],
        },
        hold_pauses=True,
        sev1_round_the_clock=False,
    )
    house.path.refresh_from_db()
    before = spec_of(house.path)
    admin.post(address(house.path), form_of(admin, house.path))
    house.path.refresh_from_db()
    assert spec_of(house.path) == before
    assert PathVersion.objects.filter(path=house.path).count() == 2


def test_the_matrix_is_written_cell_by_cell(house: House, admin: Client) -> None:
    form = form_of(admin, house.path)
    form |= {
        "steps-0-ack_1": ["90s"],
        "steps-0-work_1": ["1h 30min"],
        "steps-1-ack_4": [""],
        "steps-1-work_4": ["2d"],
        "promise-2-update_every": ["45"],
    }
    answer = admin.post(address(house.path), form, follow=True)
    assert told(answer) == ["Version 2 is in force. No open ticket runs by an older one."]
    house.path.refresh_from_db()
    spec = spec_of(house.path)
    assert spec.steps[0].targets[1] == (minutes(1.5), minutes(90))
    assert spec.steps[1].targets[4] == (None, minutes(2 * 24 * 60))
    assert spec.promises[2].update_every == minutes(45)
    page = answer.content.decode()
    assert "“Network”, SEV4 acknowledge within: 40 min → none" in page
    assert "SEV2, update every: none → 45 min" in page


def test_tickets_under_way_are_left_alone_and_counted_in_the_message(house: House, admin: Client) -> None:
    draft = Draft(requester=house.requester, subject="VPN drops", service=house.service, impact=1, urgency=1)
    ticket = open_ticket(draft=draft, actor=house.agent, now=database_now())
    standing = Standing.objects.filter(ticket=ticket).values().get()
    clocks = list(Clock.objects.filter(ticket=ticket).order_by("pk").values())
    form = form_of(admin, house.path) | {"steps-0-work_1": ["1min"]}
    answer = admin.post(address(house.path), form, follow=True)
    offer = f'<a href="/admin/escalation/recomputejob/path/{house.path.pk}/">Apply version 2 to it…</a>'
    said = "Version 2 is in force. 1 open ticket keeps running by its version."
    assert told(answer)[0] == f"{said} {offer}"
    assert Standing.objects.filter(ticket=ticket).values().get() == standing
    assert list(Clock.objects.filter(ticket=ticket).order_by("pk").values()) == clocks


def test_what_was_typed_stays_and_the_cell_is_named(house: House, admin: Client) -> None:
    form = form_of(admin, house.path) | {
        "steps-1-work_2": ["soon"],
        "promise-1-resolution": ["99999999999d"],
        "description": ["My long thought"],
    }
    answer = admin.post(address(house.path), form)
    page = answer.content.decode()
    assert sorted(invalid_fields(answer, FORM)) == ["promise-1-resolution", "steps-1-work_2"]
    assert "Step 2 “Network”, SEV2, work within" in page
    assert "“soon” is no duration. Write it like 45 min, 1 h 30 min or 2 d." in page
    again = read_form(answer, FORM)
    assert again["steps-1-work_2"] == ["soon"]
    assert again["description"] == ["My long thought"]
    assert PathVersion.objects.filter(path=house.path).count() == 1


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"steps-1-tier": ["1"], "steps-0-tier": ["3"]}, "steps-1-tier", "tiers never fall along a path"),
        ({"steps-0-ack_3": ["0min"]}, "steps-0-ack_3", "Step 1 “Service desk”, SEV3"),
        ({"steps-0-ack_3": ["-5min"]}, "steps-0-ack_3", "is no duration"),
        ({"steps-0-wait": ["0s"]}, "steps-0-wait", "longer than nothing"),
        ({"fallback_contact_id": [""]}, "fallback_contact_id", "required"),
        ({"warn_percent": ["100"]}, "warn_percent", "99"),
        ({"steps-0-name": ["  "]}, "steps-0-name", "required"),
    ],
)
def test_a_refusal_stands_beside_its_field(
    house: House, admin: Client, typed: Fields, field: str, words: str
) -> None:
    answer = admin.post(address(house.path), form_of(admin, house.path) | typed)
    assert invalid_fields(answer, FORM) == [field]
    assert words in answer.content.decode()


def test_a_contact_list_named_twice_is_refused_at_its_step(house: House, admin: Client) -> None:
    pk = str(house.first_list.pk)
    answer = admin.post(address(house.path), form_of(admin, house.path) | {"steps-1-list_1": [pk]})
    assert invalid_fields(answer, FORM) == ["steps-1-list_0"]


def test_a_path_without_steps_is_refused(house: House, admin: Client) -> None:
    form = {key: value for key, value in form_of(admin, house.path).items() if not key.startswith("steps-")}
    answer = admin.post(address(house.path), form | {"steps-TOTAL": ["0"]})
    assert "A path needs at least one step." in answer.content.decode()
    assert PathVersion.objects.filter(path=house.path).count() == 1


def test_steps_are_moved_added_and_removed_without_a_script(house: House, admin: Client) -> None:
    form = form_of(admin, house.path) | {"steps-1-name": ["Core"], "steps-1-work_1": ["not yet a time"]}
    moved = read_form(admin.post(address(house.path), form | {"_do": ["up:1"]}), FORM)
    assert [moved["steps-0-name"], moved["steps-1-name"]] == [["Core"], ["Service desk"]]
    assert moved["steps-0-work_1"] == ["not yet a time"]
    assert moved["steps-0-list_0"] == [str(house.first_list.pk)]
    grown = read_form(admin.post(address(house.path), moved | {"_do": ["add"]}), FORM)
    assert grown["steps-TOTAL"] == ["3"]
    assert grown["steps-2-tier"] == ["2"]
    shrunk = read_form(admin.post(address(house.path), grown | {"_do": ["remove:0"]}), FORM)
    assert shrunk["steps-TOTAL"] == ["2"]
    assert shrunk["steps-0-name"] == ["Service desk"]
    # Nothing of all this is saved, nor judged.
    assert PathVersion.objects.filter(path=house.path).count() == 1


@pytest.mark.parametrize("action", ["up:0", "down:1", "remove:9", "up:x", "dance", "up:-1"])
def test_a_move_that_leads_nowhere_leaves_the_steps_as_they_are(
    house: House, admin: Client, action: str
) -> None:
    form = form_of(admin, house.path)
    after = read_form(admin.post(address(house.path), form | {"_do": [action]}), FORM)
    assert after | {"csrfmiddlewaretoken": form["csrfmiddlewaretoken"]} == form


@pytest.mark.parametrize("total", ["", "-3", "1e9", "999999999999", "²"])
def test_a_forged_number_of_steps_neither_breaks_nor_floods_the_page(
    house: House, admin: Client, total: str
) -> None:
    answer = admin.post(address(house.path), form_of(admin, house.path) | {"steps-TOTAL": [total]})
    assert answer.status_code == 200
    assert PathVersion.objects.filter(path=house.path).count() == 1


def test_a_new_path_starts_with_usual_times_and_is_published(house: House, admin: Client) -> None:
    form = read_form(admin.get(f"{LIST}add/"), FORM) | {
        "name": [f"Workplace {house.mark}"],
        "calendar_id": [str(house.calendar.pk)],
        "fallback_contact_id": [str(house.contacts[0].pk)],
        "steps-0-name": ["Desk"],
        "steps-0-team_id": [str(house.desk.pk)],
        "conditions-tags": ["mouse,  keyboard"],
    }
    answer = admin.post(f"{LIST}add/", form, follow=True)
    path = EscalationPath.objects.get(name=f"Workplace {house.mark}")
    assert answer.redirect_chain[-1][0] == address(path)
    spec = spec_of(path)
    assert spec.conditions == {"tags": ["keyboard", "mouse"]}
    assert spec.steps[0].targets[1] == (minutes(5), minutes(15))
    assert path.current is not None
    assert path.current.created_by == house.admin


def test_a_copy_starts_with_everything_but_the_name_and_the_default(house: House, admin: Client) -> None:
    default = EscalationPath.objects.get(is_default=True)
    form = read_form(admin.get(f"{LIST}add/", {"copy_of": default.pk}), FORM)
    assert form["name"] == [f"{default.name} (copy)"]
    assert "is_default" not in form
    admin.post(f"{LIST}add/", form)
    copy = EscalationPath.objects.get(name=f"{default.name} (copy)")
    assert spec_of(copy).steps == spec_of(default).steps
    default.refresh_from_db()
    assert default.is_default


@pytest.mark.parametrize("source", ["0", "999999999", "x", "²"])
def test_a_copy_of_nothing_is_an_empty_page_or_not_found(house: House, admin: Client, source: str) -> None:
    assert admin.get(f"{LIST}add/", {"copy_of": source}).status_code == (
        404 if source.isascii() and source.isdigit() else 200
    )


def test_the_default_path_can_neither_be_switched_off_nor_stop_being_it(house: House, admin: Client) -> None:
    default = EscalationPath.objects.get(is_default=True)
    form = form_of(admin, default)
    off = admin.post(address(default), {k: v for k, v in form.items() if k != "is_active"})
    assert invalid_fields(off, FORM) == ["is_active"]
    demoted = admin.post(address(default), {k: v for k, v in form.items() if k != "is_default"})
    assert invalid_fields(demoted, FORM) == ["is_default"]
    default.refresh_from_db()
    assert default.is_default
    assert default.is_active


def test_another_path_takes_the_default_over(house: House, admin: Client) -> None:
    default = EscalationPath.objects.get(is_default=True)
    admin.post(address(house.path), form_of(admin, house.path) | {"is_default": ["on"]})
    default.refresh_from_db()
    house.path.refresh_from_db()
    assert (default.is_default, house.path.is_default) == (False, True)


def test_no_path_is_deleted_here(house: House, admin: Client) -> None:
    assert admin.post(f"{LIST}{house.path.pk}/delete/", {"post": "yes"}).status_code == 403
    admin.post(LIST, {"action": "delete_selected", "_selected_action": [house.path.pk], "post": "yes"})
    assert EscalationPath.objects.filter(pk=house.path.pk).exists()


def test_whoever_saves_second_is_warned_keeps_their_input_and_may_then_replace(
    house: House, admin: Client
) -> None:
    mine = form_of(admin, house.path) | {"warn_percent": ["66"]}
    house.publish(house.path.pk, warn_percent=55)
    answer = admin.post(address(house.path), mine)
    page = answer.content.decode()
    assert "Somebody else has saved" in page
    assert "version 2 by Ada Admin" in page
    kept = read_form(answer, FORM)
    assert kept["warn_percent"] == ["66"]
    admin.post(address(house.path), kept)
    house.path.refresh_from_db()
    assert house.path.current is not None
    assert (house.path.current.number, house.path.current.warn_percent) == (3, 66)


def test_the_page_shows_who_would_be_told_and_when_to_reach_out(house: House, admin: Client) -> None:
    page = admin.get(address(house.path)).content.decode()
    assert "Core links down" in page
    assert house.contacts[1].name in page
    assert f"ilse{house.mark}@example.org" in page


def test_the_page_warns_of_gaps_with_the_exact_place(house: House, admin: Client) -> None:
    ContactMethod.objects.filter(contact=house.contacts[1]).update(is_active=False)
    answer = admin.post(
        address(house.path), form_of(admin, house.path) | {"steps-1-work_3": [""]}, follow=True
    )
    page = answer.content.decode()
    assert told(answer)[1] == "3 things about it are worth a look: see below."
    assert "Worth a look (3)" in page
    assert 'href="#id_steps-1-work_3"' in page
    who = house.contacts[1].name
    assert f"{who} on “{house.first_list.name}” can&#x27;t be told: no contact method is switched on." in page
    # Only Ilse is left there, and she is the fallback.
    assert f"reaches only {house.contacts[0].name}, who is the fallback too" in page


def test_people_who_administer_nothing_change_nothing(house: House, admin: Client) -> None:
    form = form_of(admin, house.path) | {"warn_percent": ["11"]}
    for person in (house.agent, house.requester):
        assert signed_in(person).post(address(house.path), form, follow=True).status_code == 403
    assert PathVersion.objects.filter(path=house.path).count() == 1


def test_the_page_costs_the_same_queries_however_long_the_path(
    house: House, admin: Client, django_assert_max_num_queries: Any
) -> None:
    steps = tuple(replace(house.spec().steps[1], name=f"Step {number}") for number in range(10))
    for percent in range(50, 56):
        house.publish(house.path.pk, steps=steps, warn_percent=percent)
    with django_assert_max_num_queries(45):
        assert admin.get(address(house.path)).status_code == 200


def test_who_is_told_says_which_ways_are_not_proven_or_fail(house: House, admin: Client) -> None:
    ilse, tomas = house.contacts[:2]
    ContactMethod.objects.filter(contact=ilse, position=1).update(proven_at=None)
    ContactMethod.objects.filter(contact=tomas).update(
        failing_since=dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    )

    page = admin.get(address(house.path)).content.decode()

    assert f'Email ilse{house.mark}@example.org </span><span class="wrong">(not proven)</span>' in page
    assert (
        f'Email tomas{house.mark}@example.org </span><span class="wrong">(failing since 1 May 2026)</span>'
        in page
    )
    assert f"Email second{house.mark}@example.org</span>" in page
