"""What every page shares: who may come in, where they land, which theme they see."""

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.queries import scope_of
from accounts.rules import Scope, Verb
from escalation import watchdog
from notifications.queries.bell import UNREAD_CAP, unread_sql
from tickets.models import Ticket
from tickets.querysets import TicketQuerySet
from web.alarm import wants_look

THEME_COOKIE = "belay_theme"
THEMES = ("light", "dark")
_YEAR = 365 * 24 * 3600
WAITING_CAP = 99

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class SignedIn(HttpRequest):
    """A request whose user is a person of ours, for the type checker."""

    user: User


def signed_in(view: Callable[Concatenate[Any, P], HttpResponseBase]) -> View[P]:
    """Let only people who are signed in through; a fragment asks the page to sign in instead of swapping it in."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if isinstance(request.user, User) and request.user.is_active:
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request"):
            return HttpResponse("You are signed out.", status=401, content_type="text/plain")
        return redirect_to_login(request.get_full_path(), reverse("web:sign_in"))

    return guarded


def may(verb: Verb) -> Callable[[Callable[Concatenate[Any, P], HttpResponseBase]], View[P]]:
    """Let only people through whose role allows `verb`; others read a 403 that says where to go."""

    def decorate(view: Callable[Concatenate[Any, P], HttpResponseBase]) -> View[P]:
        @wraps(view)
        def guarded(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.may(verb):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return signed_in(guarded)

    return decorate


def arrive(request: Any, scope: Scope | None = None) -> dt.datetime:
    """Return the database's clock and note, in the same query, what the bar on top shows.

    `request.waiting` is then how many escalations wait for a person, `request.unread` how much of their own bell is
    new, as text ("" for none, capped). For a lead the same query looks at the engines now and then, for the alarm.
    """
    user: User = request.user
    waiting = Ticket.objects.within(scope or scope_of(user, Verb.VIEW)).open().unacknowledged()
    sql, params = count_sql(waiting, WAITING_CAP)
    told, told_params = unread_sql(user.pk) if user.is_agent else ("0", ())
    look = watchdog.VITALS_SQL if wants_look(user) else "NULL"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT clock_timestamp(), {sql}, {told}, {look}", (*params, *told_params))
        now, count, unread, vitals = cursor.fetchone()
    if vitals is not None:
        watchdog.remember(vitals)
    request.waiting = capped(count, WAITING_CAP)
    request.unread = capped(unread, UNREAD_CAP)
    return now.astimezone(dt.UTC)  # type: ignore[no-any-return]


def count_sql(tickets: TicketQuerySet, cap: int) -> tuple[str, tuple[Any, ...]]:
    """Return a subquery that counts tickets up to one beyond `cap`, for several counts in one query."""
    try:
        sql, params = tickets.order_by().values("pk")[: cap + 1].query.sql_with_params()
    except EmptyResultSet:
        # What Django knows to match nothing it does not compile.
        return "0", ()
    return f"(SELECT count(*) FROM ({sql}) counted)", params  # noqa: S608 - Django's own SQL


def capped(count: int, cap: int) -> str:
    """Return a count as text, "99+" beyond the cap, "" for nought."""
    if not count:
        return ""
    return f"{cap}+" if count > cap else str(count)


@require_GET
@may(Verb.WORK)
def waiting(request: SignedIn) -> HttpResponse:
    """Return the parts of the bar on top that say how much waits for a person, and how much of their bell is new."""
    arrive(request)
    return render(request, "partials/waiting.html", {"with_bell": True})


@require_GET
@never_cache
@may(Verb.LEAD)
def alarm(request: SignedIn) -> HttpResponse:
    """Return what of the engine's troubles a lead has to know; nothing while all is well."""
    return render(request, "partials/alarm.html")


def landing_page(user: User) -> str:
    """Return where this person starts: requesters in the portal, leads at the board, agents at their queue."""
    if not user.is_agent:
        return "/portal/"
    return "/board/" if user.may(Verb.LEAD) else reverse("web:queue")


@require_GET
@signed_in
def home(request: SignedIn) -> HttpResponse:
    """Send everybody to the page they start from."""
    return redirect(landing_page(request.user))


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or (anything else) the system's own choice in this browser, and go back."""
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    answer = redirect(back)
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        # Readable by the page's script, which switches without a reload.
        answer.set_cookie(THEME_COOKIE, theme, max_age=_YEAR, samesite="Lax", secure=request.is_secure())
    else:
        answer.delete_cookie(THEME_COOKIE, samesite="Lax")
    return answer
