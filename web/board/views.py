"""The board's pages: whole, as a part to refresh, the card of one ticket, and taking one."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.queries import scope_of
from accounts.rules import Verb
from core.db import database_now
from core.errors import Refused
from escalation.models import Clock, PathDoubt
from escalation.operations import acknowledge
from escalation.queries import clocks_of
from tickets.models import Entry, EntryKind, Severity, Ticket
from web.board.axis import TICKS
from web.board.filters import VIEWS, BoardFilter
from web.board.queries import read_board, services_for_filter
from web.shell import SignedIn, arrive, may

HANDOFF_LABELS = (
    ("impact", "Impact"),
    ("tried", "Tried"),
    ("suspected", "Suspected cause"),
    ("next_action", "Next action"),
)
# The script fetches; everybody else posts a form and is led back.
FETCHED = "X-Belay-Fetch"


def _context(request: SignedIn) -> dict[str, Any]:
    scope = scope_of(request.user, Verb.VIEW)
    now = arrive(request, scope)
    asked = BoardFilter.read(request.GET)
    board = read_board(user=request.user, scope=scope, asked=asked, now=now)
    ways = {f"to_{view}": asked.query(view=None if view == "ladder" else view) for view in VIEWS}
    return {"now": now, "board": board, "asked": asked, "ticks": TICKS, "section": "board", **ways}


@require_safe
@never_cache
@may(Verb.WATCH)
def board(request: SignedIn) -> HttpResponse:
    """Show the board: as a ladder, as a table, or without chrome for a wall."""
    context = _context(request)
    context |= {"services": services_for_filter(), "severities": Severity.choices}
    template = "board/wall.html" if context["asked"].view == "wall" else "board/board.html"
    return render(request, template, context)


@require_safe
@never_cache
@may(Verb.WATCH)
def board_part(request: SignedIn) -> HttpResponse:
    """Show what of the board changes, for the script that refreshes it."""
    return render(request, "board/_board.html", _context(request))


@require_safe
@never_cache
@may(Verb.WATCH)
def card(request: SignedIn, ticket_id: int) -> HttpResponse:
    """Show a ticket's clocks and last handoff, for the card over its chip."""
    tickets = Ticket.objects.visible_to(request.user).for_list()
    ticket = get_object_or_404(tickets, pk=ticket_id)
    now = database_now()
    handoffs = Entry.objects.filter(ticket=ticket, kind=EntryKind.HANDOFF, erased_at=None)
    handoff = handoffs.select_related("author").order_by("-id").first()
    said = handoff.fields if handoff is not None else {}
    context = {
        "ticket": ticket,
        "now": now,
        "clocks": [clock for clock in clocks_of(ticket, now) if clock.kind != Clock.Kind.NEXT_TELLING],
        "handoff": handoff,
        "handoff_lines": [(label, said[name]) for name, label in HANDOFF_LABELS if said.get(name)],
    }
    return render(request, "board/_card.html", context)


@require_safe
@never_cache
@may(Verb.LEAD)
def doubts(request: SignedIn) -> HttpResponse:
    """Show what is doubtful about the paths in force; admins are led to where it is mended."""
    now = arrive(request)
    rows = PathDoubt.objects.select_related("path")
    context = {
        "now": now,
        "doubts": rows.order_by("path__is_default", "path__position", "path_id", "number"),
        "mends": request.user.may(Verb.ADMINISTER),
        "section": "board",
    }
    return render(request, "board/doubts.html", context)


@require_POST
@may(Verb.ACKNOWLEDGE)
def take(request: SignedIn, ticket_id: int) -> HttpResponse:
    """Acknowledge the step that the person saw, by its seq."""
    ticket = get_object_or_404(Ticket.objects.visible_to(request.user), pk=ticket_id)
    try:
        acknowledge(
            ticket_id=ticket.pk,
            seen_seq=_seq(request),
            actor=request.user,
            via="button",
            now=database_now(),
        )
    except Refused as refused:
        return _answer(request, str(refused), status=refused.status)
    return _answer(request, f"You took #{ticket.pk}.", status=200)


def _seq(request: HttpRequest) -> int:
    text = request.POST.get("seq", "")
    if not text.isdecimal() or len(text) > 9:
        raise Refused("It isn't clear which step you saw.", field="seq", value=text, mend="Reload the board.")
    return int(text)


def _answer(request: HttpRequest, words: str, *, status: int) -> HttpResponse:
    if FETCHED in request.headers:
        return HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")
    level = messages.SUCCESS if status == 200 else messages.ERROR
    messages.add_message(request, level, words)
    # Back to what was looked at: rebuilt from its parts, never an address from outside.
    looked_at = BoardFilter.read(QueryDict(request.POST.get("back", "")[:200]))
    return redirect(reverse("web:board") + looked_at.query())
