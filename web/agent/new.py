"""Open a ticket for somebody: the person on the phone, or at the desk."""

import json
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import Role, User
from accounts.operations import create_user
from accounts.rules import Verb
from core.errors import NotAllowed, Refused
from tickets.models import Category, Impact, Service, Severity, Source, Ticket, Urgency
from tickets.operations import Draft, assign_ticket, open_ticket
from tickets.queries import severity_matrix
from tickets.rules import default_severity
from web.agent.composer import uploads_of
from web.agent.details import choice_of, picked
from web.doors import number_in
from web.shell import SignedIn, arrive, may
from web.submissions import SentBefore, counted_once, new_token

SUGGESTIONS = 8


@require_http_methods(["GET", "POST"])
@may(Verb.OPEN_FOR_OTHERS)
def new(request: SignedIn) -> HttpResponse:
    """Open a ticket on behalf of a requester, who gets an account if they have none."""
    now = arrive(request)
    if request.method == "GET":
        return _form(request)
    data = request.POST
    opened: list[Ticket] = []
    try:
        with counted_once(request, request.user, now=now):
            severity = data.get("severity", "")
            ticket = open_ticket(
                draft=Draft(
                    requester=_requester(data.get("requester", ""), data.get("name", "")),
                    subject=data.get("subject", ""),
                    body=_needed(data.get("body", "")),
                    category=picked(Category, data.get("category", ""), "category"),
                    service=picked(Service, data.get("service", ""), "service"),
                    source=Source.AGENT,
                    impact=choice_of(Impact, data, "impact"),
                    urgency=choice_of(Urgency, data, "urgency"),
                    severity=number_in(data, "severity") if severity else None,
                    severity_reason=data.get("severity_reason", ""),
                    uploads=uploads_of(request),
                ),
                actor=request.user,
                now=now,
            )
            if data.get("mine"):
                assign_ticket(ticket_id=ticket.pk, assignee=request.user, actor=request.user, now=now)
            opened.append(ticket)
    except SentBefore:
        messages.info(request, "This ticket was opened already; sending it twice opens one.")
        return redirect("web:queue")
    except Refused as error:
        return _form(request, error)
    messages.success(request, f"#{opened[0].pk} is open.")
    return redirect("web:ticket", opened[0].pk)


@require_GET
@may(Verb.OPEN_FOR_OTHERS)
def people(request: SignedIn) -> HttpResponse:
    """Suggest people by the beginning of their address or a part of their name."""
    typed = " ".join(request.GET.get("requester", "").replace("\x00", "").split())[:100]
    found = User.objects.none()
    if len(typed) >= 2:
        active = User.objects.filter(is_active=True)
        found = active.filter(Q(email__istartswith=typed) | Q(name__icontains=typed)).order_by("name", "pk")
    return render(
        request, "desk/parts/people.html", {"people": found.select_related("organisation")[:SUGGESTIONS]}
    )


def _form(request: Any, error: Refused | None = None) -> HttpResponse:
    matrix = severity_matrix()
    proposals = {
        f"{impact}{urgency}": matrix.get((impact, urgency), default_severity(impact, urgency))
        for impact in Impact.values
        for urgency in Urgency.values
    }
    kept = request.POST
    context = {
        "section": "new",
        "error": error,
        "kept": kept,
        "requester": kept.get("requester", request.GET.get("requester", "")),
        "services": Service.objects.filter(is_active=True).order_by("name"),
        "categories": Category.objects.filter(is_active=True).order_by("name"),
        "impacts": Impact.choices,
        "urgencies": Urgency.choices,
        "impact": kept.get("impact", str(Impact.MEDIUM.value)),
        "urgency": kept.get("urgency", str(Urgency.MEDIUM.value)),
        "severities": Severity.choices,
        "matrix": json.dumps(proposals),
        "form_token": new_token(),
    }
    status = 200 if error is None else 403 if isinstance(error, NotAllowed) else 422
    return render(request, "desk/new.html", context, status=status)


def _needed(body: str) -> str:
    if not body.strip():
        raise Refused(
            "Say what is wrong.", field="body", value="", mend="A few words of the caller are enough."
        )
    return body


def _requester(address: str, name: str) -> User:
    """Return the person of this address, with a new account if there is none. Raises Refused."""
    address = address.strip()
    known = User.objects.filter(email__iexact=address).first()
    if known is None:
        if "@" not in address:
            raise Refused(
                f"Nobody is called “{address}”." if address else "For whom is this ticket?",
                field="requester",
                value=address,
                mend="Write their email address; a new one gets an account.",
            )
        return create_user(email=address, name=name, role=Role.REQUESTER)
    if not known.is_active:
        raise Refused(
            f"{known.name}'s account is switched off.",
            field="requester",
            value=address,
            mend="Ask an admin to switch it on, or open the ticket for a colleague.",
        )
    return known
