"""Sign in and out; django-allauth does the work, axes counts the failures."""

from collections.abc import Mapping
from typing import Any

from allauth.account.views import LoginView, LogoutView
from axes.utils import reset
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import User


class SignIn(LoginView):
    """Sign in by email and password, at an address of our own."""

    template_name = "account/login.html"


class SignOut(LogoutView):
    """Sign out by POST; a GET asks first."""

    template_name = "account/logout.html"


def name_tried(request: HttpRequest | None, credentials: Mapping[str, Any] | None) -> str:
    """Return the address that somebody tries to sign in with, for axes to count failures by.

    allauth calls it email, the admin username; without this every failure would count for everybody behind the same
    address of the network.
    """
    given: Mapping[str, Any] = credentials or (request.POST if request is not None else {})
    found = next((given[name] for name in ("email", "username", "login") if given.get(name)), "")
    return str(found).strip().lower()[:254]


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: Any) -> HttpResponse:
    """Say in clear words that too many attempts failed, and what to do; axes calls it (AXES_LOCKOUT_CALLABLE)."""
    return render(request, "account/locked_out.html", status=429)


def unlock(*, user: User, **_: Any) -> None:
    """Forget the failures of somebody who has just proven, by mail, that the account is theirs."""
    reset(username=user.email.lower())
