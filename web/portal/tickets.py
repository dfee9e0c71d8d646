"""One request as its requester sees it: the public conversation, where it stands, and three things to do."""

import datetime as dt
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from core.db import database_now
from core.errors import Refused
from escalation.operations import request_escalation
from tickets.models import Entry, EntryKind, Status, Ticket
from tickets.operations import add_reply, change_status
from web.portal.forms import Reply, Wish, limits, put_error, uploads_in
from web.portal.progress import progress_of
from web.portal.reach import SeenAtTheDesk, portal_ticket
from web.shell import SignedIn, signed_in
from web.submissions import SentBefore, counted_once, new_token

PUBLIC = (EntryKind.REPLY, EntryKind.UPDATE)
# A longer conversation begins with its latest part.
SHOWN = 100
PARTS = ("talk", "progress")


@require_GET
@signed_in
def ticket_page(request: SignedIn, pk: int) -> HttpResponse:
    """Show one request; `?part=talk` or `?part=progress` is the fragment that the live stream asks for."""
    try:
        ticket = portal_ticket(request.user, pk)
    except SeenAtTheDesk:
        return redirect(f"/t/{pk}/")
    return _show(request, ticket, database_now(), part=request.GET.get("part", ""))


@require_POST
@signed_in
def reply(request: SignedIn, pk: int) -> HttpResponse:
    """Add to the conversation; on a solved or waiting request this opens it again."""
    form = Reply(request.POST)

    def send(ticket: Ticket, now: dt.datetime) -> str:
        words, files = form.cleaned_data["body"], uploads_in(request)
        add_reply(ticket_id=pk, body=words, actor=request.user, now=now, uploads=files)
        return "Sent." if ticket.is_open else "Sent, and your request is open again."

    return _do(request, pk, form, send, name="reply")


@require_POST
@signed_in
def solved(request: SignedIn, pk: int) -> HttpResponse:
    """Mark a request as solved."""

    def solve(_ticket: Ticket, now: dt.datetime) -> str:
        change_status(ticket_id=pk, status=Status.RESOLVED, actor=request.user, now=now)
        return "Good to hear. If it comes back, write here and it is open again."

    return _do(request, pk, forms.Form(request.POST), solve, name="solved")


@require_POST
@signed_in
def ask_for_escalation(request: SignedIn, pk: int) -> HttpResponse:
    """Ask the team's lead to bring in the next level."""
    form = Wish(request.POST)

    def ask(_ticket: Ticket, now: dt.datetime) -> str:
        request_escalation(ticket_id=pk, actor=request.user, reason=form.cleaned_data["reason"], now=now)
        return "Your wish is with the team's lead. You find the answer here."

    return _do(request, pk, form, ask, name="wish")


def _do(
    request: SignedIn,
    pk: int,
    form: forms.Form,
    operation: Callable[[Ticket, dt.datetime], str],
    *,
    name: str,
) -> HttpResponse:
    """Run one operation for the form; what is wrong in it is shown on the page with the words kept."""
    try:
        ticket = portal_ticket(request.user, pk)
    except SeenAtTheDesk:
        return redirect(f"/t/{pk}/")
    now = database_now()
    if not form.is_valid():
        return _show(request, ticket, now, status=422, forms_shown={name: form})
    try:
        with counted_once(request, request.user, now=now):
            said = operation(ticket, now)
        messages.success(request, said)
    except SentBefore:
        pass
    except Refused as error:
        if not form.fields:
            messages.error(request, str(error))
            return redirect("web:portal_ticket", pk)
        put_error(form, error)
        # It may be another one than before: somebody was quicker.
        ticket = portal_ticket(request.user, pk)
        return _show(request, ticket, now, status=error.status, forms_shown={name: form})
    sent = f"?sent={name}" if form.fields else ""
    return redirect(reverse("web:portal_ticket", args=[pk]) + sent)


def _show(
    request: SignedIn,
    ticket: Ticket,
    now: dt.datetime,
    *,
    part: str = "",
    status: int = 200,
    forms_shown: Mapping[str, forms.Form] = MappingProxyType({}),
) -> HttpResponse:
    context: dict[str, Any] = {
        "section": "portal",
        "now": now,
        "ticket": ticket,
        "for_somebody_else": ticket.requester_id != request.user.pk,
        "form_token": new_token(),
    }
    if part != "progress":
        context |= _conversation(ticket, everything="all" in request.GET)
    if part != "talk":
        context["progress"] = progress_of(ticket, now)
    if part in PARTS:
        return render(request, f"portal/parts/{part}.html", context)
    context |= {
        "reply": forms_shown.get("reply") or Reply(),
        "wish_form": forms_shown.get("wish"),
        "limits": limits(),
        "had_files": bool(request.FILES),
        # The page's script forgets the drafts that have arrived.
        "sent": f"portal-{ticket.pk}-" if request.GET.get("sent") in ("reply", "wish") else "",
    }
    return render(request, "portal/ticket.html", context, status=status)


def _conversation(ticket: Ticket, *, everything: bool) -> dict[str, Any]:
    """Return the public entries, the oldest first, and whether earlier ones are left out; two queries."""
    entries = Entry.objects.filter(ticket=ticket, kind__in=PUBLIC).select_related("author")
    newest = entries.prefetch_related("attachments").order_by("-pk")
    found = list(newest if everything else newest[: SHOWN + 1])
    cut = not everything and len(found) > SHOWN
    return {"entries": (found[:SHOWN] if cut else found)[::-1], "cut": cut}
