"""Calendars in the database: immutable versions, the built-in calendar, and two people publishing at once."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from pytest_django import DjangoAssertNumQueries

from calendars import queries
from calendars.models import Calendar, CalendarVersion
from calendars.operations import (
    BuiltInCalendar,
    CalendarNameTaken,
    CalendarNeverOpens,
    NoSuchCalendar,
    ensure_round_the_clock,
    publish_calendar,
    set_default_calendar,
)
from calendars.rules import ALWAYS, Hours, parse
from core.errors import Refused

NOW = dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC)
OFFICE = parse({"tz": "Europe/Berlin", "week": {"mon": [["09:00", "17:00"]]}})
LONGER = parse({"tz": "Europe/Berlin", "week": {"mon": [["08:00", "18:00"]]}})


def publish(hours: Hours = OFFICE, *, calendar_id: int | None = None, **given: Any) -> CalendarVersion:
    values = {"name": "Office", "actor_name": "Ada", "now": NOW, **given}
    return publish_calendar(calendar_id=calendar_id, hours=hours, **values)


@pytest.mark.django_db
class TestPublishing:
    def test_a_new_calendar_has_a_first_version(self) -> None:
        version = publish(description="When the office is open")

        assert (version.number, version.created_by_name, version.created_at) == (1, "Ada", NOW)
        assert version.calendar.current == version
        assert version.calendar.description == "When the office is open"
        assert queries.hours_of(version.pk) == OFFICE

    def test_new_hours_make_a_new_version_and_leave_the_old_one(self) -> None:
        first = publish()

        second = publish(LONGER, calendar_id=first.calendar_id)

        assert second.number == 2
        assert queries.current_version_ids([first.calendar_id]) == {first.calendar_id: second.pk}
        assert queries.hours_of_many([first.pk, second.pk]) == {first.pk: OFFICE, second.pk: LONGER}

    def test_the_same_hours_make_no_new_version_but_a_new_name_is_kept(self) -> None:
        first = publish(description="kept")

        again = publish(calendar_id=first.calendar_id, name=" Head office ")

        calendar = Calendar.objects.get(pk=first.calendar_id)
        assert again == first
        assert (calendar.name, calendar.description) == ("Head office", "kept")

    def test_a_calendar_that_never_opens_is_refused_and_nothing_is_written(self) -> None:
        with pytest.raises(CalendarNeverOpens) as refused:
            publish(parse({"tz": "UTC", "week": {}}))

        assert refused.value.field == "hours"
        assert not Calendar.objects.filter(name="Office").exists()

    def test_a_name_is_taken_once(self) -> None:
        publish()
        other = publish(name="Other")

        for calendar_id in (None, other.calendar_id):
            with pytest.raises(CalendarNameTaken, match="another calendar “Office”"):
                publish(LONGER, calendar_id=calendar_id)
        assert CalendarVersion.objects.filter(calendar=other.calendar_id).count() == 1

    @pytest.mark.parametrize("name", ["", "  ", "x" * 101])
    def test_a_name_is_wanted(self, name: str) -> None:
        with pytest.raises(Refused, match="1 to 100"):
            publish(name=name)

    def test_a_calendar_that_is_not_there(self) -> None:
        with pytest.raises(NoSuchCalendar):
            publish(calendar_id=0)
        with pytest.raises(NoSuchCalendar):
            set_default_calendar(calendar_id=0)

    def test_one_calendar_is_the_default(self) -> None:
        calendar = publish().calendar

        set_default_calendar(calendar_id=calendar.pk)
        set_default_calendar(calendar_id=calendar.pk)

        assert list(Calendar.objects.filter(is_default=True)) == [calendar]
        with pytest.raises(IntegrityError, match="one_default_calendar"), transaction.atomic():
            Calendar.objects.create(name="Second", is_default=True)


@pytest.mark.django_db
class TestImmutability:
    @pytest.mark.parametrize("statement", ["UPDATE {} SET number = number + 1", "DELETE FROM {}"])
    def test_the_database_refuses_to_change_a_version(self, statement: str) -> None:
        version = publish()

        with (
            pytest.raises(IntegrityError, match="immutable"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement.format("calendars_calendarversion") + " WHERE id = %s", [version.pk])

    def test_so_does_the_orm(self) -> None:
        version = publish()
        version.number = 7

        with pytest.raises(IntegrityError, match="immutable"), transaction.atomic():
            version.save()
        with pytest.raises(ProtectedError):
            version.calendar.delete()

    def test_a_number_is_given_once(self) -> None:
        version = publish()

        with pytest.raises(IntegrityError, match="one_version_per_number"), transaction.atomic():
            CalendarVersion.objects.create(calendar=version.calendar, number=1, hours={}, created_at=NOW)

    def test_emptying_is_for_test_databases_only(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'calendars_version_is_immutable'")
            (source,) = cursor.fetchone()
            cursor.execute(
                "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'calendars_calendarversion'::regclass"
                " AND NOT tgisinternal AND tgenabled = 'O'"
            )
            (triggers,) = cursor.fetchone()

        assert "IF TG_OP = 'TRUNCATE' AND starts_with(current_database(), 'test_')" in source
        assert triggers == 2


@pytest.mark.django_db
class TestRoundTheClock:
    def test_it_comes_with_the_migrations(self) -> None:
        version_id = queries.round_the_clock_version_id()

        assert queries.hours_of(version_id) == ALWAYS
        calendar = Calendar.objects.get(is_built_in=True)
        assert (calendar.name, calendar.current_id, calendar.is_default) == ("24x7", version_id, True)

    def test_it_stays_as_it_is(self) -> None:
        calendar = Calendar.objects.get(is_built_in=True)

        with pytest.raises(BuiltInCalendar, match="built in"):
            publish(calendar_id=calendar.pk, name="24x7")
        with pytest.raises(ProtectedError):
            calendar.delete()
        assert ensure_round_the_clock(now=NOW).pk == calendar.current_id

    def test_there_is_one(self) -> None:
        with pytest.raises(IntegrityError, match="one_built_in_calendar"), transaction.atomic():
            Calendar.objects.create(name="48x7", is_built_in=True)


@pytest.mark.django_db
class TestQueries:
    def test_hours_are_read_once(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        ids = [publish(name=f"Office {number}").pk for number in range(3)]

        with django_assert_num_queries(1):
            queries.hours_of_many(ids)
        with django_assert_num_queries(0):
            assert queries.hours_of(ids[0]) is queries.hours_of_many(ids)[ids[0]]

    def test_a_version_that_is_not_there(self) -> None:
        with pytest.raises(CalendarVersion.DoesNotExist, match="0"):
            queries.hours_of(0)

    def test_a_calendar_without_hours_has_no_current_version(self) -> None:
        bare = Calendar.objects.create(name="Bare")

        assert queries.current_version_ids([bare.pk]) == {}


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_two_people_publish_and_each_version_has_its_number(self) -> None:
        calendar_id = publish().calendar_id
        others = [
            parse({"tz": "UTC", "week": {"tue": [[f"{hour:02d}:00", "20:00"]]}}) for hour in range(6, 10)
        ]

        failures = at_once([lambda hours=hours: publish(hours, calendar_id=calendar_id) for hours in others])

        assert failures == []
        versions = CalendarVersion.objects.filter(calendar=calendar_id).order_by("number")
        assert [version.number for version in versions] == [1, 2, 3, 4, 5]
        assert queries.current_version_ids([calendar_id]) == {calendar_id: versions[4].pk}

    def test_the_same_hours_published_at_once_are_one_version(self) -> None:
        calendar_id = publish().calendar_id

        failures = at_once([lambda: publish(LONGER, calendar_id=calendar_id)] * 4)

        assert failures == []
        assert CalendarVersion.objects.filter(calendar=calendar_id).count() == 2

    def test_one_of_two_calendars_of_a_name_is_refused(self) -> None:
        failures = at_once([publish] * 3)

        assert [type(failure) for failure in failures] == [CalendarNameTaken] * 2
        assert CalendarVersion.objects.filter(calendar__name="Office").count() == 1

    def test_defaults_chosen_at_once_leave_one(self) -> None:
        ids = [publish(name=f"Office {number}").calendar_id for number in range(4)]

        failures = at_once([lambda pk=pk: set_default_calendar(calendar_id=pk) for pk in ids])

        assert failures == []
        assert Calendar.objects.filter(is_default=True, pk__in=ids).count() == 1

    def test_the_built_in_calendar_comes_back_after_a_flush(self) -> None:
        call_command("flush", verbosity=0, interactive=False)

        failures = at_once([lambda: ensure_round_the_clock(now=NOW)] * 3)

        assert failures == []
        assert CalendarVersion.objects.count() == Calendar.objects.count() == 1
        assert queries.hours_of(queries.round_the_clock_version_id()) == ALWAYS

    def test_it_is_made_once_by_all_who_miss_it(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE calendars_calendar, calendars_calendarversion CASCADE")

        failures = at_once([lambda: ensure_round_the_clock(now=NOW)] * 4)

        assert failures == []
        assert CalendarVersion.objects.count() == Calendar.objects.count() == 1


def at_once(calls: list[Any]) -> list[Exception]:
    """Run calls in threads, each with a database connection of its own; return what they raised."""
    failures: list[Exception] = []
    start = threading.Barrier(len(calls))

    def run(call: Any) -> None:
        start.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures
