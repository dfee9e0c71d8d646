"""Start web processes as `bin/run` does, each on a bench's database."""

import contextlib
import http.client
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.databases import KEPT, url_of
from helpdesk.processes import start, web

_PATIENCE = 60.0
_POLL = 0.05
_Server = subprocess.Popen[bytes]


@contextlib.contextmanager
def web_servers(databases: Sequence[str]) -> Iterator[list[int]]:
    """Have granian with production's settings on each of these databases; yields their ports, when all answer.

    Static files must have been collected (`bench.web.people.collect_static`): their names stand in every page.
    """
    ports = [_free_port() for _ in databases]
    logs = [KEPT / f"web-{port}.log" for port in ports]
    servers: list[_Server] = []
    try:
        for database, port, log in zip(databases, ports, logs, strict=True):
            servers.append(_start(database, port, log))
        for server, port, log in zip(servers, ports, logs, strict=True):
            _wait(server, port, log)
        yield ports
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        for log in logs:
            log.unlink(missing_ok=True)


def _start(database: str, port: int, log: Path) -> _Server:
    process = web("127.0.0.1", port)
    extra = {
        "DATABASE_URL": url_of(database),
        "DJANGO_SETTINGS_MODULE": "bench.web.settings",
        "BELAY_URL": f"http://localhost:{port}",
    }
    with log.open("wb") as said:
        return start(process, log=said, extra=extra)


def _wait(server: _Server, port: int, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the web process did not start:\n{log.read_text()[-2000:]}")
        time.sleep(_POLL)


def _free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        link.request("GET", "/healthz", headers={"Host": "localhost"})
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()
