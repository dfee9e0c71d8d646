"""A statement written once says what the queryset says, whenever it runs."""

import datetime as dt

import pytest
from django.db.models import DateTimeField
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from accounts.operations import create_user
from core.statements import Statement, blank, is_any

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> list[User]:
    return [create_user(email=f"{name}@example.org", name=name) for name in ("ann", "ben", "cy")]


def test_blanks_are_filled_anew_at_each_run(people: list[User]) -> None:
    rows = User.objects.filter(is_any("pk", "wanted")).order_by("name").values_list("name")
    statement = Statement.of(rows)

    assert statement.run(wanted=[people[0].pk, people[2].pk]) == [("ann",), ("cy",)]
    assert statement.run(wanted=[people[1].pk]) == [("ben",)]
    assert statement.run(wanted=[]) == []


def test_an_instant_can_be_left_blank(people: list[User]) -> None:
    seen = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    User.objects.filter(pk=people[0].pk).update(last_login=seen)
    since = User.objects.filter(last_login__gt=blank("at", DateTimeField()))
    statement = Statement.of(since.values_list("pk"))

    assert statement.run(at=seen - dt.timedelta(seconds=1)) == [(people[0].pk,)]
    assert statement.run(at=seen) == []


def test_what_can_match_nothing_asks_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    statement = Statement.of(User.objects.filter(pk__in=()).values_list("pk"))

    with django_assert_num_queries(0):
        assert statement.run() == []


def test_a_blank_that_is_not_given_is_named() -> None:
    statement = Statement.of(User.objects.filter(is_any("pk", "wanted")).values_list("pk"))

    with pytest.raises(KeyError, match="wanted"):
        statement.run()
