"""What a probe and a scrape see, whatever hangs."""

import contextlib
import datetime as dt
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from core.db import database_now
from core.deadline import NoAnswer, Question
from escalation import engine
from escalation.models import Clock
from helpdesk import health, metrics
from notifications.models import ContactMethod, Notification
from notifications.ticks import PACEMAKER, record_tick, tally, ticking_as
from tests.helpers import free_port
from tests.house import House
from tests.notifications.cast import queued

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


def scrape(client: Client) -> Samples:
    """Read the page as Prometheus does; no sample may come twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(client.get("/metrics").content.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


@pytest.fixture
def database_at(transactional_db: None) -> Iterator[Callable[[int], None]]:
    """Move the database of new connections to another port of this machine."""
    # Connections of all threads are made from this one dictionary.
    place = connections["default"].settings_dict
    before = dict(place)

    def move(port: int) -> None:
        connection.close()
        place.update(HOST="127.0.0.1", PORT=str(port), OPTIONS={"connect_timeout": 4})

    yield move
    connection.close()
    place.update(before)
    # The thread that hung in the old place must not be found by the next test.
    until = time.monotonic() + 8
    while health._vitals._pending or metrics_question()._pending:
        assert time.monotonic() < until
        time.sleep(0.05)


def metrics_question() -> Question[metrics.Reading]:
    (collector,) = health._registry._collector_to_names
    assert isinstance(collector, metrics.Belay)
    return collector._question


@contextlib.contextmanager
def mute_server() -> Iterator[int]:
    """A port that accepts and never answers, as a frozen database does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_ready_names_nothing_late_while_all_is_in_time(house: House, client: Client) -> None:
    house.open()
    engine.tick()

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["late"] == {}
    assert answer.json()["last_tick_seconds"]["escalation"] < 5
    assert answer.json()["last_tick_seconds"]["notifications"] is None


def test_a_clock_that_should_have_fired_turns_it_red(house: House, client: Client) -> None:
    house.open()
    clock = Clock.objects.filter(fires_at__isnull=False).earliest("fires_at")
    Clock.objects.filter(pk=clock.pk).update(fires_at=database_now() - dt.timedelta(seconds=42))

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert list(answer.json()["late"]) == ["clock"]
    assert 42 <= answer.json()["late"]["clock"] < 47


def test_so_do_a_message_nobody_tried_to_send_and_a_dead_letter_without_consequence(
    db: None, client: Client
) -> None:
    old = database_now() - dt.timedelta(seconds=31)
    Notification.objects.filter(pk=queued("a@example.org").pk).update(due_at=old)
    Notification.objects.filter(pk=queued("b@example.org").pk).update(state="dead", dead_at=old)

    assert set(client.get("/readyz").json()["late"]) == {"outbox", "dead_letter"}


def test_thirty_seconds_are_not_late_yet(db: None, client: Client) -> None:
    recent = database_now() - dt.timedelta(seconds=20)
    Notification.objects.filter(pk=queued("a@example.org").pk).update(due_at=recent)

    assert client.get("/readyz").status_code == 200


def test_a_hung_database_holds_up_one_probe_for_two_seconds_and_no_other(
    database_at: Callable[[int], None], client: Client
) -> None:
    with mute_server() as port:
        database_at(port)
        began = time.monotonic()
        first = client.get("/readyz")
        between = time.monotonic()
        second = client.get("/readyz")
        after = time.monotonic()

    assert (first.status_code, second.status_code) == (503, 503)
    assert first.json()["database"] is False
    assert "no answer" in first.json()["problem"]
    assert between - began < 3
    assert after - between < 1


def test_without_a_database_a_scrape_says_so_and_shows_the_rest(
    database_at: Callable[[int], None], client: Client
) -> None:
    database_at(free_port())

    page = client.get("/metrics")

    assert page.status_code == 200
    assert b"\nbelay_database_up 0.0\n" in page.content
    assert b"django_http_requests" in page.content
    assert b"belay_ticks_total" not in page.content


def test_nor_does_one_that_hangs_hold_up_a_scrape(database_at: Callable[[int], None], client: Client) -> None:
    with mute_server() as port:
        database_at(port)
        began = time.monotonic()
        page = client.get("/metrics")

    assert b"\nbelay_database_up 0.0\n" in page.content
    assert time.monotonic() - began < 3


def test_an_empty_house_has_every_series_at_zero(db: None, client: Client) -> None:
    samples = scrape(client)

    assert of(samples, "belay_database_up") == 1
    for what in ("clock", "outbox", "dead_letter"):
        assert of(samples, "belay_oldest_due_seconds", what=what) == 0
    for name in ("escalation", "notifications"):
        assert of(samples, "belay_tick_age_seconds", engine=name) == float("inf")
        assert of(samples, "belay_pacemaker_interventions_total", engine=name) == 0
    for channel in ContactMethod.Channel.values:
        assert of(samples, "belay_outbox_oldest_seconds", channel=channel) == 0
        assert of(samples, "belay_outbox_rows", state="pending", channel=channel) == 0
        assert of(samples, "belay_dead_letters_unhandled", channel=channel) == 0
        assert of(samples, "belay_deliveries_total", channel=channel, outcome="sent") == 0
    assert of(samples, "belay_escalation_steps_total", trigger="acknowledge") == 0
    assert of(samples, "belay_escalation_lateness_seconds_count") == 0
    assert of(samples, "belay_lease_expiries_total") == 0


def test_what_the_engine_did_is_shown_to_whoever_asks(house: House, client: Client) -> None:
    house.open(at=house.now)
    due = Clock.objects.filter(kind="tier_time").values_list("due_at", flat=True).get()
    engine.tick(now=due + dt.timedelta(seconds=2))
    with ticking_as(PACEMAKER):
        engine.tick(now=due + dt.timedelta(seconds=3))

    samples = scrape(client)

    assert of(samples, "belay_escalation_steps_total", trigger="tier_time") == 1
    assert of(samples, "belay_escalation_tickets_total") >= 1
    assert of(samples, "belay_escalation_lateness_seconds_count") >= 1
    assert of(samples, "belay_escalation_lateness_seconds_bucket", le="1.5") == 0
    assert of(samples, "belay_escalation_batch_seconds_bucket", le="+Inf") >= 1
    assert of(samples, "belay_ticks_total", engine="escalation", by="worker") == 1
    assert of(samples, "belay_ticks_total", engine="escalation", by="pacemaker") == 1
    assert of(samples, "belay_pacemaker_interventions_total", engine="escalation") == 1
    assert of(samples, "belay_tick_age_seconds", engine="escalation") < 5


def test_buckets_rise_and_end_with_the_count(db: None, client: Client) -> None:
    record_tick(
        "escalation",
        database_now(),
        {
            ("belay_escalation_lateness_seconds_bucket", '{"le":"0.5"}'): 4,
            ("belay_escalation_lateness_seconds_bucket", '{"le":"+Inf"}'): 1,
            # A bound that this release does not have.
            ("belay_escalation_lateness_seconds_bucket", '{"le":"2.0"}'): 2,
            ("belay_escalation_lateness_seconds_sum", "{}"): 9000.5,
        },
    )

    samples = scrape(client)

    name = "belay_escalation_lateness_seconds"
    shown = {dict(labels)["le"]: v for (n, labels), v in samples.items() if n == f"{name}_bucket"}
    assert [shown[le] for le in ("0.25", "0.5", "1.5", "2.0", "3600.0", "+Inf")] == [0, 4, 4, 6, 6, 7]
    assert of(samples, f"{name}_count") == 7
    assert of(samples, f"{name}_sum") == 9000.5


def test_the_outbox_is_shown_by_state_and_channel_but_not_what_was_sent(db: None, client: Client) -> None:
    now = database_now()
    changes: list[dict[str, Any]] = [
        {"due_at": now - dt.timedelta(seconds=70)},
        {"due_at": now + dt.timedelta(hours=1), "channel": "pigeon"},
        {"state": "sent", "sent_at": now},
        {"state": "dead", "dead_at": now},
        {"state": "dead", "dead_at": now, "handled_at": now},
    ]
    for number, change in enumerate(changes):
        Notification.objects.filter(pk=queued(f"{number}@example.org").pk).update(**change)

    samples = scrape(client)

    assert of(samples, "belay_outbox_rows", state="pending", channel="email") == 1
    assert of(samples, "belay_outbox_rows", state="pending", channel="pigeon") == 1
    assert of(samples, "belay_outbox_rows", state="dead", channel="email") == 1
    assert of(samples, "belay_dead_letters_unhandled", channel="email") == 1
    assert 70 <= of(samples, "belay_outbox_oldest_seconds", channel="email") < 75
    # Not due yet: it could not go out.
    assert of(samples, "belay_outbox_oldest_seconds", channel="pigeon") == 0


def test_a_scrape_is_a_constant_number_of_statements(
    house: House, client: Client, django_assert_num_queries: Any
) -> None:
    house.open()
    for _ in range(3):
        tally.count("belay_deliveries_total", channel="email", outcome="sent")
    record_tick("notifications", database_now(), tally.drain())

    # The three, in a savepoint (here; a transaction otherwise) with its time limit.
    with django_assert_num_queries(6):
        client.get("/metrics")


def test_no_statement_of_a_scrape_reads_a_whole_table(house: House) -> None:
    house.open()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {metrics._OPEN_ENDS}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert not re.findall(r"Seq Scan on \w+", plan)
    # Which of the partial indexes serves is the planner's choice while the outbox is all but empty.
    assert "using outbox_" in plan


# --- questions with a deadline ---------------------------------------------------------------------------------------


def test_a_question_that_hangs_is_not_asked_twice() -> None:
    go_on, asked = threading.Event(), []

    def hang() -> int:
        asked.append(1)
        go_on.wait(10)
        return 42

    question = Question("test", hang)
    with pytest.raises(NoAnswer):
        question.ask(within=0.1)
    began = time.monotonic()
    with pytest.raises(NoAnswer):
        question.ask(within=0.1)
    waited = time.monotonic() - began
    go_on.set()
    while question._pending is not None:
        time.sleep(0.01)

    assert waited < 0.09
    assert asked == [1]
    assert question.ask(within=5) == 42


def test_what_a_question_raises_reaches_who_asked() -> None:
    def fail() -> None:
        raise LookupError("nobody there")

    with pytest.raises(LookupError, match="nobody there"):
        Question("test", fail).ask(within=5)
