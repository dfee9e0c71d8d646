"""Follow a ticket, a service, an organisation's SEV1s; see what one follows; stop, from a mail in one click."""

import datetime as dt
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Organisation, User
from accounts.queries import scope_of
from accounts.rules import Reach, Verb
from core.db import database_now
from core.errors import Refused
from notifications.models import Watch
from notifications.operations import unwatch, watch
from notifications.watch_messages import read_stop_link
from tickets.models import Service, Ticket
from web.doors import act, back_to, refused
from web.shell import SignedIn, arrive, signed_in

# Somebody who follows more than this has long stopped reading.
SHOWN = 500


@require_http_methods(["GET", "POST"])
@signed_in
def watching(request: SignedIn) -> HttpResponse:
    """List what one follows; follow a service or an organisation's SEV1s."""
    user = request.user
    if request.method == "POST":
        here, now = reverse("web:watching"), database_now()
        try:
            subject = _subject(request.POST.get("follow", ""), user)
        except Refused as error:
            return refused(request, error, here)
        return act(
            request, here, now, lambda: watch(user=user, now=now, **subject), "You follow it from now on."
        )
    arrive(request)
    rows = Watch.objects.filter(user=user).select_related("ticket", "service", "organisation").order_by("-pk")
    found = list(rows[:SHOWN])
    return render(
        request,
        "watching/watching.html",
        {
            "section": "watching",
            "tickets": [row for row in found if row.ticket_id is not None],
            "others": [row for row in found if row.ticket_id is None],
            "services": _services(user, found),
            "organisations": _organisations(user, found),
        },
    )


@require_POST
@signed_in
def stop(request: SignedIn, pk: int) -> HttpResponse:
    """Stop following one of one's own."""
    now = database_now()
    text = "You don't follow it any more."
    return act(
        request, reverse("web:watching"), now, lambda: unwatch(watch_id=pk, user=request.user, now=now), text
    )


@require_POST
@signed_in
def follow_ticket(request: SignedIn, pk: int) -> HttpResponse:
    """Follow a ticket or, with `stop`, stop; from its page at the desk or in the portal."""
    ticket = get_object_or_404(Ticket.objects.visible_to(request.user), pk=pk)
    back = back_to(request, reverse("web:ticket", args=[pk]))
    now = database_now()
    if "stop" not in request.POST:
        text = f"You follow #{pk} from now on: what happens comes by mail."
        return act(request, back, now, lambda: watch(user=request.user, ticket=ticket, now=now), text)
    return act(
        request,
        back,
        now,
        lambda: _unwatch_ticket(ticket, request.user, now),
        f"You don't follow #{pk} any more.",
    )


@csrf_exempt  # a mail program posts here, without a page of ours before it (RFC 8058); the link itself is the right
@never_cache
@require_http_methods(["GET", "POST"])
def stop_by_link(request: Any, token: str) -> HttpResponse:
    """Stop by the link of a mail, without a sign-in. Only a POST stops: mail scanners open links."""
    try:
        watch_id, user_id = read_stop_link(token)
    except LookupError as error:
        raise Http404("This is not one of our links.") from error
    row = Watch.objects.select_related("user", "ticket", "service", "organisation").filter(
        pk=watch_id, user_id=user_id
    )
    found = row.first()
    if request.method == "POST" and found is not None:
        unwatch(watch_id=watch_id, user=found.user, now=database_now())
    answer = render(
        request, "watching/stop.html", {"watch": found, "stopped": request.method == "POST" or found is None}
    )
    answer["Referrer-Policy"] = "same-origin"
    answer["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return answer


def _unwatch_ticket(ticket: Ticket, user: User, now: dt.datetime) -> None:
    for pk in Watch.objects.filter(ticket=ticket, user=user).values_list("pk", flat=True):
        unwatch(watch_id=pk, user=user, now=now)


def _subject(choice: str, user: User) -> dict[str, Any]:
    """Return what was chosen, as the operation takes it. Raises Refused."""
    kind, _, number = choice.partition(":")
    offered: dict[str, Any] = {"service": _services(user, []), "organisation": _organisations(user, [])}
    for row in offered.get(kind, ()):
        if str(row.pk) == number:
            return {kind: row}
    raise Refused(
        "Nothing was chosen.", field="follow", value=choice, mend="Choose a service or an organisation."
    )


def _services(user: User, followed: list[Watch]) -> list[Service]:
    if not user.may(Verb.READ_NOTES):
        return []
    return list(
        Service.objects.exclude(pk__in=[row.service_id for row in followed if row.service_id]).order_by(
            "name"
        )
    )


def _organisations(user: User, followed: list[Watch]) -> list[Organisation]:
    scope = scope_of(user, Verb.VIEW)
    rows = Organisation.objects.exclude(
        pk__in=[row.organisation_id for row in followed if row.organisation_id]
    )
    if scope.reach != Reach.ALL:
        rows = rows.filter(pk__in=scope.organisation_ids)
    return list(rows.order_by("name"))
