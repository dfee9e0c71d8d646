"""What libraries meet on the wire when they send by `requests`: statuses, headers, the beginning of bodies.

Apprise says only whether it has sent, Anymail raises exceptions that quote whole addresses. So the one place through
which `requests` sends is wrapped, once: inside of `watched` it notes what came back, follows no redirect, takes no
proxy of the environment, reads no endless body, and asks a server no more that has asked for a pause. Elsewhere it
does nothing.
"""

import contextlib
import datetime as dt
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from core.guard import NotHere, Section, guarded
from core.outgoing import MOST_BYTES, NotAllowedOut, judge
from notifications.channels import punctual
from notifications.channels.answers import in_words, secret_part, verdict
from notifications.channels.base import Failed, FailedForGood

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
_HEADERS_WITH_SECRETS = ("authorization", "x-auth-token", "x-api-key", "api-key", "cookie")


@dataclass(frozen=True, slots=True)
class Met:
    """One answer that came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: dt.datetime


@dataclass(slots=True)
class Wire:
    """What one send has met so far, in order, and what must not be shown of it."""

    section: Section
    secrets: list[str] = field(default_factory=list)
    met: list[Met | Failed] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Tell whether the server is to be left alone: it has asked for a pause, or may not be reached."""
        last = self.met[-1] if self.met else None
        return isinstance(last, FailedForGood) or (isinstance(last, Met) and last.status in {429, 503})

    def note(self, failure: Failed) -> NoReturn:
        """Remember a failure, and let the library see one that quotes nothing."""
        self.met.append(failure)
        raise requests.ConnectionError("no answer")

    def outcome(self, *, sent: bool) -> str:
        """Return the answer if the library takes the message for sent. Raises Failed, FailedForGood otherwise."""
        good = any(isinstance(one, Met) and 200 <= one.status < 300 for one in self.met)
        if sent and good:
            return self.said()
        for one in reversed(self.met):
            if isinstance(one, Failed):
                raise one
            if not 200 <= one.status < 300:
                return verdict(one.status, one.headers, one.body, secrets=self.secrets, now=one.at)
        if good:
            # Some say "ok" by the status and "no" in the body.
            raise Failed("not accepted: " + self.said())
        raise FailedForGood("nothing was sent: the service does not take this address or message")

    def said(self) -> str:
        """Return the last answer in words, "" where none came."""
        answers = [one for one in self.met if isinstance(one, Met)]
        return in_words(answers[-1].status, answers[-1].body, self.secrets) if answers else ""


_wire: ContextVar[Wire | None] = ContextVar("belay_wire", default=None)
_installing = threading.Lock()
_send = HTTPAdapter.send


@contextlib.contextmanager
def watched(*secrets: str, seconds: float | None = None) -> Iterator[Wire]:
    """Watch and guard what is sent by `requests` inside: to allowed addresses only, in `seconds` all in all.

    `secrets` are addresses and tokens that no answer may repeat. What raises inside raises Failed or FailedForGood,
    without a word of what the library said.
    """
    _install()
    limit = punctual.AT_MOST_SECONDS if seconds is None else seconds
    with guarded(limit, judge) as section:
        wire = Wire(section, [secret_part(secret) if "://" in secret else secret for secret in secrets])
        token = _wire.set(wire)
        try:
            yield wire
        except Failed:
            raise
        except NotHere as error:
            raise FailedForGood(f"refused: {error}") from None
        except Exception as error:  # noqa: BLE001 whatever it is must not be quoted
            # From None: their words, and the tracebacks that loggers write, quote addresses with their tokens.
            if wire.met:
                wire.outcome(sent=False)
            raise Failed(f"it failed ({type(error).__name__})") from None
        finally:
            _wire.reset(token)


def _install() -> None:
    with _installing:
        if HTTPAdapter.send is not _watched_send:
            HTTPAdapter.send = _watched_send  # type: ignore[method-assign]
            # It logs every path.
            logging.getLogger("urllib3.connectionpool").addFilter(lambda _: _wire.get() is None)


def _watched_send(
    self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any
) -> requests.Response:
    wire = _wire.get()
    if wire is None:
        return _send(self, request, *args, **kwargs)
    host = urlsplit(str(request.url)).hostname or "the service"
    wire.secrets.append(secret_part(str(request.url)))
    wire.secrets += [str(request.headers[name]) for name in _HEADERS_WITH_SECRETS if name in request.headers]
    left = wire.section.left()
    if wire.over or not left:
        raise requests.ConnectionError("not tried")
    try:
        response = _send(
            self,
            request,
            stream=True,
            timeout=(min(left, _CONNECT_SECONDS), min(left, _READ_SECONDS)),
            verify=kwargs.get("verify", True),
            cert=kwargs.get("cert"),
            proxies=OrderedDict(),
        )
        body = _beginning(response)
    except NotAllowedOut as error:
        wire.note(FailedForGood(f"{host}: {error}"))
    except NotHere:
        wire.note(FailedForGood(f"{host}: only internet addresses are reached"))
    except (requests.RequestException, OSError) as error:
        wire.note(Failed(f"{host}: {_why(error, wire.section)}"))
    # What is no redirect any more is not followed.
    response.headers.pop("Location", None)
    wire.met.append(Met(response.status_code, response.headers, body, dt.datetime.now(dt.UTC)))
    return response


def _beginning(response: requests.Response) -> bytes:
    """Read the beginning of the body, and let it be all of it."""
    body = b""
    for piece in response.iter_content(8192):
        body += piece
        if len(body) >= MOST_BYTES:
            response.close()
            break
    response._content, response._content_consumed = body, True  # noqa: SLF001
    return body


def _why(error: Exception, section: Section) -> str:
    if section.cut or not section.left():
        return "timed out: not done in the time there is"
    if isinstance(error, requests.Timeout | TimeoutError):
        return "timed out"
    if isinstance(error, requests.exceptions.SSLError):
        return "no encrypted connection: its certificate is not accepted"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    return f"no answer ({type(error).__name__})"
