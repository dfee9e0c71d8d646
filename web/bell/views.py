"""Show the bell, follow one of its lines, note what has been seen."""

import datetime as dt
from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.queries import scope_of
from accounts.rules import Verb
from core.errors import Refused
from notifications.models import Notification
from notifications.operations import mark_bell_seen
from notifications.queries.bell import MOST, bell_of
from tickets.models import Ticket
from web.doors import back_to, by_script, number_in, refused
from web.shell import SignedIn, arrive, may
from web.wording import told_as


@dataclass(frozen=True, slots=True)
class Line:
    """One notification in one line; no ticket: it is about none, or about one that the person may not see any more."""

    pk: int
    words: str
    at: dt.datetime
    unread: bool
    number: int | None
    ticket: Ticket | None


@require_safe
@never_cache
@may(Verb.WORK)
def bell(request: SignedIn) -> HttpResponse:
    """Show what the person was told lately: as a page, or its list for the menu on top."""
    return _show(request)


@require_POST
@may(Verb.WORK)
def seen(request: SignedIn) -> HttpResponse:
    """Mark everything up to the newest line of the page as read."""
    back = back_to(request, reverse("web:bell"))
    try:
        mark_bell_seen(actor=request.user, through=number_in(request.POST, "through"))
    except Refused as error:
        return refused(request, error, back)
    return _show(request) if by_script(request) else redirect(back)


@require_safe
@never_cache
@may(Verb.WORK)
def follow(request: SignedIn, pk: int) -> HttpResponse:
    """Go to what one's own notification is about, and mark the bell as read through it."""
    row = Notification.objects.filter(pk=pk, user=request.user).only("ticket_id").first()
    if row is None:
        raise Http404("no notification of yours")
    # What a browser fetches ahead nobody has looked at.
    if "prefetch" not in request.headers.get("Sec-Purpose", ""):
        mark_bell_seen(actor=request.user, through=row.pk)
    if row.ticket_id is None:
        return redirect("web:bell")
    return redirect("web:ticket", pk=row.ticket_id)


def _show(request: SignedIn) -> HttpResponse:
    scope = scope_of(request.user, Verb.VIEW)
    now = arrive(request, scope)
    bells = bell_of(request.user.pk)
    numbers = {row.ticket_id for row in bells.rows if row.ticket_id is not None}
    tickets = Ticket.objects.within(scope).only("subject", "severity").in_bulk(numbers)
    lines = [
        Line(
            pk=row.pk,
            words=told_as(row.kind, row.context),
            at=row.due_at,
            unread=row.pk > bells.seen_through,
            number=row.ticket_id,
            ticket=tickets.get(row.ticket_id or 0),
        )
        for row in bells.rows
    ]
    context = {
        "lines": lines,
        "newest": max((line.pk for line in lines), default=0),
        "any_unread": any(line.unread for line in lines),
        "most": MOST,
        "now": now,
        "section": "bell",
    }
    return render(request, "bell/parts/list.html" if by_script(request) else "bell/bell.html", context)
