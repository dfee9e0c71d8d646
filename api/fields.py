"""Fields that take what their schema says and nothing else."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Choices
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils import html

from api.problems import invalid

BIGGEST_ID = 2**63 - 1


class Body(serializers.Serializer[Any]):
    """A request's body: fields it does not know are refused, not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = [name for name, field in self.fields.items() if not field.read_only]
            unknown = [name for name in data if name not in writable]
            if unknown:
                mend = f"Take one of {', '.join(writable)}." if writable else "Send an empty object."
                raise serializers.ValidationError(
                    {
                        str(name): invalid(f"“{name}” is no field of this request.", mend, "unknown").detail
                        for name in unknown
                    }
                )
        return super().to_internal_value(data)


def _is_form(field: serializers.Field[Any, Any, Any, Any]) -> bool:
    """Tell whether the body came as a form, in which everything is text."""
    return html.is_html_input(getattr(field.root, "initial_data", None))


class Text(serializers.CharField):
    """A string; numbers are not turned into one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise invalid("This is no text.", "Send a string.")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number; JSON strings are not turned into one, form fields are."""

    def to_internal_value(self, data: Any) -> int:
        plain = isinstance(data, int | float) and not isinstance(data, bool)
        if not plain and not (isinstance(data, str) and _is_form(self)):
            raise invalid("This is no whole number.", "Send a number without quotes.")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of a closed set; says which values there are."""

    def __init__(self, choices: type[Choices], **kwargs: Any) -> None:
        self.noun = choices.__name__.lower()
        super().__init__(choices=choices.choices, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        values = list(self.choices)
        kind = type(values[0]) if values else str
        if kind is int and isinstance(data, str) and _is_form(self) and data.isdecimal():
            data = int(data)
        if type(data) is float and data.is_integer():
            data = int(data)
        if type(data) is not kind or data not in values:
            raise invalid(
                f"“{data}” is no {self.noun}."
                if isinstance(data, str | int | float)
                else f"This is no {self.noun}.",
                f"Take one of {', '.join(map(str, values))}.",
                "invalid_choice",
            )
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Ref(serializers.PrimaryKeyRelatedField[Any]):
    """Another row by its id."""

    def __init__(self, *, noun: str = "row", where: str = "", **kwargs: Any) -> None:
        self.noun, self.where = noun, where
        if not kwargs.get("read_only"):
            kwargs["pk_field"] = Whole(min_value=1, max_value=BIGGEST_ID)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        rows, number_field = self.get_queryset(), self.pk_field
        assert rows is not None
        assert number_field is not None
        if isinstance(data, str) and data.isdecimal() and _is_form(self):
            data = int(data)
        number = number_field.run_validation(data)
        found = rows.filter(pk=number).first()
        if found is None:
            mend = f"See {self.where}." if self.where else ""
            raise invalid(f"There is no {self.noun} {number}.", mend, "does_not_exist")
        return found


@extend_schema_field(OpenApiTypes.NUMBER)
class Seconds(serializers.Field[Any, Any, Any, Any]):
    """A duration in seconds, to the millisecond; negative where something is late."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["read_only"] = True
        super().__init__(**kwargs)

    def to_representation(self, value: dt.timedelta) -> float | int:
        seconds = round(value.total_seconds(), 3)
        return int(seconds) if seconds.is_integer() else seconds


class Instant(serializers.DateTimeField):
    """An instant, ISO 8601 in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["read_only"] = True
        kwargs["default_timezone"] = dt.UTC
        super().__init__(**kwargs)


def utc(value: dt.datetime) -> dt.datetime:
    """Return an instant that came without a zone as UTC."""
    return timezone.make_aware(value, dt.UTC) if timezone.is_naive(value) else value
