"""The verbs of the ticket page: take, acknowledge, escalate, hand back down, answer a wish."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rules import Verb
from core.db import database_now
from core.errors import Conflict, NotAllowed, Refused
from escalation.models import EscalationRequest
from escalation.operations import (
    Moved,
    acknowledge,
    decline_request,
    deescalate,
    escalate,
    grant_request,
    pass_on,
)
from escalation.queries import LadderView, RungView, ladder_of
from notifications.operations import contacts_for
from tickets.models import Entry, EntryKind, Ticket
from tickets.operations import assign_ticket
from web.agent.contacts import contacts_on
from web.agent.story import HANDOFF_LABELS
from web.agent.ticket import fetch_ticket
from web.doors import act, back_to, by_script, done, number_in
from web.shell import SignedIn, may
from web.submissions import SentBefore, counted_once, new_token

# How much of a note goes into a handoff by itself: a start to be edited, not a copy of everything.
EXCERPT = 400


@require_POST
@may(Verb.WORK)
def take(request: SignedIn, pk: int) -> HttpResponse:
    """Take the ticket; where the step waits for it, that acknowledges too."""
    ticket, _ = fetch_ticket(request.user, pk)
    now = database_now()
    return act(
        request,
        back_to(request, reverse("web:ticket", args=[pk])),
        now,
        lambda: assign_ticket(ticket_id=ticket.pk, assignee=request.user, actor=request.user, now=now),
        f"#{pk} is yours.",
    )


@require_POST
@may(Verb.ACKNOWLEDGE)
def acknowledge_ticket(request: SignedIn, pk: int) -> HttpResponse:
    """Acknowledge the step that the person saw."""
    ticket, _ = fetch_ticket(request.user, pk)
    now = database_now()
    return act(
        request,
        back_to(request, reverse("web:ticket", args=[pk])),
        now,
        lambda: acknowledge(
            ticket_id=ticket.pk, seen_seq=number_in(request.POST, "seq"), actor=request.user, now=now
        ),
        f"#{pk} is acknowledged. Nobody else is called.",
    )


@require_POST
@may(Verb.ACKNOWLEDGE)
def pass_ticket_on(request: SignedIn, pk: int) -> HttpResponse:
    """Say that one can't take what one was told of; the next one is told at once."""
    ticket, _ = fetch_ticket(request.user, pk)
    now = database_now()

    def cant() -> None:
        contact = contacts_for([request.user])[request.user.pk]
        pass_on(ticket_id=ticket.pk, seen_seq=number_in(request.POST, "seq"), contact=contact, now=now)

    back = back_to(request, reverse("web:ticket", args=[pk]))
    return act(request, back, now, cant, "Noted. The next one is told now.")


@require_http_methods(["GET", "POST"])
@may(Verb.ESCALATE)
def escalate_ticket(request: SignedIn, pk: int) -> HttpResponse:
    """Show who will be told, ask for reason and handoff, then climb."""
    ticket, _ = fetch_ticket(request.user, pk)
    now = database_now()
    if request.method == "GET":
        handoff, source = suggested_handoff(ticket)
        return _escalate_form(request, ticket, handoff=handoff, handoff_source=source)
    handoff = {name: request.POST.get(f"handoff_{name}", "") for name, _ in HANDOFF_LABELS}
    chosen = request.POST.get("to_position", "")

    def climb() -> None:
        escalate(
            ticket_id=ticket.pk,
            seen_seq=number_in(request.POST, "seq"),
            actor=request.user,
            now=now,
            reason=request.POST.get("reason", ""),
            to_position=number_in(request.POST, "to_position") if chosen else None,
            handoff=handoff if any(text.strip() for text in handoff.values()) else None,
        )

    def again(error: Refused) -> HttpResponse:
        return _escalate_form(
            request,
            ticket,
            handoff=handoff,
            error=error,
            reason=request.POST.get("reason", ""),
            chosen="" if isinstance(error, Moved) else chosen,
        )

    return submit(request, ticket, climb, again, f"#{pk} has climbed. The next people are being told.")


@require_http_methods(["GET", "POST"])
@may(Verb.DEESCALATE)
def deescalate_ticket(request: SignedIn, pk: int) -> HttpResponse:
    """Hand the ticket back to an earlier step, with a reason."""
    ticket, _ = fetch_ticket(request.user, pk)
    now = database_now()

    def fall() -> None:
        deescalate(
            ticket_id=ticket.pk,
            seen_seq=number_in(request.POST, "seq"),
            to_position=number_in(request.POST, "to_position"),
            actor=request.user,
            now=now,
            reason=request.POST.get("reason", ""),
        )

    def form(error: Refused | None = None) -> HttpResponse:
        ladder = _ladder(ticket)
        steps = [rung for rung in ladder.steps if rung.state == "past"] if ladder is not None else []
        context = {
            "ladder": ladder,
            "steps": _with_contacts(steps[::-1], ticket),
            "reason": request.POST.get("reason", ""),
            "chosen": request.POST.get("to_position", ""),
            "error": error,
        }
        return render_sheet(request, "desk/deescalate.html", ticket, context)

    if request.method == "GET":
        return form()
    return submit(request, ticket, fall, form, f"#{pk} is handed back. Its people are being told.")


@require_http_methods(["GET", "POST"])
@may(Verb.LEAD)
def answer_wish(request: SignedIn, pk: int, wish: int) -> HttpResponse:
    """Grant the requester's wish for escalation, or decline it with a reason that they see."""
    ticket, _ = fetch_ticket(request.user, pk)
    asked = EscalationRequest.objects.filter(pk=wish, ticket=ticket).select_related("requested_by").first()
    if asked is None:
        raise Http404("There is no such wish.")
    now = database_now()
    reason = request.POST.get("reason", "")
    granted = request.POST.get("answer") == "grant"

    def answer() -> None:
        if granted:
            grant_request(request_id=asked.pk, actor=request.user, now=now, reason=reason)
        else:
            decline_request(request_id=asked.pk, actor=request.user, now=now, reason=reason)

    def form(error: Refused | None = None) -> HttpResponse:
        ladder = _ladder(ticket)
        above = [rung for rung in ladder.steps if rung.state == "ahead"][:1] if ladder is not None else []
        context = {
            "wish": asked,
            "steps": _with_contacts(above, ticket),
            "reason": reason,
            "error": error,
        }
        return render_sheet(request, "desk/wish.html", ticket, context)

    if request.method == "GET":
        return form()
    text = f"Granted: #{pk} has climbed." if granted else "Declined. The requester reads your reason."
    return submit(request, ticket, answer, form, text)


def render_sheet(
    request: Any, template: str, ticket: Ticket, context: dict[str, Any], *, status: int | None = None
) -> HttpResponse:
    """Show a form about a ticket: inside the page's dialog for htmx, else as a page of its own."""
    error = context.get("error")
    base = "desk/sheet_dialog.html" if by_script(request) else "desk/sheet_page.html"
    full = {
        "section": "queue",
        "base": base,
        "ticket": ticket,
        "page": reverse("web:ticket", args=[ticket.pk]),
        "form_token": new_token(),
        **context,
    }
    code = status or (_status_of(error) if isinstance(error, Refused) else 200)
    return render(request, template, full, status=code)


def submit(
    request: Any,
    ticket: Ticket,
    operation: Callable[[], object],
    again: Callable[[Refused], HttpResponse],
    text: str,
    *,
    sent: str = "",
) -> HttpResponse:
    """Run a form's operation once; when it is declined show the form again with everything that was written."""
    back = reverse("web:ticket", args=[ticket.pk])
    try:
        with counted_once(request, request.user, now=database_now()):
            operation()
    except SentBefore:
        pass
    except NotAllowed as error:
        if by_script(request):
            return HttpResponse(str(error), status=403, content_type="text/plain; charset=utf-8")
        messages.error(request, str(error))
        return redirect(back)
    except Refused as error:
        return again(error)
    return done(request, text, back, sent=sent)


def _status_of(error: Refused) -> int:
    return 409 if isinstance(error, Conflict) else 422


def _escalate_form(request: Any, ticket: Ticket, **context: Any) -> HttpResponse:
    ladder = _ladder(ticket)
    steps = [rung for rung in ladder.steps if rung.state == "ahead"] if ladder is not None else []
    error = context.get("error")
    if error is None and (not steps or not ticket.is_open):
        error = Refused(*_why_not(ticket, ladder))
    shown = {
        "ladder": ladder,
        "steps": _with_contacts(steps, ticket),
        "fields": [(name, label, context["handoff"].get(name, "")) for name, label in HANDOFF_LABELS],
        "moved": isinstance(error, Moved),
        **context,
        "error": error,
    }
    return render_sheet(request, "desk/escalate.html", ticket, shown)


def _why_not(ticket: Ticket, ladder: LadderView | None) -> tuple[str]:
    if not ticket.is_open:
        return (f"#{ticket.pk} is {ticket.get_status_display().lower()}. Reopen it first.",)
    if ladder is None:
        return (f"#{ticket.pk} stands on no escalation path.",)
    return (f"{ladder.step_name} is the last step of {ladder.path_name}. There is nobody above to tell.",)


def _ladder(ticket: Ticket) -> LadderView | None:
    return ladder_of(ticket, database_now())


def _with_contacts(steps: list[RungView], ticket: Ticket) -> list[tuple[RungView, list[Any]]]:
    list_ids = {list_id for step in steps for list_id in step.list_ids}
    told = contacts_on(list_ids, ticket.severity, database_now())
    return [(step, [person for pk in step.list_ids for person in told.get(pk, ())]) for step in steps]


def suggested_handoff(ticket: Ticket) -> tuple[dict[str, str], str]:
    """Return what a handoff begins with, and where that comes from: the last handoff, else the timeline.

    One query. The person edits it; nothing is sent that they did not see.
    """
    entries = list(
        Entry.objects.filter(ticket=ticket, erased_at__isnull=True)
        .exclude(kind=EntryKind.UPDATE)
        .order_by("-pk")[:40]
    )
    last = next((entry for entry in entries if entry.kind == EntryKind.HANDOFF and entry.fields), None)
    if last is not None:
        return {name: last.fields.get(name, "") for name, _ in HANDOFF_LABELS}, "the last handoff"
    affected = ticket.organisation.name if ticket.organisation is not None else ticket.requester.name
    service = f", {ticket.service.name}" if ticket.service is not None else ""
    tried = [entry for entry in entries if not entry.from_requester][:2]
    return {
        "impact": f"{ticket.get_impact_display()} impact, {ticket.get_urgency_display().lower()} urgency: "
        f"{affected}{service}",
        "tried": "\n".join(_excerpt(entry.body) for entry in reversed(tried)),
        "suspected": "",
        "next_action": "",
    }, "the timeline"


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
