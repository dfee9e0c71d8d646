"""One server process: started, asked whether it answers, stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping

from helpdesk.embedded.places import Places
from helpdesk.embedded.programs import Programs
from helpdesk.lifeline import dying_with_me

READY_WITHIN = 60.0
STOPPED_WITHIN = 8.0
LONGEST_LOG = 10_000_000

# Sized for two cores and a million tickets; more is what DATABASE_URL is for.
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
# For tests, which lose nothing when the machine loses power.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class ServerFailed(Exception):
    """A server ended or did not answer; carries the end of its log."""


class Server:
    """One server process, owned by the keeper."""

    def __init__(self, name: str, command: list[str], where: Places, answers: Callable[[], bool]) -> None:
        self.name, self.command, self.where, self.answers = name, command, where, answers
        self.log = where.log / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        mode = "wb" if self.log.exists() and self.log.stat().st_size > LONGEST_LOG else "ab"
        with self.log.open(mode) as log:
            self.process = run_as_owner(self.where, self.command, output=log.fileno())
        until = time.monotonic() + READY_WITHIN
        while not self.answers():
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended at once: {self.last_words()}")
            if time.monotonic() > until:
                self.stop()
                raise ServerFailed(
                    f"{self.name} did not answer within {READY_WITHIN:.0f} s: {self.last_words()}"
                )
            time.sleep(0.02)

    def has_died(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self) -> None:
        """Stop in order (for PostgreSQL SIGINT is the fast shutdown), by force after a while."""
        if self.process is None or self.has_died():
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        """Return the last line of the log, as a reason."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"see {self.log}"


def run_as_owner(where: Places, command: list[str], *, output: int) -> subprocess.Popen[bytes]:
    """Start a program as the user who owns the servers' data, tied to the life of this process."""
    options: dict[str, int | list[int]] = {}
    if os.geteuid() != where.uid:
        options = {"user": where.uid, "group": where.gid, "extra_groups": []}
    process: subprocess.Popen[bytes] = subprocess.Popen(
        command,
        cwd=where.run,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC"},
        # Runs after the change of user, which would clear it. SIGINT ends both servers in order.
        preexec_fn=dying_with_me(signal.SIGINT),  # noqa: PLW1509 the keeper has one thread
        **options,  # type: ignore[call-overload]
    )
    return process


def postgres(where: Places, programs: Programs, *, durable: bool) -> Server:
    """Describe the PostgreSQL server: a socket in a private folder and nothing else."""
    settings: Mapping[str, str] = POSTGRES_SETTINGS | ({} if durable else NOT_DURABLE)
    command = [str(programs.postgres), "-D", str(where.data), "-k", str(where.run)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]

    def answers() -> bool:
        import psycopg2

        try:
            psycopg2.connect(host=str(where.run), user=where.user, dbname="postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    return Server("postgres", command, where, answers)


def valkey(where: Places, programs: Programs) -> Server:
    """Describe the Valkey server. It keeps nothing on disk: rows are the truth, it only rings."""
    options = {
        "port": "0",
        "unixsocket": str(where.valkey_socket),
        "unixsocketperm": "700",
        "dir": str(where.run),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "loglevel": "warning",
    }
    command = [str(programs.valkey)]
    for name, value in options.items():
        command += [f"--{name}", value]

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(where.valkey_socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    return Server("valkey", command, where, answers)
