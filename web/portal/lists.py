"""My requests: what is open first, then what is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from core.db import database_now
from tickets.models import Ticket
from tickets.querysets import OPEN, TicketQuerySet
from web.doors import by_script
from web.portal.progress import Promise, headline, next_promises
from web.portal.reach import follows_organisation, portal_tickets
from web.shell import SignedIn, signed_in

PAGE_SIZE = 25
BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Row:
    """One request in the list."""

    ticket: Ticket
    headline: str
    promise: Promise | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: in which part, open (0) or done (1), and below which number."""

    part: int
    below: int

    def __str__(self) -> str:
        return f"{self.part}-{self.below}"

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read a place out of an address; None for anything else, which is then the first page."""
        part, _, below = text.partition("-")
        if part not in ("0", "1") or not (below.isascii() and below.isdigit() and len(below) < 19):
            return None
        return cls(int(part), int(below))


@require_GET
@signed_in
def my_tickets(request: SignedIn) -> HttpResponse:
    """Show the person's requests, or their organisation's, by keyset pages; a search spans subject and number."""
    user = request.user
    follows = follows_organisation(user)
    everybody = follows and request.GET.get("who") == "all"
    words = " ".join(request.GET.get("q", "").replace("\x00", "").split())[:100]
    tickets = _matching(portal_tickets(user, everybody=everybody), words)
    start = Place.read(request.GET.get("after", ""))
    found, following = _page(tickets.for_list(), start)
    promises = next_promises(ticket for ticket in found if ticket.is_open)
    rows = [Row(ticket, headline(ticket), promises.get(ticket.pk)) for ticket in found]
    context = {
        "section": "portal",
        "now": database_now(),
        "open_rows": [row for row in rows if row.ticket.is_open],
        "done_rows": [row for row in rows if not row.ticket.is_open],
        "q": words,
        "everybody": everybody,
        "organisation": user.organisation if follows else None,
        "older": _address(request.GET, after=str(following)) if following else "",
        "newest": _address(request.GET) if start else "",
    }
    return render(
        request, "portal/parts/list_live.html" if by_script(request) else "portal/list.html", context
    )


def _matching(tickets: TicketQuerySet, words: str) -> TicketQuerySet:
    if not words:
        return tickets
    number = words.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 20 and int(number) <= BIGGEST_ID:
        return tickets.filter(Q(pk=int(number)) | Q(subject__icontains=words))
    for word in words.split():
        tickets = tickets.filter(subject__icontains=word)
    return tickets


def _page(tickets: TicketQuerySet, start: Place | None) -> tuple[list[Ticket], Place | None]:
    """Return a page and where the next one begins: all that is open, newest first, then all that is done."""
    found: list[Ticket] = []
    begin = start or Place(0, BIGGEST_ID)
    for part in range(begin.part, 2):
        below = begin.below if part == begin.part else BIGGEST_ID
        rows = tickets.filter(status__in=OPEN) if part == 0 else tickets.exclude(status__in=OPEN)
        found += rows.filter(pk__lt=below).order_by("-pk")[: PAGE_SIZE + 1 - len(found)]
        if len(found) > PAGE_SIZE:
            last = found[PAGE_SIZE - 1]
            return found[:PAGE_SIZE], Place(0 if last.is_open else 1, last.pk)
    return found, None


def _address(params: Mapping[str, str], **more: str) -> str:
    kept = {name: params[name] for name in ("q", "who") if params.get(name)}
    return "?" + urlencode(kept | more)
