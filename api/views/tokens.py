"""Sign in for a token, see one's tokens, revoke them."""

import datetime as dt
from typing import Any

from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.utils import is_mfa_enabled
from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import authenticate, logout
from django.contrib.auth.models import update_last_login
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, extend_schema
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from api.pagination import Ordering
from api.problems import LockedOut
from api.serializers.bodies import EmptyBody, SignInBody
from api.serializers.people import NewTokenSerializer, TokenSerializer
from api.throttles import SignInThrottle
from api.views.base import Door
from core.errors import Refused

DEFAULT_LIFE = dt.timedelta(days=90)


class SignInView(Door):
    """Email and password for a token."""

    # Nobody is signed in here, and no session is looked at: there is nothing to forge.
    authentication_classes: Any = ()
    permission_classes = (AllowAny,)
    throttle_classes = (SignInThrottle,)
    pagination_class = None
    filter_backends: Any = ()
    serializer_class = NewTokenSerializer

    def get_authenticate_header(self, request: Request) -> str:
        return "Token"

    @extend_schema(
        operation_id="sign_in",
        summary="Sign in for a token",
        description="Ten attempts a minute from one address; after five failures the account is closed to that "
        "address for 15 minutes. People with a second factor send its code along.",
        request=SignInBody,
        responses={201: NewTokenSerializer},
        examples=[
            OpenApiExample(
                "Sign in",
                {"email": "ada@example.org", "password": "correct horse battery"},
                request_only=True,
            )
        ],
        tags=["auth"],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        data = self.read(SignInBody)
        plain = request._request  # noqa: SLF001 sign-in is Django's matter, and axes writes on its request
        user = _signed_in(plain, data["email"], data["password"], data.get("code", ""))
        seconds = data.get("expires_in_seconds", int(DEFAULT_LIFE.total_seconds()))
        life = dt.timedelta(seconds=seconds) if seconds is not None else None
        with transaction.atomic():
            row, token = AuthToken.objects.create(user, expiry=life)
            update_last_login(User, user)
        made = {"token": token, "id": row.token_key, "expires_at": row.expiry, "user": user}
        return Response(self.show(NewTokenSerializer, made), status=201)


class TokensView(Door):
    """The caller's own tokens."""

    queryset = AuthToken.objects.none()
    serializer_class = TokenSerializer
    orderings = {"-created": Ordering(("-created", "-digest"), "the newest first")}  # noqa: RUF012

    @extend_schema(
        operation_id="list_tokens",
        summary="List your tokens",
        responses={200: TokenSerializer(many=True)},
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        return self.page(self.filter_queryset(AuthToken.objects.filter(user=self.user)), TokenSerializer)


class TokenView(Door):
    """One of the caller's tokens."""

    queryset = AuthToken.objects.none()
    serializer_class = TokenSerializer

    @extend_schema(
        operation_id="revoke_token",
        summary="Revoke a token",
        request=None,
        responses={204: None},
        tags=["auth"],
    )
    def delete(self, request: Request, token_key: str) -> Response:
        get_object_or_404(AuthToken.objects.filter(user=self.user), token_key=token_key).delete()
        return Response(status=204)


class SignOutView(Door):
    """The end of this token, or of this session."""

    pagination_class = None
    filter_backends: Any = ()

    @extend_schema(
        operation_id="sign_out",
        summary="Sign out",
        description="Revokes the token the request came with, or ends the browser's session.",
        request=EmptyBody,
        responses={204: None},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        if isinstance(request.auth, AuthToken):
            request.auth.delete()
        else:
            logout(request._request)  # noqa: SLF001 the session is on Django's request
        return Response(status=204)


def _signed_in(request: HttpRequest, email: str, password: str, code: str) -> User:
    """Return who this is, by way of Django's `authenticate`, so that axes counts and locks.

    A wrong second factor counts like a wrong password. Raises AuthenticationFailed and LockedOut, both without telling
    whether there is such a person, and Refused where a code is asked for.
    """
    name = email.strip().lower()
    user = authenticate(request, email=name, password=password)
    _check_lock(request)
    if not isinstance(user, User):
        raise AuthenticationFailed("This email address and password don't belong together.")
    if is_mfa_enabled(user) and not _second_factor(user, code):
        user_login_failed.send(sender=__name__, credentials={"email": name}, request=request)
        _check_lock(request)
        raise AuthenticationFailed("This code is wrong or was used before.")
    AxesProxyHandler.reset_attempts(username=name, ip_address=getattr(request, "axes_ip_address", None))
    return user


def _check_lock(request: HttpRequest) -> None:
    """Say that the door is closed, if axes has closed it. Raises LockedOut."""
    if getattr(request, "axes_locked_out", False):
        # Its middleware would put a page in the place of our answer.
        request.axes_locked_out = False  # type: ignore[attr-defined]
        raise LockedOut("Too many failed attempts.", mend="Wait a quarter of an hour, or ask an admin.")


def _second_factor(user: User, code: str) -> bool:
    """Tell whether the code is right, and use it up. Raises Refused when there is none."""
    if not code:
        raise Refused(
            "This account has a second factor.",
            field="code",
            mend="Send the code of the authenticator app, or a recovery code.",
        )
    form = AuthenticateForm(user=user, data={"code": code})
    if not form.is_valid():
        return False
    form.authenticator.record_usage()
    return True
