"""A registry through which a lower app's admin page shows panels of a higher app (DESIGN 2)."""

from collections.abc import Callable
from typing import Any

Panel = Callable[[Any], str]

_panels: dict[str, list[tuple[str, Panel]]] = {}


def register_panel(place: str, title: str, render: Panel) -> None:
    """Add a panel to `place` (such as "tickets.ticket"); called from an app's `ready()`."""
    entries = _panels.setdefault(place, [])
    if all(known != title for known, _ in entries):
        entries.append((title, render))


def panels_for(place: str, subject: Any) -> list[tuple[str, str]]:
    """Return (title, safe HTML) of every panel registered for `place`, rendered for `subject`."""
    return [(title, render(subject)) for title, render in _panels.get(place, [])]
