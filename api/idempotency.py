"""Requests that may be repeated safely: the answer is written in the transaction of the deed (Idempotency-Key)."""

import datetime as dt
import functools
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, connection, transaction
from django.http import QueryDict
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from api.models import IdempotencyKey
from api.problems import KeyReused
from core.errors import Conflict, Refused

HEADER = "Idempotency-Key"
KEPT = dt.timedelta(hours=24)
_KEY = re.compile(r"[!-~]{1,200}")
# How long the second of two requests with one key waits for the first.
_PATIENCE = "10s"

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """Let a POST carry an Idempotency-Key: repeated within 24 hours it changes nothing and is answered the same.

    Key and deed are one transaction: a failure leaves neither behind, and of two at the same time the second waits for
    the first. Raises KeyReused when the key comes with another request, Conflict when the first takes too long.
    """

    @functools.wraps(handler)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            raise Refused(
                f"This {HEADER} can't be used.",
                field=HEADER,
                value=key,
                mend="Take 1 to 200 visible ASCII characters.",
            )
        user = request.user
        assert isinstance(user, User)
        digest = _digest(request)
        with transaction.atomic():
            row, is_new = _claim(user, key, digest, view.now)
            if not is_new:
                return _again(row, digest, key)
            response = handler(view, request, *args, **kwargs)
            row.status = response.status_code
            row.body = json.loads(JSONRenderer().render(response.data))
            row.save(update_fields=["status", "body"])
        return response

    wrapper.takes_idempotency_key = True  # type: ignore[attr-defined]
    return wrapper


def forget_keys(*, now: dt.datetime) -> int:
    """Delete the answers that are older than a day; return how many there were."""
    count, _ = IdempotencyKey.objects.filter(created_at__lt=now - KEPT).delete()
    return count


def _claim(user: User, key: str, digest: bytes, now: dt.datetime) -> tuple[IdempotencyKey, bool]:
    """Write the key's row, or find the one that is there; the unique index lets the second wait for the first."""
    IdempotencyKey.objects.filter(user=user, key=key, created_at__lt=now - KEPT).delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_PATIENCE])
    try:
        found = IdempotencyKey.objects.get_or_create(
            user=user, key=key, defaults={"digest": digest, "created_at": now}
        )
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", "") != "55P03":
            raise
        raise Conflict(
            "The first request with this key is still under way.",
            field=HEADER,
            value=key,
            mend="Try again in a few seconds.",
        ) from error
    with connection.cursor() as cursor:
        # The deed waits for its locks as long as it does without a key.
        cursor.execute(
            "SELECT set_config('lock_timeout', reset_val, true) FROM pg_settings WHERE name = 'lock_timeout'"
        )
    return found


def _again(row: IdempotencyKey, digest: bytes, key: str) -> Response:
    if bytes(row.digest) != digest:
        raise KeyReused(
            "This key came with another request before.", field=HEADER, value=key, mend="Take a new key."
        )
    assert row.status is not None
    return Response(row.body, status=row.status, headers={"Idempotent-Replayed": "true"})


def _digest(request: Request) -> bytes:
    """Return a digest of what the request asks for: method, path and body, whatever the boundaries of a form."""
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    data = request.data
    parts: Any = data
    if isinstance(data, QueryDict):
        parts = [(name, [_part(item) for item in data.getlist(name)]) for name in sorted(data)]
    digest.update(json.dumps(parts, sort_keys=True).encode())
    return digest.digest()


def _part(item: Any) -> Any:
    if not isinstance(item, UploadedFile):
        return item
    content = hashlib.sha256()
    for chunk in item.chunks():
        content.update(chunk)
    item.seek(0)
    return [item.name, item.content_type, content.hexdigest()]
