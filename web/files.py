"""Attachments, to those who may read what they came with."""

from django.http import FileResponse, Http404
from django.views.decorators.http import require_GET

from accounts.rules import Verb
from tickets.models import Attachment, EntryKind, Ticket
from web.shell import SignedIn, signed_in

# Shown inside the browser; anything else is downloaded, so that no foreign HTML or SVG runs under our address.
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@require_GET
@signed_in
def attachment(request: SignedIn, pk: int, name: str) -> FileResponse:
    """Send one file; the name in the address is for people, only the id counts."""
    file = Attachment.objects.select_related("entry").filter(pk=pk).first()
    if file is None or not Ticket.objects.visible_to(request.user).filter(pk=file.entry.ticket_id).exists():
        raise Http404("There is no such file.")
    public = file.entry.kind in (EntryKind.REPLY, EntryKind.UPDATE)
    if file.entry.erased_at is not None or not (public or request.user.may(Verb.READ_NOTES)):
        raise Http404("There is no such file.")
    shown = file.content_type in SHOWN
    try:
        content = file.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file is missing from the store.") from error
    answer = FileResponse(
        content,
        as_attachment=not shown,
        filename=file.name,
        content_type=file.content_type if shown else "application/octet-stream",
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "private, max-age=3600"
    return answer
