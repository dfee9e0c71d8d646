"""The page behind the link of a telling: one tap at 03:00 says who has it. No sign-in for personal links."""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.models import User
from core.db import database_now
from core.errors import Conflict, Refused
from escalation.models import Escalation, Standing
from escalation.operations import acknowledge, pass_on
from escalation.outlook import Outlook, outlook_of
from escalation.queries import AcknowledgeLink, BadLink, follow_merge, read_acknowledge_link
from notifications.models import Contact
from tickets.models import Ticket

OPEN = "open"  # somebody must take it
MINE = "mine"  # whoever holds the link has it
TAKEN = "taken"  # somebody else has it
MOVED = "moved"  # the ticket is at another step, or was told anew
DONE = "done"  # solved or closed


@dataclass(frozen=True, slots=True)
class Situation:
    """What the link still means; `status` is what a look at it is answered with."""

    kind: str
    ticket: Ticket
    standing: Standing
    current: Escalation

    @property
    def status(self) -> int:
        return 200 if self.kind in (OPEN, MINE) else 410

    @property
    def mark(self) -> str:
        """Changes whenever the page would; its script asks for it while the page is looked at."""
        return f"{self.kind}-{self.standing.seq}-{self.standing.round}"


def kept_private(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Keep a page whose address is a secret out of caches, search engines and other sites' logs."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = view(request, *args, **kwargs)
        answer["Cache-Control"] = "no-store, private"
        # Not "no-referrer": browsers would then post the form with "Origin: null", which the CSRF check refuses.
        # No other site ever learns the address this way either.
        answer["Referrer-Policy"] = "same-origin"
        answer["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        return answer

    return guarded


@require_http_methods(["GET", "HEAD", "POST"])
@kept_private
def acknowledge_page(request: HttpRequest, token: str) -> HttpResponse:
    """Show what is to be taken; only a POST takes it, because mail scanners open links.

    A link that is over says what has become of the ticket: 410 on a look, 409 on a tap that came too late, 404 for
    one that is none of ours. A room's link asks for a sign-in and acts as the person who signed in.
    """
    try:
        link = read_acknowledge_link(token)
    except BadLink as error:
        expired = isinstance(error.__cause__, signing.SignatureExpired)
        return _no_link(request, expired=expired)
    contact = Contact.objects.select_related("user").get(pk=link.contact_id)
    if not contact.is_active or (contact.user is not None and not contact.user.is_active):
        return _no_link(request, expired=True)
    person = request.user if isinstance(request.user, User) and request.user.is_active else None
    is_room = contact.kind == Contact.Kind.ROOM
    if is_room and person is None:
        answer: HttpResponse = redirect_to_login(request.get_full_path(), reverse("web:sign_in"))
        return answer
    actor = person if is_room else None
    seen = request.POST.get("seq", "")
    link = follow_merge(link, int(seen) if seen.isdecimal() and len(seen) < 10 else None)
    if link.merged_from is not None and not is_room:
        # Bound to no telling of the survivor: what its contact may do there, they may do as a person.
        actor = contact.user
    if request.method == "POST":
        return _tapped(request, link, contact, actor)
    situation = _situation(link, contact, actor)
    if situation is None:
        return _no_link(request, expired=True)
    return _show(request, situation, link, contact, actor, status=situation.status)


def _tapped(
    request: HttpRequest, link: AcknowledgeLink, contact: Contact, actor: User | None
) -> HttpResponse:
    """Do what was tapped; then the page is looked at anew, so that a reload repeats nothing."""
    now = database_now()
    wish = request.POST.get("do", "")
    try:
        if wish == "take":
            acknowledge(
                ticket_id=link.ticket_id,
                seen_seq=link.seq,
                actor=actor,
                contact=None if actor is not None else contact,
                now=now,
                via="link",
            )
        elif wish == "pass" and actor is None and link.merged_from is None:
            pass_on(ticket_id=link.ticket_id, seen_seq=link.seq, contact=contact, now=now)
        else:
            raise Refused("Nothing was chosen.", field="do", value=wish, mend="Tap one of the two buttons.")
    except Refused as error:
        situation = _situation(link, contact, actor)
        if situation is None:
            return _no_link(request, expired=True)
        if isinstance(error, Conflict) and situation.kind == MINE:
            # The second of two taps: the first one has done it.
            return redirect("web:acknowledge", token=request.resolver_match.kwargs["token"])  # type: ignore[union-attr]
        return _show(request, situation, link, contact, actor, status=error.status, error=error)
    return redirect("web:acknowledge", token=request.resolver_match.kwargs["token"])  # type: ignore[union-attr]


def _situation(link: AcknowledgeLink, contact: Contact, actor: User | None) -> Situation | None:
    """Return what the link still means, None when its ticket has no such step; three queries."""
    ticket = Ticket.objects.for_list().filter(pk=link.ticket_id).first()
    standing = Standing.objects.select_related("step").filter(ticket_id=link.ticket_id).first()
    rows = Escalation.objects.select_related("acknowledged_by", "acknowledged_contact")
    current = rows.filter(ticket_id=link.ticket_id, seq=link.seq).first()
    if ticket is None or standing is None or current is None:
        return None
    if not ticket.is_open:
        kind = DONE
    elif standing.seq != link.seq:
        kind = MOVED
    elif current.acknowledged_at is None:
        kind = OPEN
    else:
        by_actor = actor is not None and current.acknowledged_by_id == actor.pk
        by_contact = actor is None and current.acknowledged_contact_id == contact.pk
        kind = MINE if by_actor or by_contact else TAKEN
    return Situation(kind, ticket, standing, current)


def _show(
    request: HttpRequest,
    situation: Situation,
    link: AcknowledgeLink,
    contact: Contact,
    actor: User | None,
    *,
    status: int,
    error: Refused | None = None,
) -> HttpResponse:
    now = database_now()
    outlook = (
        outlook_of(situation.ticket, link.seq, contact_id=contact.pk, now=now)
        if situation.kind in (OPEN, MINE)
        else None
    )
    told = [one for one in outlook.told if one.contact_id != contact.pk] if outlook else []
    me = next((one for one in outlook.told if one.contact_id == contact.pk), None) if outlook else None
    zone = actor.time_zone if actor is not None else contact.time_zone
    context = {
        "now": now,
        "situation": situation,
        "ticket": situation.ticket,
        "outlook": outlook,
        "countdown": _countdown(outlook, now),
        "others": told,
        "passed": me is not None and me.outcome == "can't",
        "last_held": outlook.held[-1] if outlook and outlook.held else None,
        "zone": zone,
        "may_pass": actor is None and link.merged_from is None,
        "merged_from": link.merged_from,
        "reached": [one.name for one in told if one.outcome in ("told", "on the way")],
        "until_format": _until_format(outlook, zone, now),
        "error": error if situation.kind == OPEN else None,
        "who": situation.current.acknowledged_by or situation.current.acknowledged_contact,
        "after": situation.current.acknowledged_at - situation.current.at
        if situation.current.acknowledged_at
        else None,
    }
    answer = render(request, f"portal/phone/{situation.kind}.html", context, status=status)
    answer["X-Belay-Mark"] = situation.mark
    return answer


def _no_link(request: HttpRequest, *, expired: bool) -> HttpResponse:
    name = "expired" if expired else "unknown"
    return render(request, f"portal/phone/{name}.html", status=410 if expired else 404)


def _countdown(outlook: Outlook | None, now: dt.datetime) -> str:
    """Return the time left as a clock shows it, "3:12" or "1:03:12"; the page's script lets it run."""
    if outlook is None or outlook.until is None:
        return ""
    seconds = max(int((outlook.until - now).total_seconds()), 0)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _until_format(outlook: Outlook | None, zone: str, now: dt.datetime) -> str:
    """Return how the next instants are written: the day stands there only when it is not today's."""
    last = (outlook.climbs_at or outlook.until) if outlook is not None else None
    tz = zoneinfo.ZoneInfo(zone)
    same_day = last is None or last.astimezone(tz).date() == now.astimezone(tz).date()
    return "H:i T" if same_day else "D j M, H:i T"
