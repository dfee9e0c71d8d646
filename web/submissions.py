"""Forms that count once, however often they arrive."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts.models import User
from web.models import Submission

KEPT = dt.timedelta(days=2)
FIELD = "form_token"


class SentBefore(Exception):
    """Say that this very form has arrived already; what it asked for has been done."""


def new_token() -> str:
    """Return a token for a form about to be shown."""
    return secrets.token_urlsafe(18)


@contextmanager
def counted_once(request: HttpRequest, user: User, *, now: dt.datetime) -> Iterator[None]:
    """Run the block in a transaction in which this form's key is inserted first.

    A second post of the same form with the same content waits for the first to commit, then raises SentBefore. When
    the block fails, the key goes with it and the form may be sent again. The same form with other content (an old
    page taken from the browser's history) is another submission. Forms without a token are taken as they come.
    """
    token = request.POST.get(FIELD, "")
    with transaction.atomic():
        if token:
            try:
                with transaction.atomic():
                    Submission.objects.create(key=_key(request, user, token), user=user, at=now)
            except IntegrityError as error:
                raise SentBefore from error
            # Each person sweeps up their own; no job is needed for it.
            Submission.objects.filter(user=user, at__lt=now - KEPT).delete()
        yield


def _key(request: HttpRequest, user: User, token: str) -> str:
    digest = hashlib.sha256(f"{user.pk}\0{request.path}\0{token}".encode())
    for name in sorted(request.POST):
        if name != "csrfmiddlewaretoken":
            for value in request.POST.getlist(name):
                digest.update(f"\0{name}={value}".encode(errors="replace"))
    for name in sorted(request.FILES):
        for upload in request.FILES.getlist(name):
            if isinstance(upload, UploadedFile):
                digest.update(f"\0{name}:{upload.name}:{upload.size}".encode(errors="replace"))
    return digest.hexdigest()
