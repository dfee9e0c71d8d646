"""Panels that higher apps add to a lower app's pages."""

import pytest

from core import panels
from core.panels import panels_for, register_panel


@pytest.fixture(autouse=True)
def _only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "_panels", {})


def test_panels_of_a_place_are_shown_in_the_order_of_their_registration() -> None:
    register_panel("tickets.ticket", "Clocks", lambda subject: f"clocks of {subject}")
    register_panel("tickets.ticket", "Alerts", lambda subject: f"alerts of {subject}")
    register_panel("accounts.user", "Shifts", lambda subject: "shifts")

    assert panels_for("tickets.ticket", "#7") == [("Clocks", "clocks of #7"), ("Alerts", "alerts of #7")]


def test_a_place_nobody_knows_has_none() -> None:
    assert panels_for("nowhere", None) == []


def test_registering_twice_shows_once() -> None:
    for _ in range(2):
        register_panel("tickets.ticket", "Clocks", str)

    assert len(panels_for("tickets.ticket", 1)) == 1
