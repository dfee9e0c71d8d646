"""Many counts in one statement, each only up to a cap: what a million rows cost is what a thousand cost."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

K = TypeVar("K", bound=Hashable)

CAP = 1000


@dataclass(frozen=True, slots=True)
class Tally:
    """A number that may be "at least so many"."""

    number: int = 0
    capped: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}+" if self.capped else f"{self.number:,}"

    def __bool__(self) -> bool:
        return self.number > 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.number + other.number, self.capped or other.capped)

    def less(self, shown: int) -> "Tally":
        """Return what is left when so many of it are shown."""
        return Tally(max(0, self.number - shown), self.capped)


ZERO = Tally()


def count_each(querysets: Mapping[K, QuerySet[Any]], *, cap: int | None = None) -> dict[K, Tally]:
    """Return how many rows each queryset has, counted up to `cap` (CAP), in one statement for all of them."""
    cap = CAP if cap is None else cap
    found: dict[K, Tally] = {}
    parts: list[str] = []
    params: list[Any] = []
    keys: list[K] = []
    for key, queryset in querysets.items():
        try:
            # Ordered by nothing: whichever rows the index gives first are as good as any.
            sql, values = queryset.order_by().values("pk")[: cap + 1].query.sql_with_params()
        except EmptyResultSet:
            found[key] = ZERO
            continue
        parts.append(f"SELECT {len(keys)}, count(*) FROM ({sql}) rows")  # noqa: S608 compiled by Django
        params.extend(values)
        keys.append(key)
    if parts:
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), params)
            for place, number in cursor.fetchall():
                found[keys[place]] = Tally(min(number, cap), number > cap)
    return found
