"""Pages by keyset: the next page starts after the last row, however many rows came in between."""

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from api.fields import BIGGEST_ID
from api.problems import invalid

# The columns that hold numbers; all others a list is ordered by hold instants.
_NUMBERS = frozenset({"id", "seq"})


@dataclass(frozen=True, slots=True)
class Ordering:
    """One order rows may come in: column names, each with "-" in front when it falls; the last one is unique."""

    columns: tuple[str, ...]
    says: str

    @property
    def names(self) -> list[str]:
        return [column.lstrip("-") for column in self.columns]

    def after(self, values: Sequence[Any]) -> Q:
        """Return the filter for all rows behind the one with these values."""
        names = self.names
        behind = Q(pk__in=())
        for place, column in enumerate(self.columns):
            same = Q(**dict(zip(names[:place], values[:place], strict=True)))
            how = "lt" if column.startswith("-") else "gt"
            behind |= same & Q(**{f"{names[place]}__{how}": values[place]})
        # The first column once more, by itself: that is what an index can start from.
        how = "lte" if self.columns[0].startswith("-") else "gte"
        return Q(**{f"{names[0]}__{how}": values[0]}) & behind


NEWEST = {"-id": Ordering(("-id",), "the newest first")}
OLDEST = {"id": Ordering(("id",), "the oldest first")}
BY_SEQ = {"seq": Ordering(("seq",), "the oldest first")}


class KeysetPagination(BasePagination):
    """`{"next": URL or null, "results": [...]}`, in one of the view's orderings."""

    page_size = 25
    largest = 100
    cursor_parameter, size_parameter, ordering_parameter = "cursor", "page_size", "ordering"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        orderings: Mapping[str, Ordering] = view.get_orderings()
        name = request.query_params.get(self.ordering_parameter) or next(iter(orderings))
        if name not in orderings:
            raise _wrong(
                self.ordering_parameter, f"“{name}” is no ordering.", f"Take one of {', '.join(orderings)}."
            )
        ordering = orderings[name]
        size = self._size(request)
        cursor = request.query_params.get(self.cursor_parameter)
        if cursor:
            queryset = queryset.filter(ordering.after(_read(cursor, name, ordering)))
        rows = list(queryset.order_by(*ordering.columns)[: size + 1])
        self._next: str | None = None
        if len(rows) > size:
            rows = rows[:size]
            values = [getattr(rows[-1], column) for column in ordering.names]
            here = request.build_absolute_uri()
            self._next = replace_query_param(here, self.cursor_parameter, _write(name, values))
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self._next, "results": data})

    def _size(self, request: Request) -> int:
        text = request.query_params.get(self.size_parameter)
        if text is None:
            return self.page_size
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= self.largest:
            raise _wrong(self.size_parameter, f"“{text[:20]}” is no page size.", f"Take 1 to {self.largest}.")
        return int(text)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {
                "next": {
                    "type": "string",
                    "format": "uri",
                    "nullable": True,
                    "description": "Where the next page is; null on the last one.",
                },
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = [
            {
                "name": self.cursor_parameter,
                "in": "query",
                "required": False,
                "description": "Where a page starts; taken from `next`, never made up.",
                "schema": {"type": "string"},
            },
            {
                "name": self.size_parameter,
                "in": "query",
                "required": False,
                "description": "Rows per page.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": self.largest,
                    "default": self.page_size,
                },
            },
        ]
        orderings: Mapping[str, Ordering] = view.get_orderings()
        if len(orderings) > 1:
            says = "; ".join(f"`{name}`: {ordering.says}" for name, ordering in orderings.items())
            parameters.append(
                {
                    "name": self.ordering_parameter,
                    "in": "query",
                    "required": False,
                    "description": f"In which order: {says}.",
                    "schema": {"type": "string", "enum": list(orderings), "default": next(iter(orderings))},
                }
            )
        return parameters


def _write(ordering: str, values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, dt.datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([ordering, *plain]).encode()).decode().rstrip("=")


def _read(cursor: str, name: str, ordering: Ordering) -> list[Any]:
    """Return the values of a cursor; whatever was not written by `_write` for this ordering is refused."""
    try:
        written, *plain = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = [_value(column, item) for column, item in zip(ordering.names, plain, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _bad_cursor() from error
    if written != name:
        raise _bad_cursor()
    return values


def _value(column: str, item: Any) -> Any:
    if column in _NUMBERS:
        if type(item) is int and abs(item) <= BIGGEST_ID:
            return item
    elif isinstance(item, str):
        value = dt.datetime.fromisoformat(item)
        if value.tzinfo is not None:
            return value.astimezone(dt.UTC)
    raise ValueError(f"no value of {column}")


def _bad_cursor() -> ValidationError:
    return _wrong("cursor", "This cursor belongs to no page of this list.", "Start over without one.")


def _wrong(parameter: str, message: str, mend: str) -> ValidationError:
    return ValidationError({parameter: invalid(message, mend).detail})
