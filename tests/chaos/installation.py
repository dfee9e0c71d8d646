"""An installation of its own to break: PostgreSQL, Valkey, a mail server and the real processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
import pytest
import redis
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, connection

from helpdesk import environment
from helpdesk.embedded import keeper, server
from helpdesk.embedded.places import Places
from helpdesk.embedded.programs import Programs
from helpdesk.lifeline import dying_with_me
from helpdesk.processes import Process, processes, web
from notifications.models import TickRecord
from tests.chaos.mail_server import MailServer
from tests.helpers import free_port, patience

Found = TypeVar("Found")

SKEWED = Path(__file__).parent / "skewed"


@dataclass
class Ground:
    """The two servers, started by the test itself: no keeper is there to start them again."""

    where: Places
    tools: Programs
    postgres: server.Server
    valkey: server.Server

    @classmethod
    def prepare(cls, where: Places) -> "Ground":
        """Make a cluster, unless it is there already; start nothing."""
        environment.make_var(where.var)
        where.log.mkdir(exist_ok=True)
        valkey, postgres = keeper.prepare(where, durable=False)
        return cls(where, keeper.programs(where), postgres, valkey)

    def start_postgres(self, *, durable: bool = False) -> None:
        """Start PostgreSQL, after a crash too: it recovers by itself."""
        keeper.clean_up(self.where)
        self.postgres = server.postgres(self.where, self.tools, durable=durable)
        self.postgres.start()
        # The test's own ended with the server before.
        connection.close()

    def restore(self) -> None:
        """Have both servers running, whatever was done to them."""
        for one in (self.postgres, self.valkey):
            if not one.has_died():
                assert one.process is not None
                one.process.send_signal(signal.SIGCONT)
        if self.valkey.has_died():
            self.valkey.start()
        if self.postgres.has_died():
            self.start_postgres()

    def stop(self) -> None:
        """Stop both."""
        for one in (self.postgres, self.valkey):
            if one.process is not None and not one.has_died():
                one.process.send_signal(signal.SIGCONT)
            one.stop()


@dataclass
class Running:
    """A process of the installation; it leads a group of its own."""

    name: str
    popen: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.popen.pid

    def children(self) -> list[int]:
        """Return the processes it has started: a prefork worker's pool."""
        return children_of(self.pid)

    def kill(self) -> None:
        """kill -9, the whole group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> None:
        """Ask it to end and make it after a while, as the supervisor does."""
        self.popen.terminate()
        try:
            self.popen.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Installation:
    """One installation: its database, its processes and what it sends; all of it ends with the test."""

    ground: Ground
    database: str
    var: Path
    mail: MailServer
    port: int = field(default_factory=free_port)
    running: list[Running] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.var / "processes.log"

    @property
    def environment(self) -> dict[str, str]:
        """What all processes are started with."""
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
            "BELAY_VAR": str(self.var),
            "BELAY_URL": f"http://localhost:{self.port}",
            "BELAY_PREFIX": f"{self.database}:",
            "DATABASE_URL": f"postgres://{self.ground.where.user}@/{self.ground.where.run}/{self.database}",
            "REDIS_URL": self.ground.where.redis_url,
            "EMAIL_URL": f"smtp://{self.mail.host}:{self.mail.port}",
            "PYTHONUNBUFFERED": "1",
        }

    # --- processes -------------------------------------------------------------------------------------------

    def start(self, *names: str, skew: float | None = None) -> list[Running]:
        """Start processes by name, as `manage.py up` does; `skew` puts their clocks off by seconds."""
        self.var.mkdir(exist_ok=True)
        (self.var / "static").mkdir(exist_ok=True)
        known = {process.name: process for process in processes()}
        known["web"] = web("127.0.0.1", self.port)
        started = [self._spawn(known[name], skew) for name in names]
        self.running += started
        return started

    def supervise(self, *names: str) -> Running:
        """Start processes under the real supervisor."""
        self.var.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.chaos.supervised", *names]
        started = self._spawn(Process("supervisor", command), None)
        self.running.append(started)
        return started

    def _spawn(self, process: Process, skew: float | None) -> Running:
        # PostgreSQL shows the name beside each connection: so a test sees what a process is doing.
        extra = {**process.extra, "PGAPPNAME": process.name}
        command = process.command
        if skew is not None:
            extra |= {"PYTHONPATH": str(SKEWED), "BELAY_TEST_SKEW": str(skew)}
        if "--hostname" in command:
            place = command.index("--hostname") + 1
            command = [*command]
            command[place] = f"{process.name}{len(self.running)}-{free_port()}@%h"
        with self.log.open("ab") as log:
            popen = subprocess.Popen(
                command,
                cwd=environment.BASE_DIR,
                env=self.environment | extra,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dying_with_me(),  # noqa: PLW1509 tests start processes from the main thread only
            )
        return Running(process.name, popen)

    def end(self) -> None:
        """Kill every process and bring the servers back for the next test."""
        for one in self.running:
            for child in one.children():
                # Under the supervisor each child leads a group of its own.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child, signal.SIGKILL)
            one.kill()
        self.mail.stop()
        self.ground.restore()

    def pid_of(self, supervisor: Running, name: str) -> int | None:
        """Return the id of a process under the supervisor, None while it is not running."""
        for pid in supervisor.children():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if any(word == name or word.startswith(f"{name}@") for word in words):
                    return pid
        return None

    def blocked(self, name: str) -> int:
        """Count the transactions of a process that have written and now wait for a lock."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT count(*) FROM pg_stat_activity
                WHERE application_name = %s AND wait_event_type = 'Lock' AND backend_xid IS NOT NULL
                """,
                [name],
            )
            return int(cursor.fetchone()[0])

    def wait_for_ticks(self, seconds: float = 30) -> None:
        """Return once both engines have ticked."""
        wait_for("first ticks", lambda: TickRecord.objects.count() == 2, seconds)

    # --- the servers -----------------------------------------------------------------------------------------

    def broker(self) -> "redis.Redis":
        """Return a client of the broker."""
        return redis.Redis.from_url(self.ground.where.redis_url, socket_timeout=5)

    def freeze(self, one: server.Server) -> None:
        """SIGSTOP: it accepts connections and never answers."""
        assert one.process is not None
        one.process.send_signal(signal.SIGSTOP)

    def thaw(self, one: server.Server) -> None:
        assert one.process is not None
        one.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def connect(self) -> Iterator[Any]:
        """A connection besides Django's, in a transaction that is rolled back at the end."""
        link = psycopg2.connect(
            host=str(self.ground.where.run), user=self.ground.where.user, dbname=self.database
        )
        try:
            yield link
        finally:
            link.rollback()
            link.close()


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def look(question: Callable[[], Found]) -> Found | None:
    """Ask the database; None while it does not answer."""
    try:
        return question()
    except (DatabaseError, InterfaceError, psycopg2.Error):
        connection.close()
        return None


def wait_for(what: str, question: Callable[[], Found], seconds: float = 30, *, pause: float = 0.02) -> Found:
    """Ask until the answer is true; fail after so many seconds."""
    began = time.monotonic()
    while time.monotonic() - began < patience(seconds):
        if found := look(question):
            return found
        time.sleep(pause)
    pytest.fail(f"{what}: not within {time.monotonic() - began:.0f} s")


def fill_ticks() -> None:
    """Write beat's ticks, as every start does."""
    call_command("sync_ticks")
