"""A new request."""

import hashlib

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from core.db import database_now
from core.errors import Refused
from tickets.models import Source, Ticket
from tickets.operations import Draft, open_ticket
from web.portal.forms import NewRequest, limits, put_error, uploads_in
from web.shell import SignedIn, signed_in
from web.submissions import FIELD, SentBefore, counted_once, new_token


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def new_request(request: SignedIn) -> HttpResponse:
    """Ask what happened, and open one ticket however often the form arrives."""
    if request.method != "POST":
        return _show(request, NewRequest(), new_token())
    form = NewRequest(request.POST)
    if not form.is_valid():
        return _show(request, form, request.POST.get(FIELD, ""), status=422)
    now, said = database_now(), form.cleaned_data
    key = _key(request, said["subject"], said["body"])
    try:
        with counted_once(request, request.user, now=now):
            ticket = open_ticket(
                draft=Draft(
                    requester=request.user,
                    subject=said["subject"],
                    body=said["body"],
                    impact=said["impact"],
                    urgency=said["urgency"],
                    service=said["service"],
                    source=Source.PORTAL,
                    source_key=key,
                    uploads=uploads_in(request),
                ),
                actor=request.user,
                now=now,
            )
    except SentBefore:
        known = Ticket.objects.filter(source=Source.PORTAL, source_key=key, requester=request.user).first()
        return redirect("web:portal_ticket", known.pk) if known else redirect("web:portal")
    except Refused as error:
        put_error(form, error)
        return _show(request, form, request.POST.get(FIELD, ""), status=422)
    messages.success(request, f"We have your request. Its number is #{ticket.pk}.")
    return redirect("web:portal_ticket", ticket.pk)


def _show(request: SignedIn, form: NewRequest, token: str, status: int = 200) -> HttpResponse:
    context = {
        "section": "portal-new",
        "form": form,
        "form_token": token,
        "limits": limits(),
        "had_files": bool(request.FILES),
    }
    return render(request, "portal/new.html", context, status=status)


def _key(request: SignedIn, subject: str, body: str) -> str:
    """Return what a resent form finds its ticket by; "" for a form without a token."""
    token = request.POST.get(FIELD, "")
    if not token:
        return ""
    digest = hashlib.sha256(f"{token}\0{subject}\0{body}".encode(errors="replace")).hexdigest()
    return f"portal:{request.user.pk}:{digest}"
