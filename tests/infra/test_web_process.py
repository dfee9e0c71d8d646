"""The one port: pages, posts and streams through granian."""

import http.client
import os
import subprocess
import time

import pytest

from helpdesk.environment import BASE_DIR
from helpdesk.lifeline import dying_with_me
from helpdesk.processes import web
from tests.browser_fixtures import Live
from tests.helpers import free_port


def ask(port: int, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request(method, path, body, {"Host": "localhost"})
    return link.getresponse()


def test_a_post_reaches_django(live: Live) -> None:
    answer = ask(live.port, "POST", "/healthz", b"x" * 100_000)

    # From its CSRF check, which has read the whole body.
    assert answer.status == 403


def test_the_stream_is_not_served_by_a_page_thread(live: Live) -> None:
    """The eight threads stay free: strangers are turned away by the stream itself."""
    assert ask(live.port, "GET", "/live/board/").status in {401, 403}


def test_static_files_are_served_hashed_and_for_ever(live: Live) -> None:
    answer = ask(live.port, "GET", "/static/tabler/tabler.min.css")
    assert answer.status == 200


def test_an_open_stream_does_not_hold_up_the_end() -> None:
    port = free_port()
    command = [
        "tests.infra.endless:application" if word == "helpdesk.asgi:application" else word
        for word in web("127.0.0.1", port).command
    ]
    server = subprocess.Popen(
        command,
        cwd=BASE_DIR,
        env=os.environ | {"PYTHONPATH": str(BASE_DIR)},
        preexec_fn=dying_with_me(),  # noqa: PLW1509 tests start it from the main thread
    )
    until = time.monotonic() + 20
    while True:
        try:
            stream = ask(port, "GET", "/live/board/")
            break
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.1)
    assert stream.readline() == b"data: open\n"

    began = time.monotonic()
    server.terminate()

    server.wait(8)
    assert time.monotonic() - began < 5
    with pytest.raises(ConnectionRefusedError):
        ask(port, "GET", "/")
