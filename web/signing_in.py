"""Sign in and out; django-allauth does the work, axes counts the failures."""

from typing import Any

from allauth.account.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class SignIn(LoginView):
    """Sign in by email and password, at an address of our own."""

    template_name = "account/login.html"


class SignOut(LogoutView):
    """Sign out by POST; a GET asks first."""

    template_name = "account/logout.html"


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: Any) -> HttpResponse:
    """Say in clear words that too many attempts failed, and what to do; axes calls it (AXES_LOCKOUT_CALLABLE)."""
    return render(request, "account/locked_out.html", status=429)
