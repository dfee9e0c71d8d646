"""A kind of message of the tests' own, and mail connections that end with their test."""

from collections.abc import Iterator
from typing import Any

import pytest

from notifications import engine, rendering
from notifications.channels import email
from notifications.models import Contact, Notification
from notifications.operations import create_contact
from notifications.rendering import Line, Rendered
from tests.notifications.folding import ABOVE

PLAIN = "test.plain"


@pytest.fixture(autouse=True)
def plain_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows of this kind say what their context says."""

    def render(row: Notification, _known: object) -> Rendered:
        return Rendered(subject=row.context.get("subject", "Hello"), text=row.context.get("text", "Text"))

    def line(row: Notification, _known: object) -> Line:
        if "unreadable" in row.context:
            raise LookupError(row.context["unreadable"])
        return Line(
            ticket_id=row.ticket_id or 0,
            severity=3,
            subject=row.context.get("subject", "Hello"),
            place="L2 Network",
            waiting_since=row.created_at,
            action="Take it",
            url=f"https://belay.example.org/a/{row.pk}/",
        )

    monkeypatch.setitem(rendering._foldings, PLAIN, rendering.Folding(line, lambda _rows: None))
    monkeypatch.setitem(rendering._kinds, PLAIN, rendering.Kind(render, lambda _rows: None))


@pytest.fixture(autouse=True)
def fresh_connections() -> Iterator[None]:
    """Forget mail connections before and after: each test has a server of its own."""
    email._hang_up()
    yield
    email._hang_up()
    engine.disband()


@pytest.fixture
def three_a_minute(settings: Any) -> None:
    settings.BELAY_DIGEST_ABOVE = ABOVE


@pytest.fixture
def ann() -> Contact:
    return create_contact(name="Ann", email="ann@example.org")
