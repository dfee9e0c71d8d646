"""How a page answers a verb: what was done or why not, with and without JavaScript."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.models import User
from core.errors import Refused
from web.submissions import SentBefore, counted_once


def by_script(request: HttpRequest) -> bool:
    """Tell whether htmx asks, which wants a fragment or nothing instead of a page."""
    return bool(request.headers.get("HX-Request"))


def back_to(request: HttpRequest, default: str) -> str:
    """Return where the form says it came from, if that is a page of ours."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return back if back and safe else default


def triggers(response: HttpResponse, *, sent: str = "", **events: Any) -> HttpResponse:
    """Let htmx raise these events on the page once it has the answer; `sent` names the drafts that have arrived.

    Drafts are forgotten before the answer is swapped in, as a fresh form looks for them; all else comes after.
    """
    first = {"belay:sent": {"prefix": sent}} if sent else {}
    # JSON of only ASCII characters: a header takes no others.
    if response.content:
        response["HX-Trigger"] = json.dumps(first)
        response["HX-Trigger-After-Settle"] = json.dumps(events)
    else:
        response["HX-Trigger"] = json.dumps(first | events)
    return response


def done(request: HttpRequest, text: str, back: str, *, sent: str = "") -> HttpResponse:
    """Answer a verb that worked: the page refreshes its parts, or goes back with a message.

    `sent` names the drafts that have arrived and may be forgotten.
    """
    if by_script(request):
        events = {"say": {"text": text, "level": "success"}, "belay:changed": {}}
        return triggers(HttpResponse(status=204), sent=sent, **events)
    messages.success(request, text)
    return redirect(back)


def refused(request: HttpRequest, error: Refused, back: str) -> HttpResponse:
    """Answer a verb that was declined: message and mend, and nothing was changed."""
    if by_script(request):
        return HttpResponse(str(error), status=error.status, content_type="text/plain; charset=utf-8")
    messages.error(request, str(error))
    return redirect(back)


def act(
    request: Any, back: str, now: dt.datetime, operation: Callable[[], Any], text: str, *, sent: str = ""
) -> HttpResponse:
    """Run one operation of a button and answer it; a second post of the same form is answered like the first."""
    user: User = request.user
    try:
        with counted_once(request, user, now=now):
            operation()
    except SentBefore:
        pass
    except Refused as error:
        return refused(request, error, back)
    return done(request, text, back, sent=sent)


def number_in(data: Mapping[str, Any], name: str) -> int:
    """Return a whole number out of a form. Raises Refused naming the field."""
    text = str(data.get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused(
            f"“{text}” is no number.", field=name, value=text, mend="Reload the page and try again."
        )
    return int(text)
