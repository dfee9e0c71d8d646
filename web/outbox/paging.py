"""Pages of the outbox by id: the last costs what the first does, and none looks at more rows than a window holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Q

from notifications.models import Notification
from web.agent.filters import BIGGEST_ID
from web.outbox.filters import Filters, Rows

PAGE_SIZE = 40
WINDOW = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, the newest first, and the marks of the pages beside them.

    `looked_through`: what was looked for may also stand beyond the rows that this page has looked through.
    """

    ids: list[int]
    before: int | None
    after: int | None
    is_first: bool
    is_last: bool
    looked_through: bool = False


def page_of(filters: Filters, slow: Q, params: Mapping[str, str], size: int = PAGE_SIZE) -> Page:
    """Return the page that the address asks for: ?after=ID (older), ?before=ID (newer), ?page=last, else the newest.

    What an index serves of the filters narrows first; `slow` is looked for among the next WINDOW rows of that.
    """
    after, before = _mark(params.get("after", "")), _mark(params.get("before", ""))
    if params.get("page") == "last" or before is not None:
        return _upwards(filters.rows(rising=True), slow, before, size)
    return _downwards(filters.rows(), slow, after, size)


def _downwards(rows: Rows, slow: Q, after: int | None, size: int) -> Page:
    if after is not None:
        rows = rows.filter(pk__lt=after)
    ids, edge = _look(rows, slow, size)
    found = ids[:size]
    on_page = len(ids) <= size
    return Page(
        ids=found,
        before=(found[0] if found else after) if after is not None else None,
        after=edge if on_page else found[-1],
        is_first=after is None,
        is_last=on_page and edge is None,
        looked_through=on_page and edge is not None,
    )


def _upwards(rows: Rows, slow: Q, before: int | None, size: int) -> Page:
    if before is not None:
        rows = rows.filter(pk__gt=before)
    ids, edge = _look(rows, slow, size)
    found = ids[:size][::-1]
    on_page = len(ids) <= size
    return Page(
        ids=found,
        before=edge if on_page else found[0],
        after=(found[-1] if found else before) if before is not None else None,
        is_first=on_page and edge is None,
        is_last=before is None,
        looked_through=on_page and edge is not None,
    )


def _look(rows: Rows, slow: Q, size: int) -> tuple[list[int], int | None]:
    """Return up to one more id than a page has, and where the window ends if rows lie beyond it."""
    if not slow:
        ids = list(rows.values_list("pk", flat=True)[: size + 1])
        return ids, None
    window = rows.values_list("pk", flat=True)
    matching = Notification.objects.filter(slow, pk__in=window[:WINDOW]).order_by(*rows.query.order_by)
    ids = list(matching.values_list("pk", flat=True)[: size + 1])
    if len(ids) > size:
        return ids, None
    ends = list(window[WINDOW - 1 : WINDOW + 1])
    return ids, ends[0] if len(ends) == 2 else None


def _mark(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text) if int(text) <= BIGGEST_ID else None
