"""Start the web process as `bin/run` does, on a bench's database."""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator

from bench.databases import KEPT, url_of
from helpdesk import environment
from helpdesk.lifeline import dying_with_me
from helpdesk.processes import web

_PATIENCE = 60.0
_POLL = 0.05


@contextlib.contextmanager
def web_server(database: str) -> Iterator[int]:
    """Have granian with production's settings on this database; yields its port, when it answers.

    Static files must have been collected (`bench.web.people.prepare`): their hashed names stand in every page.
    """
    port = free_port()
    process = web("127.0.0.1", port)
    extra = {
        "DATABASE_URL": url_of(database),
        "DJANGO_SETTINGS_MODULE": "bench.web.settings",
        "BELAY_URL": f"http://localhost:{port}",
    }
    log_path = KEPT / f"web-{port}.log"
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            process.command,
            cwd=environment.BASE_DIR,
            env=os.environ | process.extra | extra,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=dying_with_me(),  # noqa: PLW1509 no other thread forks meanwhile
        )
    try:
        until = time.monotonic() + _PATIENCE
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the web process did not start:\n{log_path.read_text()[-2000:]}")
            time.sleep(_POLL)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log_path.unlink()


def free_port() -> int:
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
