"""Decisions about tickets, pure."""

from collections.abc import Mapping

OPEN_STATUSES = frozenset({"new", "open", "waiting", "hold"})
DONE_STATUSES = frozenset({"resolved", "closed"})

# Which status may follow which; a ticket comes back by "open" (DESIGN 3, reopened).
_NEXT: Mapping[str, frozenset[str]] = {
    "new": frozenset({"open", "waiting", "hold", "resolved", "closed"}),
    "open": frozenset({"waiting", "hold", "resolved", "closed"}),
    "waiting": frozenset({"open", "hold", "resolved", "closed"}),
    "hold": frozenset({"open", "waiting", "resolved", "closed"}),
    "resolved": frozenset({"open", "closed"}),
    "closed": frozenset({"open"}),
}

# Used where the editable matrix has no cell: the sum of impact and urgency, as most helpdesks ship it.
_DEFAULT_MATRIX: Mapping[tuple[int, int], int] = {
    (1, 1): 1,
    (1, 2): 2,
    (1, 3): 3,
    (2, 1): 2,
    (2, 2): 3,
    (2, 3): 4,
    (3, 1): 3,
    (3, 2): 4,
    (3, 3): 4,
}


def may_follow(status: str, following: str) -> bool:
    """Tell whether a ticket may go from `status` to `following`."""
    return following in _NEXT.get(status, frozenset())


def is_reopening(status: str, following: str) -> bool:
    """Tell whether the change brings a finished ticket back."""
    return status in DONE_STATUSES and following in OPEN_STATUSES


def default_severity(impact: int, urgency: int) -> int:
    """Return the severity that ships for a cell of the matrix (1 is the worst)."""
    return _DEFAULT_MATRIX[(impact, urgency)]


def proposed_severity(matrix: Mapping[tuple[int, int], int], impact: int, urgency: int) -> int:
    """Return what the matrix proposes for impact x urgency."""
    found = matrix.get((impact, urgency))
    return default_severity(impact, urgency) if found is None else found
