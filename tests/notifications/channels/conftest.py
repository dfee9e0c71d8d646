"""Fixtures: a loopback server that Belay may reach."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from notifications.channels import punctual
from tests.notifications.channels.loopback import Server


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    running = Server()
    # Its end is looked for often: a test should not wait for it.
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shut_down()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a whole send may take here."""
    monkeypatch.setattr(punctual, "AT_MOST_SECONDS", 0.5)
    return 0.5
