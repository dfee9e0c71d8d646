"""Messages are rendered when they are sent; each app registers how its kinds read.

What a batch is rendered from is loaded once for all of it: a kind comes with a loader, which takes the rows of its
kinds and returns whatever its renderer wants beside the row.
"""

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError

from notifications.models import Notification
from tickets.models import Ticket

log = logging.getLogger("belay.delivery")

# Rendered from the rows that it carries (notifications.digests), not by a renderer of its own.
DIGEST = "notifications.digest"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to go out: a subject line, plain text, HTML with everything escaped, and a short form.

    The short form goes where a mail would be too long: SMS, chat, push. It holds the one link that matters.
    """

    subject: str
    text: str
    html: str = ""
    short: str = ""
    # Whether the short form is in an admin's words, which chats then take although they have room for more.
    own_short: bool = False
    link: str = ""
    unsubscribe: str = ""
    # What it was composed from, for those who have words of their own (notifications.wording).
    letter: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One ticket of a digest: what it is, where it stands, since when it waits (UTC), and what to do about it."""

    ticket_id: int
    severity: int
    subject: str
    place: str
    waiting_since: dt.datetime
    action: str
    url: str


@dataclass(frozen=True, slots=True)
class KnownTickets:
    """What the mails of a batch are rendered from, as far as all of them need it; `now` is when it was read (UTC)."""

    now: dt.datetime
    tickets: dict[int, Ticket]

    def ticket(self, row: Notification) -> Ticket:
        """Return what the mail is about. Raises ValueError."""
        if row.ticket_id is None:
            raise ValueError(f"notification {row.pk} ({row.kind}) is about no ticket")
        return self.tickets[row.ticket_id]


def tickets_of(rows: Sequence[Notification]) -> dict[int, Ticket]:
    """Return the tickets that these rows are about, with what mails show of them; one query."""
    return Ticket.objects.for_list().in_bulk({row.ticket_id for row in rows if row.ticket_id is not None})


class UnknownKind(LookupError):
    """Say that nobody registered how this kind of notification reads."""


Loader = Callable[[Sequence[Notification]], Any]
Renderer = Callable[[Notification, Any], Rendered]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of notification reads, and where what it is rendered from comes from."""

    render: Renderer
    load: Loader


LineMaker = Callable[[Notification, Any], Line]


@dataclass(frozen=True, slots=True)
class Folding:
    """How one kind reads as a line of a digest."""

    line: LineMaker
    load: Loader


_kinds: dict[str, Kind] = {}
_foldings: dict[str, Folding] = {}
_names: dict[str, str] = {}


def register_renderer(kind: str, render: Renderer, *, load: Loader) -> None:
    """Register how notifications of `kind` read; called from an app's `ready()`.

    `load` gets many rows, of several kinds where these share it, and must not ask the database once for each.
    """
    _kinds[kind] = Kind(render, load)


def register_line(kind: str, line: LineMaker, *, load: Loader) -> None:
    """Let repetitions of `kind` be folded into digests, and register how each reads there."""
    _foldings[kind] = Folding(line, load)


def kinds() -> list[str]:
    """Return the kinds that somebody renders, digests among them."""
    return sorted({*_kinds, DIGEST})


def name_kinds(names: Mapping[str, str]) -> None:
    """Register what kinds are called on pages; called from an app's `ready()`."""
    _names.update(names)


def name_of(kind: str) -> str:
    """Return what a kind is called; one that nobody has named reads as its own name does."""
    return _names.get(kind) or kind.replace(".", ": ").replace("_", " ")


def foldable_kinds() -> list[str]:
    """Return the kinds that may be folded into digests."""
    return sorted(_foldings)


def lines_of(rows: Sequence[Notification]) -> dict[int, Line]:
    """Return each row's line by its id; a row that can't be read has none. Constant queries for all."""
    by_load: dict[Loader, list[Notification]] = {}
    for row in rows:
        by_load.setdefault(_foldings[row.kind].load, []).append(row)
    lines: dict[int, Line] = {}
    for load, its_rows in by_load.items():
        loaded = load(its_rows)
        for row in its_rows:
            try:
                lines[row.pk] = _foldings[row.kind].line(row, loaded)
            except Exception:
                log.exception("notification %s can't be a line of a digest", row.pk)
    return lines


class Prepared:
    """Rows with what they are rendered from, loaded in a number of queries that does not grow with them."""

    def __init__(self, rows: Sequence[Notification]) -> None:
        by_loader: dict[Loader, list[Notification]] = {}
        for row in rows:
            if row.kind in _kinds:
                by_loader.setdefault(_kinds[row.kind].load, []).append(row)
        self._loaded: dict[Loader, Any] = {}
        for load, its_rows in by_loader.items():
            try:
                self._loaded[load] = load(its_rows)
            except (InterfaceError, OperationalError):
                raise
            except Exception:
                # One row that can't be loaded must not stop the others: each is loaded by itself when its turn comes.
                log.exception("%s messages can't be prepared together", len(its_rows))

    def render(self, row: Notification) -> Rendered:
        """Render one of the rows. Raises UnknownKind."""
        kind = _kinds.get(row.kind)
        if kind is None:
            raise UnknownKind(f"nobody renders “{row.kind}”")
        if kind.load not in self._loaded:
            return kind.render(row, kind.load([row]))
        return kind.render(row, self._loaded[kind.load])


def render(notification: Notification) -> Rendered:
    """Render one notification. Raises UnknownKind."""
    return Prepared([notification]).render(notification)
