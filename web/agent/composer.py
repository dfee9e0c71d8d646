"""Write on a ticket: reply, note, stakeholder update, handoff, with files and the status that follows."""

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.rules import Verb
from core.db import database_now
from core.errors import NotAllowed, Refused
from tickets.models import EntryKind, Ticket
from tickets.operations import Upload, add_entry
from web.agent.filters import BY_SLUG, Reader
from web.agent.story import HANDOFF_LABELS
from web.agent.ticket import composer_context, fetch_ticket, page_context
from web.doors import by_script, triggers
from web.shell import SignedIn, may
from web.submissions import SentBefore, counted_once

_DONE = {
    EntryKind.REPLY: "Reply sent.",
    EntryKind.NOTE: "Note saved.",
    EntryKind.UPDATE: "Update sent.",
    EntryKind.HANDOFF: "Handoff saved.",
}


@require_POST
@may(Verb.WORK)
def write(request: SignedIn, pk: int) -> HttpResponse:
    """Add what was written; when it is declined, the text comes back with what to mend."""
    ticket, _ = fetch_ticket(request.user, pk)
    now = database_now()
    kind = request.POST.get("kind", "")
    handoff = {name: request.POST.get(f"handoff_{name}", "").strip() for name, _ in HANDOFF_LABELS}
    is_handoff = kind == EntryKind.HANDOFF
    try:
        if kind not in EntryKind.values:
            raise Refused(
                f"“{kind}” can't be written.", field="kind", value=kind, mend="Pick one of the tabs."
            )
        with counted_once(request, request.user, now=now):
            add_entry(
                ticket_id=ticket.pk,
                kind=kind,
                # Each tab sends what it shows; text left in the other stays a draft.
                body="" if is_handoff else request.POST.get("body", ""),
                fields={name: text for name, text in handoff.items() if text} if is_handoff else None,
                actor=request.user,
                now=now,
                uploads=uploads_of(request),
                then_status=request.POST.get("then_status") or None,
                reason=request.POST.get("reason", ""),
            )
    except SentBefore:
        pass
    except Refused as error:
        return _declined(request, ticket, error, handoff)
    return _written(request, ticket, EntryKind(kind))


def uploads_of(request: Any, name: str = "files") -> list[Upload]:
    """Return the files of a form as the operations take them."""
    return [
        Upload(file.name or "file", file.file, file.content_type or "application/octet-stream")
        for file in request.FILES.getlist(name)
        if isinstance(file, UploadedFile) and file.file is not None
    ]


def next_ticket(user: User, besides: int) -> str:
    """Return where somebody goes on working: their own most urgent ticket, their teams' next, else their queue."""
    reader = Reader.of(user)
    for slug in ("mine", "teams"):
        queue = BY_SLUG[slug]
        tickets = queue.narrow(reader.tickets(), reader).exclude(pk=besides)
        if slug == "teams":
            tickets = tickets.filter(assignee__isnull=True)
        found = tickets.by_urgency().values_list("pk", flat=True).first()
        if found is not None:
            return reverse("web:ticket", args=[found])
    return reverse("web:queue")


def _written(request: Any, ticket: Ticket, kind: EntryKind) -> HttpResponse:
    text = _DONE[kind]
    page = reverse("web:ticket", args=[ticket.pk])
    # Only what went out is forgotten: a reply leaves a handoff's draft where it is.
    sent = f"t{ticket.pk}:handoff-" if kind == EntryKind.HANDOFF else f"t{ticket.pk}:body"
    onward = request.POST.get("go") == "next"
    if by_script(request):
        if onward:
            messages.success(request, f"#{ticket.pk}: {text}")
        ticket.refresh_from_db(fields=["status", "last_answer_at", "last_requester_at"])
        answer = render(
            request, "desk/parts/composer.html", composer_context(request, ticket, kind=str(kind))
        )
        if onward:
            return triggers(answer, sent=sent, **{"belay:go": {"to": next_ticket(request.user, ticket.pk)}})
        return triggers(answer, sent=sent, **{"say": {"text": text, "level": "success"}, "belay:changed": {}})
    messages.success(request, f"#{ticket.pk}: {text}" if onward else text)
    return redirect(next_ticket(request.user, ticket.pk) if onward else f"{page}?sent=1#composer")


def _declined(request: Any, ticket: Ticket, error: Refused, handoff: dict[str, str]) -> HttpResponse:
    kept = {name: request.POST.get(name, "") for name in ("kind", "body", "then_status", "reason")}
    context = {**composer_context(request, ticket, **kept, **handoff), "error": error}
    status = 403 if isinstance(error, NotAllowed) else 422
    if by_script(request):
        if status == 403:
            return HttpResponse(str(error), status=status, content_type="text/plain; charset=utf-8")
        return render(request, "desk/parts/composer.html", context, status=status)
    return render(request, "desk/ticket.html", {**page_context(request, ticket.pk), **context}, status=status)
