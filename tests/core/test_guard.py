"""A guarded section reaches allowed addresses only, and ends in time (core.guard)."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from core.guard import NotHere, guarded
from core.outgoing import NotAllowedOut, judge


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_private_address_is_not_connected_to(listening: socket.socket) -> None:
    with guarded(5, judge), pytest.raises(NotAllowedOut, match=r"127\.0\.0\.1"):
        socket.create_connection(listening.getsockname(), timeout=1)


def test_outside_of_a_section_nothing_is_judged(listening: socket.socket) -> None:
    with guarded(5, judge):
        pass

    socket.create_connection(listening.getsockname(), timeout=1).close()


def test_another_thread_is_not_guarded_by_mine(listening: socket.socket) -> None:
    went: list[bool] = []

    def connect() -> None:
        socket.create_connection(listening.getsockname(), timeout=1).close()
        went.append(True)

    with guarded(5, judge):
        thread = threading.Thread(target=connect)
        thread.start()
        thread.join(2)

    assert went == [True]


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "localhost"])
def test_an_admin_allows_addresses_networks_and_names(
    allowed: str, listening: socket.socket, settings: Any
) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = [allowed]

    with guarded(5, judge):
        socket.create_connection(listening.getsockname(), timeout=1).close()


def test_a_name_is_never_connected_to_unresolved(listening: socket.socket, settings: Any) -> None:
    with (
        guarded(5, judge),
        socket.socket() as link,
        pytest.raises(NotAllowedOut),
    ):
        # The system would ask for the name once more, after the judgement.
        link.connect(("localhost", listening.getsockname()[1]))


def test_sockets_of_this_machine_and_datagrams_are_refused(tmp_path: Path) -> None:
    with guarded(5, judge):
        with socket.socket(socket.AF_UNIX) as link, pytest.raises(NotHere):
            link.connect(str(tmp_path / "bus"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link, pytest.raises(NotAllowedOut):
            link.sendto(b"x", ("127.0.0.1", 514))


def test_neither_files_nor_programs_are_of_use_inside(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("{}")

    with guarded(5, judge):
        with pytest.raises(NotHere):
            secret.read_text()
        with pytest.raises(NotHere):
            tempfile.mkdtemp()
        with pytest.raises(NotHere):
            subprocess.run([sys.executable, "-c", ""], check=True)


def test_what_requests_needs_of_this_machine_it_gets(settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]

    with guarded(5, judge), pytest.raises(requests.ConnectionError):
        # Port 9: nobody listens. Certificates, modules and the like could be read on the way.
        requests.get("https://127.0.0.1:9/", timeout=1)


def test_who_waits_for_a_server_that_trickles_goes_on_when_the_time_is_over(
    listening: socket.socket, settings: Any
) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    over = threading.Event()

    def trickle() -> None:
        link, _ = listening.accept()
        with link, contextlib.suppress(OSError):
            while not over.wait(0.05):
                link.sendall(b"H")

    thread = threading.Thread(target=trickle)
    thread.start()
    began = time.monotonic()
    try:
        with guarded(0.4, judge) as section:
            with pytest.raises(requests.RequestException):
                requests.get(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout=5)
            assert section.cut
            with pytest.raises(TimeoutError):
                socket.create_connection(listening.getsockname(), timeout=1)
    finally:
        over.set()
        thread.join(2)

    assert 0.3 < time.monotonic() - began < 1.5


def test_no_socket_is_held_after_the_section(listening: socket.socket, settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    with guarded(5, judge):
        link = socket.create_connection(listening.getsockname(), timeout=1)
    there, _ = listening.accept()

    link.close()

    there.settimeout(1)
    assert there.recv(1) == b""
    there.close()
