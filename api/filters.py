"""Which rows a list shows; unknown parameters are refused, not ignored."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django import forms
from django.db.models import F, Q, QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.drainage import set_override
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.models import Tier
from accounts.queries import team_ids_of
from api.fields import BIGGEST_ID, utc
from api.problems import invalid
from api.serializers.common import sees_inside
from escalation.models import Clock, Escalation, EscalationRequest
from escalation.models.clocks import LIVE
from notifications.models import Notification
from tickets.models import Severity, Status

_PAGING = ("cursor", "page_size", "ordering", "format")


class Filters(DjangoFilterBackend):
    """Filter by the view's `filterset_class`, for people outside by its `public_filterset_class`."""

    def get_filterset_class(self, view: Any, queryset: Any = None) -> Any:
        public = getattr(view, "public_filterset_class", None)
        if public is not None and not sees_inside(view.get_serializer_context()):
            return public
        return super().get_filterset_class(view, queryset)

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        known = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        refuse_unknown_parameters(request, known)
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def refuse_unknown_parameters(request: Request, known: Iterable[str]) -> None:
    """Refuse query parameters that would otherwise be ignored. Raises ValidationError naming them."""
    names = sorted(known)
    unknown = [name for name in request.query_params if name not in names and name not in _PAGING]
    if unknown:
        mend = f"Take one of {', '.join(names)}." if names else "This list has no filters."
        raise ValidationError(
            {name: invalid(f"“{name}” is no filter here.", mend, "unknown").detail for name in unknown}
        )


class _Described(filters.Filter):
    """A filter that says by itself how it stands in the OpenAPI document."""

    openapi: ClassVar[dict[str, Any]]

    def __init__(self, *args: Any, help_text: str, **kwargs: Any) -> None:
        super().__init__(*args, help_text=help_text, **kwargs)
        set_override(self, "field", {**self.openapi, "description": help_text})


class _IdField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=BIGGEST_ID, **kwargs)


class IdFilter(_Described):
    """Rows that point at this id."""

    openapi: ClassVar = {"type": "integer", "format": "int64", "minimum": 1}
    field_class = _IdField


class _WordField(forms.Field):
    """An id, or one of a few words."""

    def __init__(self, *, words: Sequence[str], **kwargs: Any) -> None:
        self.words = words
        super().__init__(**kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if text in (None, "") or text in self.words:
            return text
        if text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= BIGGEST_ID:
            return int(text)
        # As parameters: a message with a percent sign of its own would be taken for a pattern.
        raise forms.ValidationError(
            "“%(value)s” is neither an id nor one of %(words)s.",
            params={"value": text[:40], "words": ", ".join(self.words)},
        )


class WordFilter(_Described):
    """An id, or one of a few words with a meaning of their own."""

    openapi: ClassVar = {"type": "string"}
    field_class = _WordField


class _TrueField(forms.TypedChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            choices=[("true", "true"), ("false", "false")],
            coerce=lambda text: text == "true",
            empty_value=None,
            error_messages={"invalid_choice": "“%(value)s” is neither true nor false."},
            **kwargs,
        )


class TrueFilter(_Described):
    """`true` or `false`; what is neither is refused."""

    openapi: ClassVar = {"type": "boolean"}
    field_class = _TrueField


def _choices(enum: Any, help_text: str = "", **kwargs: Any) -> filters.TypedMultipleChoiceFilter:
    coerce = type(enum.values[0])
    return filters.TypedMultipleChoiceFilter(
        choices=enum.choices, coerce=coerce, help_text=help_text, **kwargs
    )


class _InstantField(IsoDateTimeField):
    """An instant of ISO 8601; without a zone it is UTC, with one it becomes UTC."""

    def clean(self, value: Any) -> Any:
        try:
            found = super().clean(value)
            # PostgreSQL takes offsets of less than 16 hours only.
            return utc(found).astimezone(dt.UTC) if found is not None else None
        except OverflowError as error:
            raise forms.ValidationError("This instant is beyond the calendar.") from error


class InstantFilter(_Described):
    """Rows before or after an instant."""

    openapi: ClassVar = {"type": "string", "format": "date-time"}
    field_class = _InstantField


def _when(field: str, lookup: str, help_text: str) -> InstantFilter:
    return InstantFilter(field_name=field, lookup_expr=lookup, help_text=help_text + " (ISO 8601).")


class PublicTicketFilter(filters.FilterSet):
    """What everybody may ask of the tickets they see."""

    severity = _choices(Severity, "Repeat it for several.")
    status = _choices(Status, "Repeat it for several.")
    open = TrueFilter(
        method="by_open", help_text="`true`: new, open, waiting or on hold. `false`: resolved or closed."
    )
    service = IdFilter(field_name="service_id", help_text="A service's id.")
    category = IdFilter(field_name="category_id", help_text="A category's id.")
    organisation = IdFilter(field_name="organisation_id", help_text="An organisation's id.")
    q = filters.CharFilter(
        method="by_words",
        max_length=200,
        help_text="All of these words in the subject, or a number such as `#123`.",
    )
    opened_after = _when("opened_at", "gte", "Opened at or after this instant")
    opened_before = _when("opened_at", "lt", "Opened before this instant")

    def by_open(self, queryset: Any, name: str, value: bool) -> Any:
        # Positive in both cases: so the partial indexes of open tickets can serve.
        return queryset.open() if value else queryset.filter(status__in=(Status.RESOLVED, Status.CLOSED))

    def by_words(self, queryset: Any, name: str, value: str) -> Any:
        number = value.strip().removeprefix("#")
        if number.isascii() and number.isdecimal() and int(number[:20]) <= BIGGEST_ID:
            return queryset.filter(Q(pk=int(number[:20])) | Q(subject__icontains=value.strip()))
        for word in value.split()[:10]:
            queryset = queryset.filter(subject__icontains=word)
        return queryset


class TicketFilter(PublicTicketFilter):
    """What those who work tickets may ask."""

    tier = _choices(Tier, "Repeat it for several.")
    team = WordFilter(method="by_team", words=("mine", "none"), help_text="A team's id, `mine` or `none`.")
    assignee = WordFilter(
        method="by_person", words=("me", "none"), help_text="A person's id, `me` or `none`."
    )
    requester = WordFilter(method="by_person", words=("me",), help_text="A person's id or `me`.")
    tag = filters.CharFilter(method="by_tag", max_length=50, help_text="Tickets with this tag.")
    unacknowledged = TrueFilter(
        method="by_unacknowledged", help_text="`true`: whose step waits for somebody to take it."
    )
    due_before = _when("next_due_at", "lt", "Whose next deadline is before this instant")

    def by_team(self, queryset: Any, name: str, value: Any) -> Any:
        if value == "mine":
            return queryset.filter(team_id__in=team_ids_of(self.request.user))
        return queryset.filter(team_id__isnull=True) if value == "none" else queryset.filter(team_id=value)

    def by_person(self, queryset: Any, name: str, value: Any) -> Any:
        if value == "none":
            return queryset.filter(**{f"{name}_id__isnull": True})
        return queryset.filter(**{f"{name}_id": self.request.user.pk if value == "me" else value})

    def by_tag(self, queryset: Any, name: str, value: str) -> Any:
        return queryset.filter(tags__contains=[value.strip().lower()])

    def by_unacknowledged(self, queryset: Any, name: str, value: bool) -> Any:
        return queryset.unacknowledged() if value else queryset.filter(unacknowledged_since__isnull=True)


class EscalationFilter(filters.FilterSet):
    """Which step changes."""

    ticket = IdFilter(field_name="ticket_id", help_text="A ticket's number.")
    tier = _choices(Tier, "The tier it led to; repeat it for several.", field_name="to_tier")
    trigger = _choices(Escalation.Trigger, "Repeat it for several.")
    kind = _choices(Escalation.Kind, "Repeat it for several.")
    unacknowledged = TrueFilter(
        method="by_unacknowledged",
        help_text="`true`: the current step of an open ticket, waiting for somebody to take it.",
    )
    at_after = _when("at", "gte", "At or after this instant")
    at_before = _when("at", "lt", "Before this instant")

    def by_unacknowledged(self, queryset: Any, name: str, value: bool) -> Any:
        waiting = Q(ticket__unacknowledged_since__isnull=False, ticket__standing__seq=F("seq"))
        return queryset.filter(waiting) if value else queryset.exclude(waiting)


class ClockFilter(filters.FilterSet):
    """Which clocks."""

    ticket = IdFilter(field_name="ticket_id", help_text="A ticket's number.")
    kind = _choices(Clock.Kind, "Repeat it for several.")
    live = TrueFilter(method="by_live", help_text="`true`: running or paused. `false`: the past ones.")
    due_before = _when("due_at", "lt", "Due before this instant")

    def by_live(self, queryset: Any, name: str, value: bool) -> Any:
        return queryset.filter(state__in=LIVE) if value else queryset.exclude(state__in=LIVE)


class NotificationFilter(filters.FilterSet):
    """Which messages."""

    ticket = IdFilter(field_name="ticket_id", help_text="A ticket's number.")
    state = _choices(Notification.State, "Repeat it for several.")


class EscalationRequestFilter(filters.FilterSet):
    """Which wishes."""

    ticket = IdFilter(field_name="ticket_id", help_text="A ticket's number.")
    state = _choices(EscalationRequest.State, "Repeat it for several.")
