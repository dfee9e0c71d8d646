"""`manage.py up`, whole: the slow proof that it starts, serves, survives and leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from helpdesk import embedded
from helpdesk.embedded.places import ROOTS_HOME, Places
from helpdesk.environment import BASE_DIR
from helpdesk.lifeline import is_running
from tests.helpers import free_port, patience

pytestmark = pytest.mark.slow


class Installation:
    """A Belay of its own, in a folder and on a port of its own."""

    def __init__(self) -> None:
        self.var = Path(tempfile.mkdtemp(prefix="belay-up-"))
        self.where: Places = embedded.places(self.var)
        self.port = free_port()
        self.log = self.var / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("BELAY_", "DATABASE_", "REDIS_"))
        }
        return inherited | {
            "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
            "BELAY_ENV_FILE": "",
            "BELAY_VAR": str(self.var),
            "PORT": str(self.port),
        }

    def up(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-demo"],
                cwd=BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 90
        while not self.ready().get("ready"):
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.2)

    def ready(self) -> dict[str, object]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, OSError):
            return {}

    def stop(self, sign: signal.Signals = signal.SIGINT) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, sign)
        self.process.wait(15)

    def processes(self) -> list[int]:
        """Return every living process that carries this installation in its environment or command."""
        mark, found = str(self.var).encode(), []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and is_running(int(folder.name)):
                try:
                    text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                except OSError:
                    continue  # it has just ended
                if mark in text or str(self.where.run).encode() in text:
                    found.append(int(folder.name))
        return found

    def wait_until_gone(self) -> None:
        until = time.monotonic() + 10
        while left := self.processes():
            assert time.monotonic() < until, left
            time.sleep(0.1)

    def query(self, sql: str) -> int:
        link = psycopg2.connect(host=str(self.where.run), user=self.where.user, dbname="belay")
        with link, link.cursor() as cursor:
            cursor.execute(sql)
            (answer,) = cursor.fetchone()
        link.close()
        return int(answer)


@pytest.fixture
def installation() -> Iterator[Installation]:
    one = Installation()
    yield one
    if one.process is not None and one.process.poll() is None:
        one.stop(signal.SIGKILL)
    one.wait_until_gone()
    shutil.rmtree(one.var)
    if one.where.home.parent == ROOTS_HOME:
        shutil.rmtree(one.where.home)


def test_it_starts_again_quickly_and_leaves_nothing_behind(installation: Installation) -> None:
    installation.up()
    assert "admin admin@example.com, password " in installation.log.read_text()
    installation.stop()
    assert installation.processes() == []

    began = time.monotonic()
    installation.up()
    assert time.monotonic() - began < patience(10)
    assert "password" not in installation.log.read_text()
    installation.stop(signal.SIGTERM)
    assert installation.processes() == []


def test_killing_it_kills_the_pool_processes_too(installation: Installation) -> None:
    installation.up()
    time.sleep(3)  # until Celery has forked
    assert len(installation.processes()) >= 12
    assert installation.process is not None

    installation.process.kill()
    installation.process.wait()

    installation.wait_until_gone()
    installation.up()
    assert installation.ready()["database"] is True


def test_processes_and_servers_that_are_killed_come_back(installation: Installation) -> None:
    installation.up()
    time.sleep(3)
    assert installation.process is not None
    servers = {int(installation.where.keeper_lock.read_text())}
    servers |= {pid for pid in installation.processes() if is_server(pid)}
    for pid in set(installation.processes()) - servers - {installation.process.pid}:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)

    until = time.monotonic() + 30
    while not installation.ready().get("ready"):
        assert time.monotonic() < until, installation.log.read_text()[-3000:]
        time.sleep(0.2)
    assert "ended with signal SIGKILL; starting it again" in installation.log.read_text()


def is_server(pid: int) -> bool:
    try:
        return b"programs" in (line := Path(f"/proc/{pid}/cmdline").read_bytes()) or b"postgres" in line
    except OSError:
        return False


def test_two_run_side_by_side_and_a_second_start_of_one_is_refused(installation: Installation) -> None:
    other = Installation()
    try:
        installation.up()
        other.up()
        assert installation.ready()["ready"]
        again = subprocess.run(
            [sys.executable, "manage.py", "up"],
            cwd=BASE_DIR,
            env=installation.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 1
        assert "Belay already runs on this folder" in again.stderr
        assert installation.ready()["ready"]
        # The ticks of each go through its own broker to its own rows.
        assert (
            other.query("SELECT count(*) FROM django_celery_beat_periodictask WHERE total_run_count >= 0")
            >= 3
        )
    finally:
        if other.process is not None:
            other.stop()
        other.wait_until_gone()
        shutil.rmtree(other.var)
        if other.where.home.parent == ROOTS_HOME:
            shutil.rmtree(other.where.home)
