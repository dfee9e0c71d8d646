"""Files that came with an entry: whoever may read the entry may have the file."""

import re

from django.http import FileResponse, Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from accounts.rules import Verb
from tickets.models import Attachment, EntryKind, Ticket
from web.shell import SignedIn, signed_in

# What a browser may show in place. No SVG: it is a document with scripts.
SHOWN_IN_PLACE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


@require_GET
@signed_in
def download(request: SignedIn, pk: int, name: str) -> HttpResponseBase:
    """Send a file to those who may read its entry; requesters get those of public entries only.

    What is not theirs is not there (404). Nothing but plain images is shown in place, and nothing in it can run.
    """
    user = request.user
    attachments = Attachment.objects.filter(
        name=name, entry__erased_at__isnull=True, entry__ticket__in=Ticket.objects.visible_to(user)
    )
    if not user.may(Verb.READ_NOTES):
        attachments = attachments.filter(entry__kind__in=(EntryKind.REPLY, EntryKind.UPDATE))
    attachment = get_object_or_404(attachments, pk=pk)
    try:
        content = attachment.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("the file is gone") from error
    kind = attachment.content_type if _TYPE.fullmatch(attachment.content_type) else "application/octet-stream"
    answer = FileResponse(
        content, as_attachment=kind not in SHOWN_IN_PLACE, filename=attachment.name, content_type=kind
    )
    answer["X-Content-Type-Options"] = "nosniff"
    # Even a picture that is none can do nothing here.
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "private, no-store"
    return answer
