"""Keyset pages: as fast on the last page as on the first, and nobody slips between two of them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F, Q
from django.utils.dateparse import parse_datetime

from tickets.models import Ticket
from tickets.querysets import TicketQuerySet

PAGE_SIZE = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page begins or ends: the sort value (None: among those without one) and the id."""

    at: dt.datetime | None
    pk: int

    def __str__(self) -> str:
        return f"{self.at.isoformat() if self.at else ''}~{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Mark | None":
        """Read a mark out of an address; None for anything else, which is then the first page."""
        at, tilde, pk = text.partition("~")
        if not tilde or not pk.isdigit() or len(pk) > 18:
            return None
        try:
            # A plus sign in an address is read as a space.
            instant = parse_datetime(at.replace(" ", "+")) if at else None
        except ValueError:
            return None
        if at and (instant is None or instant.tzinfo is None):
            return None
        return cls(instant, int(pk))


@dataclass(frozen=True, slots=True)
class Page:
    """Some tickets in order, and the marks of the pages beside them."""

    rows: list[Ticket]
    before: Mark | None
    after: Mark | None
    is_first: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class Order:
    """A column of instants, rising, those without one last, then the id; or the id alone, newest first."""

    column: str = ""

    def mark(self, ticket: Ticket) -> Mark:
        return Mark(getattr(ticket, self.column) if self.column else None, ticket.pk)

    def take(
        self, tickets: TicketQuerySet, start: Mark | None, count: int, *, backwards: bool
    ) -> list[Ticket]:
        """Return up to `count` tickets beyond `start` in this order; at most two queries."""
        if not self.column:
            rising = backwards
            if start is not None:
                tickets = tickets.filter(pk__gt=start.pk) if rising else tickets.filter(pk__lt=start.pk)
            return list(tickets.order_by("pk" if rising else "-pk")[:count])
        # Two ranges of one index each, because "x > a OR x IS NULL" is none.
        parts = [False, True] if not backwards else [True, False]
        rows: list[Ticket] = []
        for nulls in parts:
            if len(rows) >= count or (start is not None and self._is_behind(start, nulls, backwards)):
                continue
            part = tickets.filter(**{f"{self.column}__isnull": nulls})
            if start is not None and (start.at is None) == nulls:
                part = part.filter(self._beyond(start, backwards))
            order = [] if nulls else [F(self.column).desc() if backwards else F(self.column).asc()]
            ordered = part.order_by(*order, "-pk" if backwards else "pk")
            rows += ordered[: count - len(rows)]
        return rows

    @staticmethod
    def _is_behind(start: Mark, nulls: bool, backwards: bool) -> bool:
        """Tell whether this part lies wholly on the side that we come from."""
        return (start.at is None and not nulls) if not backwards else (start.at is not None and nulls)

    def _beyond(self, start: Mark, backwards: bool) -> Q:
        side = "lt" if backwards else "gt"
        if start.at is None:
            return Q(**{f"pk__{side}": start.pk})
        # The bound on the column alone lets the index start there; the rest sorts out equals.
        return Q(**{f"{self.column}__{side}e": start.at}) & (
            Q(**{f"{self.column}__{side}": start.at}) | Q(**{f"pk__{side}": start.pk})
        )


def page_of(tickets: TicketQuerySet, order: Order, params: Mapping[str, str], size: int = PAGE_SIZE) -> Page:
    """Return the page that the address asks for: ?after=MARK, ?before=MARK, ?page=last, else the first."""
    after, before = Mark.read(params.get("after", "")), Mark.read(params.get("before", ""))
    if params.get("page") == "last":
        rows = order.take(tickets, None, size + 1, backwards=True)
        more = len(rows) > size
        rows = rows[:size][::-1]
        return _page(rows, order, is_first=not more, is_last=True)
    if before is not None:
        rows = order.take(tickets, before, size + 1, backwards=True)
        more = len(rows) > size
        return _page(rows[:size][::-1], order, is_first=not more, is_last=False)
    rows = order.take(tickets, after, size + 1, backwards=False)
    return _page(rows[:size], order, is_first=after is None, is_last=len(rows) <= size)


def _page(rows: list[Ticket], order: Order, *, is_first: bool, is_last: bool) -> Page:
    return Page(
        rows=rows,
        before=order.mark(rows[0]) if rows and not is_first else None,
        after=order.mark(rows[-1]) if rows and not is_last else None,
        is_first=is_first,
        is_last=is_last,
    )
