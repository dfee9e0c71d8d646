"""The processes of an installation: one description each, for `manage.py up`, docker-compose.yml and the tests."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from helpdesk import environment
from helpdesk.lifeline import dying_with_me

# Queues that carry nothing but "look again".
RINGS = ("engine", "delivery")


@dataclass(frozen=True)
class Process:
    """A program that runs for as long as Belay does."""

    name: str
    command: list[str]
    # More environment than all of them share.
    extra: dict[str, str] = field(default_factory=dict)


def processes() -> list[Process]:
    """Return all of them, in the order they start in."""
    return [
        web(environment.bind_address(), environment.port()),
        # Prefork: an escalation that hangs holds up one process, never both. Threads: mail servers are slow.
        # Its limits are what libpq itself reads: a statement that hangs, or waits for a lock, holds up a batch only.
        worker("engine", pool="prefork", size=2, limits="-c statement_timeout=60s -c lock_timeout=5s"),
        worker("delivery", pool="threads", size=8),
        worker("bulk", pool="threads", size=2),
        Process("beat", [*_celery(), "beat", "--pidfile", "", "--loglevel", "WARNING"]),
        Process("pacemaker", [sys.executable, "manage.py", "pacemaker"]),
    ]


def web(bind: str, port: int) -> Process:
    """Describe the web process: granian on one port."""
    command = [sys.executable, "-m", "granian", "helpdesk.asgi:application"]
    command += ["--interface", "asginl", "--host", bind, "--port", str(port), "--no-ws"]
    # An open stream never ends by itself: after so many seconds granian ends its worker.
    command += ["--workers", "1", "--workers-kill-timeout", "2", "--respawn-failed-workers"]
    # What libpq itself reads. A page that takes longer than this is a bug, and holds a thread. Its many joins only look
    # up names: to try out every order of them would take ten times as long as to run the statement.
    limit = {"PGOPTIONS": "-c statement_timeout=30s -c join_collapse_limit=4"}
    return Process("web", [*command, "--log-level", "warning"], limit)


def worker(queue: str, *, pool: str, size: int, limits: str = "") -> Process:
    """Describe a Celery worker of one queue."""
    command = [*_celery(), "worker", "--queues", queue, "--hostname", f"{queue}@%h", "--pool", pool]
    command += ["--concurrency", str(size), "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    if queue in RINGS:
        # Rings that were missed while no worker ran say nothing that the next one does not: rows are the truth.
        command.append("--purge")
    return Process(queue, command, {"PGOPTIONS": limits} if limits else {})


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "--app", "helpdesk"]


def start(process: Process, *, log: IO[bytes], extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that ends with this one, outside of the supervisor; it writes to `log`. From the main thread."""
    return subprocess.Popen(
        process.command,
        cwd=environment.BASE_DIR,
        env=os.environ | process.extra | dict(extra),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=dying_with_me(),  # noqa: PLW1509 no other thread forks meanwhile
    )
