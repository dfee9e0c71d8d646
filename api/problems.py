"""Errors as problem documents (RFC 9457): what is wrong, with which field and value, and what would mend it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from rest_framework import exceptions
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from core.errors import Conflict, NotAllowed, Refused
from core.text import storable
from escalation.operations import AlreadyAcknowledged, Moved

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:belay:problem:"
# Never sent back, whatever is wrong with them.
_SECRET = frozenset({"password", "code"})
_LONGEST_VALUE = 200

# What mends the errors that the framework words itself, by their code.
_MENDS = {
    "required": "Send this field.",
    "null": "Send a value.",
    "blank": "Write at least one character.",
    "empty": "Send at least one.",
    "max_length": "Shorten it.",
    "max_value": "Send a smaller number.",
    "min_value": "Send a larger number.",
    "not_a_list": "Send a list.",
    "surrogate_characters_not_allowed": "Send valid Unicode text.",
    "null_characters_not_allowed": "Leave out the NUL characters.",
}

_TITLES = {
    "invalid": "The request has errors",
    "unreadable": "The request can't be read",
    "refused": "Refused",
    "unauthenticated": "Who are you?",
    "not-allowed": "Not allowed",
    "not-found": "Not found",
    "method-not-allowed": "Method not allowed",
    "not-acceptable": "Not acceptable",
    "conflict": "Something has changed meanwhile",
    "moved": "The ticket has moved",
    "already-acknowledged": "Already acknowledged",
    "too-large": "Too large",
    "unsupported-media-type": "Unsupported media type",
    "key-reused": "The idempotency key was used for another request",
    "throttled": "Too many requests",
    "locked-out": "Too many failed attempts",
}
SLUGS = tuple(_TITLES)

_OF_CLASS: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.NotAuthenticated, "unauthenticated"),
    (exceptions.AuthenticationFailed, "unauthenticated"),
    (exceptions.PermissionDenied, "not-allowed"),
    (exceptions.NotFound, "not-found"),
    (exceptions.MethodNotAllowed, "method-not-allowed"),
    (exceptions.NotAcceptable, "not-acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported-media-type"),
    (exceptions.Throttled, "throttled"),
    (exceptions.ParseError, "unreadable"),
)


class Code(str):
    """An error's code that carries its mend through the framework, which keeps codes as they are."""

    __slots__ = ("mend",)

    def __new__(cls, code: str, mend: str = "") -> Self:
        made = super().__new__(cls, code)
        made.mend = mend
        return made

    mend: str


def invalid(message: str, mend: str = "", code: str = "invalid") -> ValidationError:
    """Return a validation error of one field that says what would be accepted."""
    return ValidationError(ErrorDetail(message, Code(code, mend)))


class KeyReused(Refused):
    """Say that an idempotency key came again with another request."""

    status = 422


class TooLarge(exceptions.APIException):
    """Say that a body is larger than anything Belay would take."""

    status_code = 413
    default_detail = "The request is too large."
    default_code = "too_large"


class LockedOut(Refused):
    """Say that sign-in is closed for a while after too many failures."""

    status = 429


def answer(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into a problem document; None for what is no answer but a fault of ours."""
    if isinstance(exc, Refused):
        return _of_refusal(exc)
    if isinstance(exc, RequestDataTooBig):
        exc = TooLarge()
    elif isinstance(exc, SuspiciousOperation):
        exc = exceptions.ParseError("The request can't be read.")
    elif isinstance(exc, Http404 | ObjectDoesNotExist):
        exc = exceptions.NotFound("There is nothing here that you can see.")
    elif isinstance(exc, DjangoPermissionDenied):
        exc = exceptions.PermissionDenied()
    response = exception_handler(exc, context)
    if response is None:
        return None
    assert isinstance(exc, exceptions.APIException)
    if isinstance(exc, ValidationError):
        body = _of_validation(exc, context)
    else:
        slug = "too-large" if isinstance(exc, TooLarge) else _slug(exc)
        body = problem(slug, response.status_code, str(exc.detail))
        if wait := getattr(exc, "wait", None):
            body["mend"] = f"Wait {int(wait) + 1} seconds."
    headers = dict(response.items())
    return Response(_sendable(body), status=response.status_code, headers=headers, content_type=MEDIA_TYPE)


def problem(slug: str, status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return a problem document; `slug` names its kind for programs."""
    return {"type": _PREFIX + slug, "title": _TITLES[slug], "status": status, "detail": detail, **more}


def _slug(exc: exceptions.APIException) -> str:
    return next((slug for kind, slug in _OF_CLASS if isinstance(exc, kind)), "refused")


def _of_refusal(exc: Refused) -> Response:
    slug = "refused"
    more: dict[str, Any] = {}
    match exc:
        case Moved():
            slug = "moved"
            more = {"seq": exc.seq, "tier": exc.tier}
        case AlreadyAcknowledged():
            slug = "already-acknowledged"
        case Conflict():
            slug = "conflict"
        case NotAllowed():
            slug = "not-allowed"
        case KeyReused():
            slug = "key-reused"
        case LockedOut():
            slug = "locked-out"
    # Operations name the person; over the API it is the caller, whom a `field` would only puzzle.
    field = "" if exc.field == "actor" else exc.field
    body = problem(slug, exc.status, exc.message)
    if field:
        body |= {"field": field, "value": shown(exc.value) if field not in _SECRET else None}
    if exc.mend:
        body["mend"] = exc.mend
    return Response(_sendable(body | more), status=exc.status, content_type=MEDIA_TYPE)


def _of_validation(exc: ValidationError, context: dict[str, Any]) -> dict[str, Any]:
    request = context.get("request")
    sent: Any = None
    if request is not None:
        sent = request.query_params if request.method == "GET" else request.data
    errors = []
    for path, detail in _flat(exc.detail):
        code = detail.code
        entry = {"field": ".".join(map(str, path)), "message": str(detail)}
        if not _SECRET & set(map(str, path)):
            entry["value"] = _value_at(sent, path)
        entry["mend"] = getattr(code, "mend", "") or _MENDS.get(str(code), "")
        errors.append(entry)
    first = errors[0]
    name = f"{first['field']}: " if first["field"] else ""
    more = {key: first[key] for key in ("field", "value", "mend") if first.get(key) not in ("", None)}
    return problem("invalid", 400, f"{name}{first['message']}", **more, errors=errors)


def _flat(detail: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], ErrorDetail]]:
    """Walk through nested error details; the framework's name for "the whole" becomes no name."""
    if isinstance(detail, ErrorDetail):
        yield path, detail
    elif isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(inner, path if name == "non_field_errors" else (*path, name))
    else:
        for place, inner in enumerate(detail):
            # A list of messages has no places; a list of items has, and skips those without errors.
            yield from _flat(inner, path if isinstance(inner, ErrorDetail) else (*path, place))


def _value_at(sent: Any, path: Sequence[Any]) -> Any:
    for name in path:
        there = (
            name in sent if isinstance(sent, Mapping) else isinstance(sent, list) and name in range(len(sent))
        )
        if not there:
            return None
        sent = sent[name]
    return shown(sent) if path else None


def _sendable(part: Any) -> Any:
    """Return a part of a document whose texts can be sent: what came may hold half a surrogate pair, in names too."""
    if isinstance(part, dict):
        return {name: _sendable(inner) for name, inner in part.items()}
    if isinstance(part, list):
        return [_sendable(inner) for inner in part]
    return storable(part) if isinstance(part, str) else part


def shown(value: Any) -> Any:
    """Return a value fit to be sent back: plain and short."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, UploadedFile):
        value = value.name
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
