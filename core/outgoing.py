"""Requests to the outside: never into our own network, unless an admin has allowed the host.

An address that somebody may enter (a webhook, a heartbeat) must not reach what only this machine can reach. So the name
is resolved here, every address it has is judged, and the connection goes to the very address that was judged: a name
that changes its mind in between (DNS rebinding) changes nothing. Redirects are not followed.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from core.guard import guarded

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Iterable[str]]

PORTS = {"http": 80, "https": 443}
MOST_BYTES = 64 * 1024
# Beyond the time given, until the connection is cut.
_GRACE_SECONDS = 0.5
# Ways to write an IPv4 address as an IPv6 one, through which a gateway would carry us to it.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotAllowedOut(Exception):
    """Say that a request may not leave; the words name the host, never the path, which may hold a token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the beginning of the body, and the headers (found in any spelling)."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def request(
    method: str,
    url: str,
    *,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> Answer:
    """Send one request and return its answer within about `timeout` seconds.

    Raises NotAllowedOut for a host that may not be reached, httpx.HTTPError where it can't be; neither holds the path.
    """
    until = time.monotonic() + timeout
    scheme, host, port = _parts(url)
    addresses = allowed_addresses(host, port)
    failure: httpx.HTTPError | None = None
    # Settings of the environment (proxies, netrc) would lead around the judgement. The section ends what trickles in:
    # a time-out of httpx begins anew with every byte.
    with (
        guarded(timeout + _GRACE_SECONDS),
        httpx.Client(trust_env=False, follow_redirects=False) as client,
    ):
        for address in addresses:
            left = until - time.monotonic()
            if left <= 0:
                break
            target = httpx.URL(url).copy_with(host=str(address))
            sent = client.build_request(
                method,
                target,
                content=content,
                headers={**(headers or {}), "Host": _host_header(scheme, host, port)},
                timeout=httpx.Timeout(left, connect=min(left, 5.0)),
                # The certificate is asked for, and checked against, the name.
                extensions={"sni_hostname": host},
            )
            try:
                return _answer(client, sent, until)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
    raise failure or httpx.ConnectTimeout(f"{host} did not answer within {timeout:g} s")


def allowed_addresses(host: str, port: int, *, resolve: "Resolve | None" = None) -> tuple[Address, ...]:
    """Return the addresses of `host`, all of which may be reached. Raises NotAllowedOut otherwise.

    BELAY_ALLOWED_HOSTS_OUT lists names, addresses and networks that may be reached though they are not public.
    """
    names, networks = _allowed()
    try:
        found = tuple(dict.fromkeys(ipaddress.ip_address(text) for text in (resolve or _resolve)(host, port)))
    except (OSError, UnicodeError, ValueError) as error:
        raise NotAllowedOut(f"{host} has no address: {error}") from error
    if not found:
        raise NotAllowedOut(f"{host} has no address.")
    if host.lower().rstrip(".") in names:
        return found
    for address in found:
        if not is_public(address) and not any(address in network for network in networks):
            raise NotAllowedOut(
                f"{host} is {address}, an address of a private network. "
                "Add the host to BELAY_ALLOWED_HOSTS_OUT if it is meant."
            )
    return found


def judge(text: str) -> None:
    """Pass an IP address that may be connected to, for whoever opens sockets by itself (core.guard).

    Raises NotAllowedOut for all that is not public, unless BELAY_ALLOWED_HOSTS_OUT lists it, or a name of it.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise NotAllowedOut("Only addresses that have been resolved are connected to.") from error
    if is_public(address):
        return
    names, networks = _allowed()
    if any(address in network for network in networks) or any(_leads_to(name, address) for name in names):
        return
    raise NotAllowedOut(
        f"{address} is an address of a private network. Add the host to BELAY_ALLOWED_HOSTS_OUT if it is meant."
    )


def _leads_to(name: str, address: Address) -> bool:
    try:
        return any(ipaddress.ip_address(text) == address for text in _resolve(name, 0))
    except (OSError, UnicodeError, ValueError):
        return False


def is_public(address: Address) -> bool:
    """Tell whether anybody on the internet could reach an address; what it carries inside counts too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.scope_id is not None or address.is_site_local:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not address.is_loopback
        and not address.is_link_local
    )


def _parts(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotAllowedOut("This is no web address.") from error
    if parts.scheme not in PORTS or not host:
        raise NotAllowedOut("Only http and https addresses are called.")
    if parts.username is not None or parts.password is not None:
        raise NotAllowedOut(f"The address of {host} holds a password; use a header.")
    return parts.scheme, host, port or PORTS[parts.scheme]


def _host_header(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == PORTS[scheme] else f"{name}:{port}"


def _resolve(host: str, port: int) -> Iterable[str]:
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]


def _answer(client: httpx.Client, sent: httpx.Request, until: float) -> Answer:
    """Read the beginning of the answer; one that trickles in ends with the time there is."""
    answer = client.send(sent, stream=True)
    try:
        body = b""
        for piece in answer.iter_raw():
            body += piece
            if len(body) >= MOST_BYTES or time.monotonic() > until:
                break
        return Answer(answer.status_code, body[:MOST_BYTES], answer.headers)
    finally:
        answer.close()


def _allowed() -> tuple[set[str], list[ipaddress.IPv4Network | ipaddress.IPv6Network]]:
    names, networks = set(), []
    for entry in settings.BELAY_ALLOWED_HOSTS_OUT:
        text = entry.strip().lower().rstrip(".")
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            names.add(text)
    return names, networks
