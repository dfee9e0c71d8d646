"""The pacemaker ticks when nobody else does, and the heartbeat beats while all is well."""

import datetime as dt
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2
import pytest
from django.db import OperationalError, connection

from core.db import database_now
from escalation import engine
from escalation.heartbeat import Heartbeat
from escalation.models import Clock, Standing
from escalation.pacemaker import LIMITS, Watcher
from escalation.rules.pace import Pace
from helpdesk.environment import BASE_DIR
from notifications.models import TickRecord
from notifications.ticks import PACEMAKER, WORKER, record_tick
from tests.helpers import free_port
from tests.house import House, build_house


@pytest.fixture
def watcher() -> Watcher:
    return Watcher("escalation", engine.tick, patience=60)


def ticked(age: float, by: str = WORKER, name: str = "escalation") -> None:
    """Put a last tick on record, so many seconds ago."""
    record_tick(name, database_now())
    at = database_now() - dt.timedelta(seconds=age)
    TickRecord.objects.filter(pk=name).update(completed_at=at, ticked_by=by)


@pytest.mark.parametrize(
    ("age", "by", "steps_in"),
    [
        (0.5, WORKER, False),
        (2.5, WORKER, False),
        (3.5, WORKER, True),
        # Its own last tick: no worker has come back, so it doesn't wait for three seconds again.
        (0.5, PACEMAKER, True),
        # The database's clock was set back.
        (-2.5, WORKER, False),
        (-3600, WORKER, True),
    ],
)
def test_it_ticks_when_no_worker_has(db: None, watcher: Watcher, age: float, by: str, steps_in: bool) -> None:
    ticked(age, by)

    assert watcher.look() is steps_in
    assert TickRecord.objects.get().runs == 1 + steps_in


def test_it_ticks_where_nobody_ever_has(db: None, watcher: Watcher) -> None:
    assert watcher.look()
    assert TickRecord.objects.get().ticked_by == PACEMAKER


def test_an_intervention_is_said_when_it_begins_and_when_it_ends(
    db: None, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    ticked(10)
    for _ in range(5):
        watcher.look()
    ticked(0.1)
    for _ in range(3):
        watcher.look()

    said = [record.getMessage() for record in caplog.records if record.name == "belay.pacemaker"]
    assert len(said) == 2
    assert "pacemaker ticks until one comes" in said[0]
    assert "are back" in said[1]
    assert "ran 5" in said[1]


def test_trouble_is_said_once_and_survived(transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    stop, calls = threading.Event(), []

    def fail() -> None:
        calls.append(1)
        if len(calls) == 3:
            stop.set()
        raise LookupError("broken")

    Watcher("escalation", fail, patience=60, every=0.01).run(stop)

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(calls) == 3
    assert sum("broken" in words for words in said) == 1


def test_a_statement_that_hangs_shows_as_no_sign_of_life(db: None) -> None:
    watcher = Watcher("escalation", lambda: None, patience=0.2)
    assert not watcher.hangs()

    with connection.execute_wrapper(watcher._stamp), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.25)")
        # Each statement that begins or ends is a sign of life.
        assert not watcher.hangs()
    time.sleep(0.25)

    assert watcher.hangs()


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_never_given_holds_up_its_batch_and_nobody_is_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = build_house()
    blocked = house.open(at=house.now - dt.timedelta(hours=2))
    free = house.open(at=house.now - dt.timedelta(hours=1))
    monkeypatch.setattr(engine, "_pace", Pace(size=1))
    place = connection.settings_dict
    holder = psycopg2.connect(host=place["HOST"], user=place["USER"], dbname=place["NAME"])
    try:
        with holder.cursor() as cursor:
            # Not the ticket, which would be skipped: a row that deciding about it writes.
            cursor.execute("SELECT FROM escalation_standing WHERE ticket_id = %s FOR UPDATE", [blocked.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        engine.tick()
        meanwhile = set(Standing.objects.filter(seq__gt=0).values_list("ticket_id", flat=True))
    finally:
        holder.rollback()
        holder.close()
    engine.tick()

    assert meanwhile == {free.pk}
    assert set(Standing.objects.filter(seq__gt=0).values_list("ticket_id", flat=True)) == {
        blocked.pk,
        free.pk,
    }
    assert not Standing.objects.filter(failures__gt=0).exists()


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_sets_nobody_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    house = build_house()
    ticket = house.open(at=house.now - dt.timedelta(hours=2))
    process = engine._process

    def cut_off(*given: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return process(*given)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_process", cut_off)
        with pytest.raises(OperationalError):
            engine.tick()
    connection.close()

    assert not Standing.objects.filter(failures__gt=0).exists()
    engine.tick()
    assert Standing.objects.get(pk=ticket.pk).seq == 1


@pytest.mark.django_db(transaction=True)
def test_the_process_ticks_within_seconds_counts_it_and_beats(beats: "Beats") -> None:
    place = connection.settings_dict
    house = build_house()
    ticket = house.open(at=house.now - dt.timedelta(hours=2))
    mine = {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "DATABASE_URL": f"postgres://{place['USER']}@/{place['HOST']}/{place['NAME']}",
        # Nobody is there: it has to do without.
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "BELAY_HEARTBEAT_URL": beats.url,
        "BELAY_HEARTBEAT_SECONDS": "1",
        "BELAY_ALLOWED_HOSTS_OUT": "127.0.0.1",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "pacemaker"],
        cwd=BASE_DIR,
        env=os.environ | mine,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and not beats.paths:
            time.sleep(0.1)
        record = TickRecord.objects.get(pk="escalation")
    finally:
        process.send_signal(signal.SIGTERM)
        words, _ = process.communicate(timeout=20)

    assert Standing.objects.get(pk=ticket.pk).seq == 1
    assert record.ticked_by == PACEMAKER
    assert record.pacemaker_runs >= 1
    assert beats.paths[0] == "/token-123"
    assert "token-123" not in words
    assert words.count("the pacemaker ticks") == 2  # one line for each engine
    assert process.returncode == 0


def test_the_server_is_told_to_end_what_takes_too_long() -> None:
    assert "statement_timeout" in LIMITS
    assert "lock_timeout" in LIMITS


# --- the heartbeat ---------------------------------------------------------------------------------------------------


class Beats(ThreadingHTTPServer):
    """What a monitor of heartbeats hears."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/token-123"


class _Handler(BaseHTTPRequestHandler):
    server: Beats

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def beats(settings: Any) -> Iterator[Beats]:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    with Beats() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def well(db: None) -> None:
    for name in ("escalation", "notifications"):
        ticked(0, name=name)


def test_it_beats_while_all_is_well(well: None, beats: Beats) -> None:
    assert Heartbeat(beats.url, every=60).beat()
    assert beats.paths == ["/token-123"]


@pytest.mark.parametrize("trouble", ["clock", "ticks", "never ticked"])
def test_it_is_silent_while_something_is_late_and_says_so_once(
    trouble: str, house: House, well: None, beats: Beats, caplog: pytest.LogCaptureFixture
) -> None:
    if trouble == "clock":
        house.open()
        Clock.objects.filter(fires_at__isnull=False).update(
            fires_at=database_now() - dt.timedelta(seconds=40)
        )
    elif trouble == "ticks":
        ticked(40)
    else:
        TickRecord.objects.filter(pk="notifications").delete()
    heart = Heartbeat(beats.url, every=60)

    assert not heart.beat()
    assert not heart.beat()

    assert beats.paths == []
    assert len([r for r in caplog.records if r.name == "belay.heartbeat"]) == 1
    Clock.objects.filter(fires_at__isnull=False).update(fires_at=database_now() + dt.timedelta(hours=1))
    for name in ("escalation", "notifications"):
        ticked(0, name=name)
    assert heart.beat()
    assert "beats again" in caplog.text
    assert "token-123" not in caplog.text


def test_a_private_address_is_refused_unless_allowed(
    well: None, beats: Beats, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = []

    assert not Heartbeat(beats.url, every=60).beat()

    assert beats.paths == []
    assert "BELAY_ALLOWED_HOSTS_OUT" in caplog.text
    assert "token-123" not in caplog.text


def test_an_address_that_answers_badly_is_said_without_its_token(
    well: None, beats: Beats, caplog: pytest.LogCaptureFixture
) -> None:
    beats.status = 404

    assert not Heartbeat(beats.url, every=60).beat()

    assert "404" in caplog.text
    assert "token-123" not in caplog.text
