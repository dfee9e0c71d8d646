"""Statements that the ORM writes once and that run often: to write a large one takes longer than to run it."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, F, Field, Func, QuerySet
from django.db.models.expressions import RawSQL


@dataclass(frozen=True, slots=True)
class Blank:
    """A value that is known only when the statement runs."""

    name: str


def blank(name: str, field: "Field[Any, Any]") -> RawSQL:
    """Return a place in a queryset for a value of that kind, given by name when the statement runs.

    It goes to the database as it is: an aware instant, a number, a text.
    """
    return RawSQL("%s", [Blank(name)], output_field=field)


def is_any(column: str, name: str) -> Func:
    """Return the condition that a column's value is in a list given by name when the statement runs."""
    place = blank(name, Field())
    return Func(
        F(column), place, template="%(expressions)s", arg_joiner=" = ANY", output_field=BooleanField()
    )


@dataclass(frozen=True, slots=True)
class Statement:
    """A written statement; keep it by all that its values depend on, except what is left blank."""

    sql: str
    params: tuple[Any, ...] = ()

    @classmethod
    def of(cls, queryset: QuerySet[Any, Any]) -> "Statement":
        """Write a queryset of plain values; one that Django knows to match nothing becomes no statement at all."""
        try:
            sql, params = queryset.query.sql_with_params()
        except EmptyResultSet:
            return cls("")
        return cls(sql, tuple(params))

    def run(self, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows as the database gives them, the blanks filled with `values`; one query, or none."""
        if not self.sql:
            return []
        filled = [values[param.name] if isinstance(param, Blank) else param for param in self.params]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, filled)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
