"""Leads and admins read on every page that the engine is behind; nobody else does."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from core.db import database_now
from escalation import engine, watchdog
from escalation.models import Clock
from notifications.models import Notification, TickRecord
from notifications.ticks import record_tick
from tests.house import House, build_house
from tests.notifications.cast import queued
from tests.web.live.listening import BACKEND
from web.live.lines import Line
from web.live.topics import Hearer, read_topics


@pytest.fixture(autouse=True)
def _unseen() -> Iterator[None]:
    """What another test has seen of its house is not this one's."""
    watchdog.forget()
    yield
    watchdog.forget()


@pytest.fixture
def house(db: None) -> House:
    house = build_house()
    for name in ("escalation", "notifications"):
        record_tick(name, database_now())
    return house


def page(user: Any, path: str) -> str:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client.get(path).content.decode()


def fall_behind(house: House, seconds: float) -> None:
    house.open()
    clock = Clock.objects.filter(fires_at__isnull=False).earliest("fires_at")
    since = database_now() - dt.timedelta(seconds=seconds)
    Clock.objects.filter(pk=clock.pk).update(fires_at=since, due_at=since)


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("lead", "/queue/"),
        ("lead", "/board/"),
        ("lead", "/board/?view=wall"),
        ("lead", "/alarm/"),
        ("admin", "/new/"),
        ("admin", "/admin/"),
    ],
)
def test_leads_and_admins_read_it_on_every_page(house: House, path: str, who: str) -> None:
    fall_behind(house, 125)

    text = page(getattr(house, who), path)

    assert text.count('data-alarm="behind"') == 1
    assert "The engine is 2 min behind: escalations are late." in text
    assert "docs/operations.md" in text


def test_agents_and_requesters_do_not(house: House) -> None:
    fall_behind(house, 42)

    assert "data-alarm" not in page(house.agent, "/queue/")
    assert "data-alarm" not in page(house.requester, "/portal/")
    assert "data-alarm" not in page(house.agent, "/alarm/")


def test_while_all_is_well_there_is_nothing_to_read(house: House) -> None:
    fall_behind(house, 20)

    assert "data-alarm" not in page(house.lead, "/queue/")


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("escalation", "still", "The engine last ran 50 s ago"),
        ("notifications", "delivery_still", "Delivery last ran 50 s ago"),
    ],
)
def test_an_engine_that_no_longer_ticks_is_told_though_nothing_is_due(
    house: House, name: str, what: str, words: str
) -> None:
    TickRecord.objects.filter(pk=name).update(completed_at=database_now() - dt.timedelta(seconds=50))

    text = page(house.lead, "/queue/")

    assert f'data-alarm="{what}"' in text
    assert words in text


def test_messages_that_nobody_sends_are_told(house: House) -> None:
    row = queued()
    Notification.objects.filter(pk=row.pk).update(due_at=database_now() - dt.timedelta(minutes=4))

    assert "Messages have been waiting for 4 min" in page(house.lead, "/queue/")


def test_it_costs_no_query_of_its_own(house: House, client: Client, django_assert_num_queries: Any) -> None:
    client.force_login(house.lead, backend=BACKEND)
    client.get("/waiting/")
    with django_assert_num_queries(3) as seen_lately:
        client.get("/waiting/")
    watchdog.forget()

    with django_assert_num_queries(len(seen_lately)):
        client.get("/waiting/")

    assert watchdog.kept() is not None


def test_the_board_says_how_far_the_engine_is_behind(house: House) -> None:
    assert "engine lag" in page(house.lead, "/board/part/")

    fall_behind(house, 12)
    amber = page(house.lead, "/board/part/")
    Clock.objects.filter(fires_at__lte=database_now()).update(
        fires_at=database_now() - dt.timedelta(seconds=75)
    )
    red = page(house.lead, "/board/part/")

    assert 'class="engine soon"><b>12 s</b>behind' in amber
    assert 'class="engine hot"><b>1 min</b>behind' in red


def test_the_board_says_that_nothing_ticks_though_nothing_is_due(house: House) -> None:
    TickRecord.objects.update(completed_at=database_now() - dt.timedelta(seconds=15))
    amber = page(house.lead, "/board/part/")
    TickRecord.objects.update(completed_at=database_now() - dt.timedelta(seconds=45))
    red = page(house.lead, "/board/part/")
    TickRecord.objects.all().delete()
    never = page(house.lead, "/board/part/")

    assert 'class="engine soon"><b>15 s</b>since' in amber
    assert 'class="engine hot"><b>45 s</b>since' in red
    assert 'class="engine hot"><b>never</b>' in never


def test_a_tick_ends_the_alarm(house: House) -> None:
    fall_behind(house, 42)
    Clock.objects.update(recorded_at=database_now() - dt.timedelta(hours=1))
    assert "data-alarm" in page(house.lead, "/queue/")

    engine.tick()
    watchdog.forget()

    assert "data-alarm" not in page(house.lead, "/queue/")


def test_open_pages_that_show_alarms_are_told_by_the_stream(house: House) -> None:
    from accounts.queries import scope_of
    from accounts.rules import Verb

    hearer = Hearer(house.lead.pk, scope_of(house.lead, Verb.VIEW), reads_notes=True, watches_board=True)
    shows, does_not = Line(hearer, read_topics(["alarm", "bell"])), Line(hearer, read_topics(["bell"]))

    for line in (shows, does_not):
        line.raise_alarm()

    assert shows.take().startswith(b"event: alarm\n")
    assert does_not.take() == b""
