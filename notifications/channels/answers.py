"""What an HTTP answer means for a message: sent, refused for good, to be tried again; and what of it may be shown."""

import datetime as dt
import html
import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote, unquote, urlsplit

from core.text import storable
from notifications.channels.base import Failed, FailedForGood

# Timed out, too early, too many: the same request may be taken later.
_PASSING = frozenset({408, 425, 429})
# The address itself has moved: whoever entered it must enter the new one.
_MOVED = frozenset({301, 308})
# Nobody shall be silenced for a day by one answer.
_LONGEST_PAUSE = 3600.0
_LONGEST = 200
# Shorter pieces of an address stand in every other sentence.
_SHORTEST_SECRET = 4
_SPLIT = re.compile(r"[/?&=#:@,;\s]+")


def verdict(
    status: int, headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str] = (), now: dt.datetime
) -> str:
    """Return a provider's answer in words where it took the message; `now` is when the answer came (UTC).

    Raises Failed, FailedForGood otherwise. Nothing of `secrets` (addresses, tokens) is in the words.
    """
    words = in_words(status, body, secrets)
    if 200 <= status < 300:
        return words
    if status in _MOVED or (400 <= status < 500 and status not in _PASSING):
        raise FailedForGood(words)
    raise Failed(words, retry_after=retry_after(headers, now) if status in {429, 503} else None)


def in_words(status: int, body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return a status and the beginning of what was said, without secrets."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    said = " ".join(redacted(storable(body.decode(errors="replace")), secrets).split())
    said = "".join(char for char in said if char.isprintable())
    start = said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
    return f"{status} {phrase}".strip() + (f": {start}" if start else "")


def retry_after(headers: Mapping[str, str], now: dt.datetime) -> float | None:
    """Return after how many seconds a server wants to be asked again, None where it does not say.

    A date is taken by the server's own clock, if it tells that, too.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        return min(float(said[:9]), _LONGEST_PAUSE)
    until = _date(said)
    if until is None:
        return None
    pause = (until - (_date(headers.get("Date", "")) or now)).total_seconds()
    return min(max(pause, 0.0), _LONGEST_PAUSE)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the pieces of these addresses and tokens, however they are written."""
    pieces = {piece for secret in secrets for piece in _pieces(secret)}
    # The longest first: a token may hold another one.
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, "…")
    return text


def _pieces(secret: str) -> Iterable[str]:
    for written in {secret, unquote(secret)}:
        for piece in (written, *_SPLIT.split(written)):
            if len(piece) >= _SHORTEST_SECRET:
                yield from {piece, html.escape(piece), quote(piece, safe=""), piece.replace("/", "\\/")}


def secret_part(url: str) -> str:
    """Return all of an address but its scheme and host, which may be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    user = parts.netloc.rpartition("@")[0]
    return " ".join(filter(None, (user, parts.path, parts.query, parts.fragment)))


def _date(text: str) -> dt.datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
