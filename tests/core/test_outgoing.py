"""What may leave: nothing into a private network, by whatever name or spelling (core.outgoing)."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from core import outgoing
from core.outgoing import NotAllowedOut, allowed_addresses, is_public, request
from tests.helpers import free_port


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::",
    ],
)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 judged, not bound to
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        # An IPv4 address in IPv6 clothes: mapped, NAT64, 6to4, Teredo.
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
    ],
)
def test_private_addresses_may_not(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    # What inet_aton takes for 127.0.0.1 besides its usual spelling.
    ["localhost", "127.1", "0x7f.1", "2130706433", "0", "::1"],
)
def test_no_spelling_of_this_machine_gets_through(host: str) -> None:
    with pytest.raises(NotAllowedOut):
        allowed_addresses(host, 80)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(NotAllowedOut, match=r"10\.0\.0\.7"):
        allowed_addresses("mixed.example", 443, resolve=lambda *_: ["1.1.1.1", "10.0.0.7"])


@pytest.mark.parametrize(
    "allowed", [["hooks.internal"], ["HOOKS.internal."], ["10.0.0.7"], ["10.0.0.0/8"], ["x", "10.0.0.0/24"]]
)
def test_an_admin_allows_hosts_addresses_and_networks(allowed: list[str], settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = allowed

    (address,) = allowed_addresses("hooks.internal", 80, resolve=lambda *_: ["10.0.0.7"])

    assert str(address) == "10.0.0.7"


@pytest.mark.parametrize("allowed", [["other.internal"], ["internal"], ["10.0.1.0/24"], []])
def test_what_is_allowed_allows_nothing_else(allowed: list[str], settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = allowed

    with pytest.raises(NotAllowedOut, match="BELAY_ALLOWED_HOSTS_OUT"):
        allowed_addresses("hooks.internal", 80, resolve=lambda *_: ["10.0.0.7"])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://1.1.1.1/",
        "file:///etc/passwd",
        "//1.1.1.1/",
        "http://",
        "http://u:secret@1.1.1.1/",
        "http://1.1.1.1:x/",
    ],
)
def test_other_addresses_are_refused_without_telling_them(url: str) -> None:
    with pytest.raises(NotAllowedOut) as refused:
        request("GET", url)

    assert "secret" not in str(refused.value)
    assert "passwd" not in str(refused.value)


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers["Host"]))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/inside")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (200_000 if self.path == "/long" else 2))

    do_POST = do_GET  # noqa: N815 the server calls it so

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(settings: Any) -> Iterator[_Server]:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["hooks.example"]
    with _Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where hooks.example leads, one answer of the name server after the other."""
    answers = ["127.0.0.1"]
    asked = lambda *_: [answers.pop(0) if len(answers) > 1 else answers[0]]  # noqa: E731
    monkeypatch.setattr(outgoing, "_resolve", asked)
    return answers


def test_a_request_goes_to_the_judged_address_under_the_hosts_name(server: _Server, names: list[str]) -> None:
    port = server.server_address[1]
    names[:] = ["127.0.0.1", "192.0.2.1"]

    answer = request("POST", f"http://hooks.example:{port}/in?x=1", content=b"{}", timeout=3)

    assert (answer.status, answer.ok, answer.body) == (200, True, b"xx")
    assert server.seen == [("POST", "/in?x=1", f"hooks.example:{port}")]
    # One question was asked, so nothing could change between judging and connecting.
    assert names == ["192.0.2.1"]


def test_redirects_are_not_followed(server: _Server, names: list[str]) -> None:
    answer = request("GET", f"http://hooks.example:{server.server_address[1]}/away", timeout=3)

    assert (answer.status, answer.ok) == (302, False)
    assert len(server.seen) == 1


def test_a_long_answer_is_cut(server: _Server, names: list[str]) -> None:
    answer = request("GET", f"http://hooks.example:{server.server_address[1]}/long", timeout=3)

    assert len(answer.body) == outgoing.MOST_BYTES


def test_a_second_address_helps_where_the_first_refuses(
    server: _Server, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "_resolve", lambda *_: ["127.0.0.9", "127.0.0.1"])

    assert request("GET", f"http://hooks.example:{server.server_address[1]}/", timeout=3).ok


def test_a_server_that_never_answers_costs_the_time_given(settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(httpx.TimeoutException) as failed:
        request("GET", f"http://127.0.0.1:{mute.getsockname()[1]}/token-123", timeout=0.3)

    assert "token-123" not in str(failed.value)


def test_a_server_that_refuses_is_named_without_the_path(settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]

    with pytest.raises(httpx.HTTPError) as failed:
        request("GET", f"http://127.0.0.1:{free_port()}/token-123", timeout=1)

    assert "token-123" not in str(failed.value)
