"""Start Belay: servers, database, demo on the first start, then every process, until Ctrl-C."""

import contextlib
import fcntl
import http.client
import os
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from helpdesk import embedded, environment
from helpdesk.processes import Process, processes
from helpdesk.supervisor import Console, Supervisor

SLOW_AFTER = 60.0


class Command(BaseCommand):
    help = "Start everything and show what it says; Ctrl-C stops all of it."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="start empty, with one admin")

    def handle(self, *args: Any, no_demo: bool, **options: Any) -> None:
        self.console = Console(sys.stdout)
        var = environment.make_var(environment.var_dir())
        with only_one(), embedded.servers():
            # After the lock: a port that this very installation holds is a second start, not a busy port.
            require_free_port()
            call_command("prepare", stdout=Lines(self.console))
            self.fill(no_demo=no_demo)
            connections.close_all()
            mail_port = free_port()
            (var / "mail.port").write_text(f"{mail_port}\n")
            sink = Process("mail", [sys.executable, "manage.py", "mailsink", "--port", str(mail_port)])
            inherited = {
                "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
                "BELAY_COLOUR": "1" if self.console.coloured else "0",
                **os.environ,
                "PYTHONUNBUFFERED": "1",
            }
            supervisor = Supervisor([sink, *processes()], environment=inherited, console=self.console)
            supervisor.run(Readiness(self.console).look)
        self.console.say("belay", "stopped")

    def fill(self, *, no_demo: bool) -> None:
        """Give an empty database its demo, or its first admin."""
        if get_user_model().objects.exists():
            return
        if no_demo:
            call_command("create_admin", stdout=Lines(self.console))
            return
        self.console.say("belay", "first start: loading the demo")
        call_command("load_demo", stdout=Lines(self.console))


class Lines:
    """A stream for commands to write to that ends up in the console, line by line."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                self.console.say("belay", line)
        return len(text)

    def flush(self) -> None:
        """Hold nothing back."""

    def isatty(self) -> bool:
        return False


class Readiness:
    """Asks /readyz until it answers 200, then says once where to go and who may sign in."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()
        self.done = self.complained = False
        self.host = environment.bind_address().replace("0.0.0.0", "127.0.0.1")  # noqa: S104 any address: ask here

    def look(self) -> None:
        if self.done:
            return
        answer = self.ask()
        if answer.startswith("200"):
            self.done = True
            self.greet()
        elif not self.complained and time.monotonic() - self.began > SLOW_AFTER:
            self.complained = True
            self.console.say("belay", f"not ready after {SLOW_AFTER:.0f} s: {answer}", 31)

    def ask(self) -> str:
        link = http.client.HTTPConnection(self.host, environment.port(), timeout=2)
        try:
            link.request("GET", "/readyz", headers={"Host": "localhost"})
            reply = link.getresponse()
            return f"{reply.status} {reply.read(500).decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        finally:
            link.close()

    def greet(self) -> None:
        self.console.say("belay", f"ready after {time.monotonic() - self.began:.1f} s")
        sign_ins = environment.var_dir() / "sign-ins.txt"
        if sign_ins.exists():
            for line in sign_ins.read_text().splitlines():
                self.console.say("belay", line)
        self.console.say("belay", f"open {environment.public_url()}  (Ctrl-C stops everything)", 92)


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Refuse a second start of the same installation."""
    path = environment.var_dir() / "up.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            mend = "Stop it first, or give another BELAY_VAR and PORT"
            problem = "Belay already runs on this folder"
            raise environment.ConfigurationError("BELAY_VAR", path.parent, problem, mend) from error
        yield


def require_free_port() -> None:
    """Refuse a port that another program listens on."""
    host, port = environment.bind_address(), environment.port()
    if not environment.port_is_free(host, port):
        mend = f"Stop the program that uses it, or give another: PORT={port + 1}"
        raise environment.ConfigurationError("PORT", port, f"already in use on {host}", mend)


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
