"""Publishing a path: a new immutable version when something changed, and only then."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from core.db import database_now
from core.errors import NotAllowed
from escalation.models import Clock, EscalationPath, PathVersion, Standing, Step
from escalation.operations.publishing import (
    BadPath,
    NoSuchPath,
    PathChanged,
    fingerprint,
    publish_path,
    spec_of,
)
from tests.admin.conftest import House, build_house, minutes
from tests.helpers import race
from tickets.operations import Draft, open_ticket


def test_what_is_published_is_read_back_as_it_was_given(house: House) -> None:
    spec = house.spec(
        name=f"Full {house.mark}",
        description="All of it",
        conditions={
            "services": [house.service.pk],
            "vip": True,
            "tags": ["vpn", "core"],
            "severities": [2, 1],
        },
        hold_pauses=True,
        warn_percent=60,
        on_first_response_due="climb",
    )
    second = replace(
        spec.steps[1],
        contact_list_ids=(house.second_list.pk, house.first_list.pk),
        telling="in_turn",
        calendar_id=house.calendar.pk,
        skip_when={"severities": [4]},
    )
    spec = replace(spec, steps=(spec.steps[0], second))
    version = publish_path(path_id=None, spec=spec, actor=house.admin, now=database_now())
    read = spec_of(version.path)
    assert replace(read, conditions={}) == replace(spec, conditions={}, promises=dict(spec.promises))
    assert read.conditions == {
        "services": [house.service.pk],
        "vip": True,
        "tags": ["core", "vpn"],
        "severities": [1, 2],
    }
    assert (version.number, version.created_by) == (1, house.admin)


def test_the_same_content_again_makes_no_version_and_a_change_makes_the_next(house: House) -> None:
    path = house.path
    assert house.publish(path.pk).number == 1
    assert house.publish(path.pk, name=f"Renamed {house.mark}").number == 1
    assert house.publish(path.pk, name=f"Renamed {house.mark}", warn_percent=80).number == 2
    path.refresh_from_db()
    assert path.name == f"Renamed {house.mark}"
    assert path.current is not None
    assert path.current.number == 2
    assert PathVersion.objects.filter(path=path).count() == 2


def test_a_ticket_under_way_keeps_its_version_its_step_and_its_clocks(house: House) -> None:
    draft = Draft(requester=house.requester, subject="VPN drops", service=house.service, impact=1, urgency=1)
    ticket = open_ticket(draft=draft, actor=house.agent, now=database_now())
    before = Standing.objects.filter(ticket=ticket).values().get()
    clocks = list(Clock.objects.filter(ticket=ticket).order_by("pk").values())
    assert clocks
    slower = replace(house.spec().steps[0], targets={1: (minutes(1), minutes(2))})
    version = house.publish(house.path.pk, steps=(slower,))
    assert version.number == 2
    assert Standing.objects.filter(ticket=ticket).values().get() == before
    assert list(Clock.objects.filter(ticket=ticket).order_by("pk").values()) == clocks
    later = open_ticket(draft=draft, actor=house.agent, now=database_now())
    assert later.standing.version_id == version.pk


@pytest.mark.parametrize(
    "statement", ["UPDATE escalation_step SET name = 'x'", "DELETE FROM escalation_steptarget"]
)
def test_a_version_cannot_be_changed_by_anybody(house: House, statement: str) -> None:
    refused = pytest.raises(IntegrityError, match="is immutable")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_only_admins_publish(house: House) -> None:
    with pytest.raises(NotAllowed):
        publish_path(path_id=house.path.pk, spec=house.spec(), actor=house.agent, now=database_now())


def test_an_unknown_path_is_refused(house: House) -> None:
    with pytest.raises(NoSuchPath):
        publish_path(path_id=10**9, spec=house.spec(), actor=house.admin, now=database_now())


@pytest.mark.parametrize(
    ("of_the_step", "changes", "field"),
    [
        ({}, {"calendar_id": 10**9}, "calendar_id"),
        ({}, {"fallback_contact_id": 10**9}, "fallback_contact_id"),
        ({"team_id": 10**9}, {}, "steps.2.team_id"),
        ({"calendar_id": 10**9}, {}, "steps.2.calendar_id"),
        ({"contact_list_ids": (10**9,)}, {}, "steps.2.contact_list_ids"),
    ],
)
def test_a_row_that_is_not_there_is_named_with_its_step(
    house: House, of_the_step: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    first, second = house.spec().steps
    spec = house.spec(**changes, steps=(first, replace(second, **of_the_step)))
    with pytest.raises(BadPath) as refused:
        publish_path(path_id=house.path.pk, spec=spec, actor=house.admin, now=database_now())
    assert refused.value.field == field
    assert ("Network" in refused.value.message) == field.startswith("steps.2")


def test_a_refused_path_leaves_nothing_behind(house: House) -> None:
    counted = EscalationPath.objects.count(), PathVersion.objects.count(), Step.objects.count()
    with pytest.raises(BadPath):
        house.publish(name="", steps=())
    assert (EscalationPath.objects.count(), PathVersion.objects.count(), Step.objects.count()) == counted


def test_there_is_exactly_one_default_path(house: House) -> None:
    default = EscalationPath.objects.get(is_default=True)
    with pytest.raises(BadPath, match="there must be one"):
        house.publish(default.pk, name=default.name, is_default=False)
    with pytest.raises(BadPath, match="can't be switched off"):
        house.publish(default.pk, name=default.name, is_default=True, is_active=False)
    house.publish(house.path.pk, is_default=True)
    default.refresh_from_db()
    assert not default.is_default
    assert EscalationPath.objects.get(is_default=True) == house.path


def test_the_first_path_of_all_has_to_be_the_default(house: House) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE escalation_escalationpath SET is_default = false")
    with pytest.raises(BadPath, match="no default path yet"):
        house.publish(name=f"Another {house.mark}")


def test_two_paths_never_share_a_name(house: House) -> None:
    with pytest.raises(BadPath) as refused:
        house.publish(name=house.path.name.upper())
    assert refused.value.field == "name"


def test_publishing_costs_the_same_queries_however_many_steps(
    house: House, django_assert_max_num_queries: Any
) -> None:
    steps = tuple(replace(house.spec().steps[1], name=f"Step {number}") for number in range(12))
    # Sixteen of them look for what is doubtful about all paths.
    with django_assert_max_num_queries(38):
        house.publish(house.path.pk, steps=steps)


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_save_at_once_one_is_told_that_the_other_was_first() -> None:
    house = build_house()
    seen = fingerprint(house.path)

    def save(percent: int) -> PathVersion:
        return publish_path(
            path_id=house.path.pk,
            spec=house.spec(warn_percent=percent),
            actor=User.objects.get(pk=house.admin.pk),
            now=dt.datetime.now(tz=dt.UTC),
            seen=seen,
        )

    outcomes = race(lambda: save(50), lambda: save(60))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["PathChanged", "PathVersion"]
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, PathChanged)]
    assert refused.status == 409
    assert "version 2 by Ada Admin" in refused.message
    assert PathVersion.objects.filter(path=house.path).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_make_their_path_the_default_at_once_leave_one_default() -> None:
    house = build_house()
    other = house.publish(name=f"Other {house.mark}").path

    def make_default(path_id: int, name: str) -> PathVersion:
        return publish_path(
            path_id=path_id,
            spec=house.spec(name=name, is_default=True),
            actor=User.objects.get(pk=house.admin.pk),
            now=dt.datetime.now(tz=dt.UTC),
        )

    outcomes = race(
        lambda: make_default(house.path.pk, house.path.name), lambda: make_default(other.pk, other.name)
    )
    assert all(isinstance(outcome, PathVersion) for outcome in outcomes), outcomes
    assert EscalationPath.objects.filter(is_default=True).count() == 1
