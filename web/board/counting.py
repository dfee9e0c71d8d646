"""Many counts in one statement, each only up to a cap: what a million rows cost is what a thousand cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import IntegerField, QuerySet
from django.db.models.expressions import RawSQL

from core.statements import Statement

CAP = 1000


@dataclass(frozen=True, slots=True)
class Tally:
    """A number that may be "at least so many"."""

    number: int = 0
    capped: bool = False

    def __str__(self) -> str:
        if not self.capped:
            return f"{self.number:,}"
        # A sum of capped counts pretends to know its last digits.
        step = 10 ** max(0, len(str(self.number)) - 2)
        return f"{self.number // step * step:,}+"

    def __bool__(self) -> bool:
        return self.number > 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.number + other.number, self.capped or other.capped)

    def less(self, shown: int) -> "Tally":
        """Return what is left when so many of it are shown."""
        return Tally(max(0, self.number - shown), self.capped)


ZERO = Tally()


Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Counts:
    """Many counts as one statement, and which of them it was written for."""

    statement: Statement
    keys: tuple[Key, ...]
    cap: int

    def run(self, **values: Any) -> dict[Key, Tally]:
        """Return each count, the statement's blanks filled with `values`; one query."""
        found = dict.fromkeys(self.keys, ZERO)
        for name, value, number in self.statement.run(**values):
            found[name, value] = Tally(min(number, self.cap), number > self.cap)
        return found


def count_each(
    querysets: Mapping[str, QuerySet[Any]],
    *,
    each: Callable[[Any], Mapping[str, QuerySet[Any]]] = lambda _value: {},
    values: Sequence[int] = (),
    spelt_out: bool = False,
    cap: int | None = None,
) -> Counts:
    """Write the statement that tells how many rows each queryset has, counted up to `cap` (CAP).

    Those that `each` makes of a value are counted for each of `values`. Keys are (name, value), with 0 for the others.
    They are written once for all values, which is quicker to plan; `spelt_out` writes them for each, where the planner
    must know the value to choose well (conditions that few rows match).
    """
    cap = CAP if cap is None else cap
    keys: list[Key] = []
    parts: list[str] = []
    params: list[Any] = []

    def add(name: str, value: int, queryset: QuerySet[Any], all_values: Sequence[int] = ()) -> None:
        keys.extend((name, one) for one in (all_values or (value,)))
        # Ordered by nothing: whichever rows the index gives first are as good as any.
        counted = Statement.of(queryset.order_by().values("pk")[: cap + 1])
        if not counted.sql:
            return
        part = f"SELECT %s, {{}}, (SELECT count(*) FROM ({counted.sql}) counted)"  # noqa: S608 compiled by Django
        if all_values:
            listed = ", ".join(f"({int(one)})" for one in all_values)
            parts.append(f"{part.format('value')} FROM (VALUES {listed}) each_one (value)")
        else:
            parts.append(part.format(int(value)))
        params.extend([name, *counted.params])

    for name, queryset in querysets.items():
        add(name, 0, queryset)
    if spelt_out:
        for value in values:
            for name, queryset in each(value).items():
                add(name, value, queryset)
    elif values:
        for name, queryset in each(RawSQL("each_one.value", [], output_field=IntegerField())).items():
            add(name, 0, queryset, values)
    return Counts(Statement(" UNION ALL ".join(parts), tuple(params)), tuple(keys), cap)
