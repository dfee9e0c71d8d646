"""Linting the paths in force as contacts, teams and calendars are: what is found, kept, and what the command says."""

import datetime as dt
import json
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.operations import create_team
from core.db import database_now
from escalation.linting import lint_active
from escalation.models import EscalationPath, PathDoubt
from escalation.operations import publish_path, record_doubts
from escalation.tasks import lint as lint_task
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod
from notifications.operations import create_contact, create_contact_list
from tests.helpers import race
from tests.house import MIN, House, build_house, default_spec, republish, steps_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def sound(house: House) -> House:
    """Return the house with nothing to doubt: every method is proven."""
    ContactMethod.objects.update(proven_at=house.now)
    record_doubts(now=house.now)
    return house


def codes() -> list[tuple[str, str]]:
    return [(doubt.code, doubt.level) for linted in lint_active(database_now()) for doubt in linted.doubts]


def messages() -> str:
    return " ".join(doubt.message for linted in lint_active(database_now()) for doubt in linted.doubts)


def test_a_sound_house_has_nothing_to_doubt(sound: House) -> None:
    assert codes() == []


def test_a_contact_whose_methods_fail_is_doubted_until_one_works_again(sound: House) -> None:
    methods = ContactMethod.objects.filter(contact__user=sound.second)
    methods.update(failing_since=dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
    assert codes() == [("contact_failing", "warning")]
    assert "Aisha Test on “L2 contacts” can't be told: every message fails, since 1 May 2026." in messages()
    contact = Contact.objects.get(user=sound.second)
    ContactMethod.objects.create(contact=contact, address="other@example.org", position=2)
    assert codes() == []


def test_a_step_whose_people_have_all_gone_reaches_nobody(sound: House) -> None:
    sound.second.is_active = False
    sound.second.save()
    assert codes() == [("contact_without_method", "warning")]
    Contact.objects.filter(name="Duty L2").update(is_active=False)
    assert codes() == [
        ("step_nobody_answers", "error"),
        ("contact_without_method", "warning"),
        ("contact_without_method", "warning"),
    ]
    assert "Aisha Test on “L2 contacts” can't be told: the account is switched off." in messages()
    assert "Duty L2 on “L2 contacts” can't be told: switched off as a contact." in messages()


def test_who_was_never_reached_is_named_once_however_many_methods_they_have(sound: House) -> None:
    contact = Contact.objects.get(user=sound.second)
    ContactMethod.objects.create(contact=contact, address="other@example.org", position=2)
    ContactMethod.objects.filter(contact=contact).update(proven_at=None)

    assert codes() == [("contact_unproven", "warning")]
    assert "Aisha Test on “L2 contacts” has no proven contact method" in messages()
    ContactMethod.objects.filter(address="other@example.org").update(proven_at=sound.now)
    assert codes() == []


def test_who_is_told_by_the_bell_only_is_doubted_where_an_acknowledgement_is_wanted(sound: House) -> None:
    contact = Contact.objects.get(user=sound.second)
    contact.methods.update(channel="app", address="the bell")

    assert codes() == [("contact_bell_only", "warning")]
    assert "Aisha Test on “L2 contacts” is told by the bell in Belay only" in messages()
    # What the bell has shown proves no other way.
    ContactMethod.objects.create(contact=contact, address="other@example.org", position=2)
    assert codes() == [("contact_unproven", "warning")]
    contact.methods.filter(channel="email").delete()
    quiet = dict.fromkeys((1, 2, 3, 4), (None, 30 * MIN))
    steps = list(steps_for(sound))
    steps[1] = replace(steps[1], targets=quiet)
    republish(sound, steps=tuple(steps))
    assert codes() == []


@pytest.mark.parametrize("lead", ["none", "gone", "there"])
def test_a_role_stands_and_falls_with_the_lead_of_its_team(sound: House, lead: str) -> None:
    person = {"none": None, "gone": sound.outsider, "there": sound.lead}[lead]
    team = create_team(name="Night shift", tier=2, lead=person)
    sound.outsider.is_active = False
    sound.outsider.save()
    role = Contact.objects.create(name="Lead of the night", kind=Contact.Kind.LEAD, team=team)
    ContactListEntry.objects.create(contact_list=sound.lists[2], contact=role, position=3)
    # A contact made for them has never been told anything yet.
    assert codes() == [(f"contact_{'unproven' if lead == 'there' else 'without_method'}", "warning")]
    words = {"none": "Night shift has no lead", "gone": "the account of Night shift's lead is switched off"}
    assert words.get(lead, "") in messages()


def test_a_role_that_resolves_to_the_fallback_is_a_loop(sound: House) -> None:
    fallback = Contact.objects.create(name="Lena Test", user=sound.lead)
    for place in (1, 2):
        ContactMethod.objects.create(
            contact=fallback, address=f"lena{place}@example.org", proven_at=sound.now, position=place
        )
    role = Contact.objects.create(name="Whoever leads", kind=Contact.Kind.LEAD, team=sound.core)
    alone = create_contact_list(name="Lead alone", entries=[(role, "Any time.")])
    steps = list(steps_for(sound))
    steps[2] = replace(steps[2], contact_list_ids=(alone.pk,))
    republish(sound, steps=tuple(steps), fallback_contact_id=fallback.pk)
    assert codes() == [("fallback_loop", "error")]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"contact": {"is_active": False}}, "fallback_unreachable"),
        ({"method": {"is_active": False}}, "fallback_unreachable"),
        ({"method": {"failing_since": dt.datetime(2026, 5, 1, tzinfo=dt.UTC)}}, "fallback_unreachable"),
        ({"method": {"proven_at": None}}, "fallback_unproven"),
        ({"contact": {"kind": "room"}}, "fallback_no_person"),
    ],
)
def test_the_fallback_is_a_person_who_can_be_told(sound: House, change: dict[str, Any], code: str) -> None:
    Contact.objects.filter(pk=sound.fallback.pk).update(**change.get("contact", {"is_active": True}))
    ContactMethod.objects.filter(contact=sound.fallback).update(**change.get("method", {"is_active": True}))
    assert [found for found, _ in codes()] == [code]


def test_linting_costs_the_same_for_one_path_and_for_many(sound: House) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            lint_active(database_now())
        return len(queries)

    lint_active(database_now())
    one = cost()
    for number in range(4):
        contact = create_contact(name=f"Extra {number}", email=f"extra{number}@example.org")
        extra = create_contact_list(name=f"Extra {number}", entries=[(contact, "Any time.")])
        steps = list(steps_for(sound))
        steps[1] = replace(steps[1], contact_list_ids=(extra.pk,))
        spec = default_spec(
            sound,
            name=f"Path {number}",
            is_default=False,
            position=number,
            steps=tuple(steps),
            conditions={"tags": [f"tag{number}"]},
        )
        publish_path(path_id=None, spec=spec, actor=sound.admin, now=sound.now)
    assert cost() == one


# --- what is kept -------------------------------------------------------------------------------------------------


def test_publishing_keeps_the_doubts_at_once(sound: House) -> None:
    assert PathDoubt.objects.count() == 0
    steps = list(steps_for(sound))
    steps[3] = replace(steps[3], contact_list_ids=())
    republish(sound, steps=tuple(steps))
    row = PathDoubt.objects.get()
    assert (row.code, row.level, row.step, row.field) == (
        "top_tells_nobody",
        "error",
        4,
        "steps.4.contact_list_ids",
    )
    republish(sound)
    assert PathDoubt.objects.count() == 0


def test_what_changes_without_a_publish_is_found_by_the_clock(sound: House) -> None:
    ContactMethod.objects.filter(contact__user=sound.third).update(is_active=False)
    assert PathDoubt.objects.count() == 0
    lint_task()
    assert PathDoubt.objects.get().code == "contact_without_method"
    assert "escalation.lint" in settings.BELAY_TICKS
    assert settings.CELERY_TASK_ROUTES["escalation.lint"] == {"queue": "bulk"}


def test_a_doubt_that_stays_keeps_since_when_it_is_there(sound: House) -> None:
    ContactMethod.objects.filter(contact__user=sound.third).update(is_active=False)
    record_doubts(now=sound.now)
    later = sound.now + dt.timedelta(hours=1)
    ContactMethod.objects.filter(contact__user=sound.second).update(is_active=False)
    assert record_doubts(now=later) == 2
    since = {row.message.split()[0]: row.since for row in PathDoubt.objects.all()}
    assert since == {"Tomas": sound.now, "Aisha": later}


def test_where_nothing_changed_nothing_is_written(sound: House) -> None:
    ContactMethod.objects.filter(contact__user=sound.third).update(is_active=False)
    record_doubts(now=sound.now)
    with CaptureQueriesContext(connection) as queries:
        record_doubts(now=sound.now)
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_a_path_that_is_switched_off_is_no_longer_doubted(sound: House) -> None:
    empty = ContactList.objects.create(name="Nobody")
    steps = list(steps_for(sound))
    steps[1] = replace(steps[1], contact_list_ids=(empty.pk,))
    spec = default_spec(sound, name="Other", is_default=False, steps=tuple(steps), conditions={"tags": ["a"]})
    other = publish_path(path_id=None, spec=spec, actor=sound.admin, now=sound.now)
    assert PathDoubt.objects.count() == 1
    spec = replace(spec, is_active=False)
    publish_path(path_id=other.path_id, spec=spec, actor=sound.admin, now=sound.now)
    assert PathDoubt.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_linting_twice_at_once_keeps_every_doubt_once() -> None:
    house = build_house()
    ContactMethod.objects.update(proven_at=house.now)
    ContactMethod.objects.filter(contact__user=house.third).update(is_active=False)
    PathDoubt.objects.all().delete()
    outcomes = race(*[lambda: record_doubts(now=house.now)] * 3)
    assert [outcome for outcome in outcomes if outcome != 1] == []
    assert PathDoubt.objects.count() == 1


# --- the command --------------------------------------------------------------------------------------------------


def run(*args: str) -> tuple[int, str]:
    """Return the command's exit code and what it printed."""
    out = StringIO()
    try:
        call_command("lint_paths", *args, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_in_one_line_that_there_is_nothing(sound: House) -> None:
    assert run() == (0, "Nothing to doubt about 1 path.\n")
    assert run("--fail-on", "warning")[0] == 0


def test_the_command_prints_place_and_mend_and_fails_by_level(sound: House) -> None:
    ContactMethod.objects.filter(contact__user=sound.third).update(is_active=False)
    code, text = run()
    assert code == 0
    assert text.splitlines() == [
        "Standard, version 1",
        (
            "  warning  steps.3.contact_list_ids: Tomas Test on “L3 contacts” can't be told: no contact method is "
            "switched on. Add one, or take them off the list."
        ),
    ]
    assert run("--fail-on", "warning")[0] == 1
    ContactMethod.objects.filter(contact__name="Duty L3").update(is_active=False)
    code, text = run()
    assert code == 1
    assert "  error    steps.3.contact_list_ids: Step 3 “Core network” reaches nobody:" in text


def test_the_command_speaks_json(sound: House) -> None:
    ContactMethod.objects.filter(contact__user=sound.third).update(is_active=False)
    code, text = run("--json", "--fail-on", "warning", "--path", "standard")
    (document,) = json.loads(text)
    assert code == 1
    assert (document["path"], document["version"]) == ("Standard", 1)
    (doubt,) = document["doubts"]
    assert {key: doubt[key] for key in ("code", "level", "field", "step", "severity")} == {
        "code": "contact_without_method",
        "level": "warning",
        "field": "steps.3.contact_list_ids",
        "step": 3,
        "severity": None,
    }


def test_the_command_looks_at_one_path_and_names_those_there_are(sound: House) -> None:
    with pytest.raises(CommandError, match="Take one of these: “Standard”"):
        call_command("lint_paths", "--path", "Other")


def test_the_command_fails_in_a_house_without_paths_since_nothing_has_a_clock_there(db: None) -> None:
    assert not EscalationPath.objects.exists()
    assert run() == (1, "There is no active path: tickets stay at L1 without a clock. Publish one.\n")
