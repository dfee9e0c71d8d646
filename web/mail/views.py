"""List and show caught mails. They may hold sign-in and acknowledge links: leads and admins only."""

from email.message import EmailMessage
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from accounts.rules import Verb
from core.mailsink import list_mails, read_mail, sink_in_use
from web.shell import SignedIn, may

MOST_MAILS = 200
# The mail's own page inside ours: its styles may speak, its scripts may not, and nothing is fetched for it.
MAIL_POLICY: dict[str, Any] = {
    "default-src": [NONE],
    "style-src": ["'unsafe-inline'"],
    "img-src": ["data:"],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],
}


def _require_sink() -> None:
    if not sink_in_use():
        raise Http404("Mails go to a real mail server here; none are kept.")


@require_safe
@never_cache
@may(Verb.LEAD)
def mails(request: SignedIn) -> HttpResponse:
    """List the newest caught mails."""
    _require_sink()
    caught = list_mails(MOST_MAILS)
    return render(request, "mail/mails.html", {"mails": caught, "most": MOST_MAILS, "section": "mail"})


@require_safe
@never_cache
@may(Verb.LEAD)
def mail(request: SignedIn, name: str) -> HttpResponse:
    """Show one mail: its text with links to follow, and its HTML part in a frame that can do nothing."""
    caught = _read(name)
    text = caught.get_body(preferencelist=("plain",))
    context = {
        "name": name,
        "subject": str(caught.get("Subject", "")) or "(no subject)",
        "heads": [
            (label, str(caught[head]))
            for label, head in (
                ("From", "From"),
                ("To", "To"),
                ("Delivered to", "X-Envelope-To"),
                ("Reply to", "Reply-To"),
                ("Date", "Date"),
                ("Message-ID", "Message-ID"),
            )
            if caught.get(head)
        ],
        "text": _content(text) if text is not None else "",
        "has_html": caught.get_body(preferencelist=("html",)) is not None,
        "files": [part.get_filename() or part.get_content_type() for part in caught.iter_attachments()],
        "section": "mail",
    }
    return render(request, "mail/mail.html", context)


@require_safe
@never_cache
@xframe_options_sameorigin
@csp(MAIL_POLICY)  # type: ignore[arg-type] # it passes every argument on, and says otherwise
@may(Verb.LEAD)
def mail_html(request: SignedIn, name: str) -> HttpResponse:
    """Send a mail's HTML part for the frame."""
    part = _read(name).get_body(preferencelist=("html",))
    if part is None:
        raise Http404("This mail has no HTML part.")
    # Links open beside Belay: inside the frame nothing of it would load.
    return HttpResponse('<!doctype html><base target="_blank">' + _content(part))


def _read(name: str) -> EmailMessage:
    _require_sink()
    try:
        return read_mail(name)
    except FileNotFoundError as error:
        raise Http404("This mail is not kept (any more).") from error


def _content(part: Any) -> str:
    try:
        return str(part.get_content())
    except (LookupError, UnicodeDecodeError):
        # A charset nobody knows: better a few odd letters than no mail.
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")
