"""Who is on the line; runs in threads, because sessions and Scopes are rows."""

from http.cookies import CookieError
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest, parse_cookie

from accounts.models import User
from accounts.queries import scope_of
from accounts.rules import Verb
from web.live.topics import Hearer


def session_key(cookie_header: str) -> str:
    """Return the session key of a Cookie header, "" if there is none."""
    try:
        return parse_cookie(cookie_header).get(settings.SESSION_COOKIE_NAME, "")
    except CookieError:
        return ""


def find_person(key: str) -> Hearer | None:
    """Return who is signed in with this session and what they may hear; None for nobody.

    Three queries on a connection of the calling thread.
    """
    if not key:
        return None
    close_old_connections()
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        return None
    return Hearer(
        user_id=user.pk,
        scope=scope_of(user, Verb.VIEW),
        reads_notes=user.may(Verb.READ_NOTES),
        watches_board=user.may(Verb.WATCH),
    )
