"""What all tests share. Fixtures: see also tests/browser_fixtures.py and tests/helpers.py."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import TransactionTestCase

from helpdesk import embedded, environment
from tests import databases, mail, standing
from tests.browser_fixtures import (  # noqa: F401 pytest finds fixtures by their names here
    axe,
    browser_context_args,
    browser_type_launch_args,
    live,
    live_server_process,
    sign_in,
)
from tests.helpers import free_port
from tests.settings import KEPT, RUN, WORKER
from tests.standing import standing_admin_house, standing_board_house, standing_house  # noqa: F401

CORPORA = Path(os.environ.get("BELAY_CORPORA") or environment.BASE_DIR.parent / "shared" / "corpora")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the long proofs (marker: slow)")
    parser.addoption("--screenshots", metavar="FOLDER", help="write the README's pictures into this folder")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Playwright leaves a running event loop in the thread, in which Django refuses to query: browsers come last.
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> None:
    # Where pytest-django begins a test's transaction.
    if fixturedef.argname == "_django_db_helper":
        with request.getfixturevalue("django_db_blocker").unblock():
            standing.move_to(request.node)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what the long proofs injected and counted (record_property("proof", ...))."""
    lines = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call"
        for name, value in report.user_properties
        if name == "proof"
    ]
    if lines:
        terminalreporter.section("proofs")
        for line in sorted(lines):
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    if WORKER == "main":
        shutil.rmtree(RUN, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def servers() -> Iterator[embedded.Lease]:
    """PostgreSQL and Valkey, shared by all workers and by all runs at the same time."""
    # Whitenoise warns where there is none.
    Path(os.environ["BELAY_VAR"], "static").mkdir(parents=True)
    lease = embedded.use(embedded.places(KEPT / "servers"), durable=False)
    yield lease
    lease.give_back()


@pytest.fixture(scope="session")
def django_db_setup(servers: embedded.Lease, django_db_blocker: Any) -> Iterator[None]:
    """Take the place of pytest-django's: a clone of the migrated template for each worker."""
    # After a test that commits, Django would truncate all tables, with them what the migrations put there.
    TransactionTestCase._fixture_teardown = lambda _case: databases.renew()  # type: ignore[method-assign]
    with django_db_blocker.unblock():
        name = databases.clone(WORKER)
        before = databases.point_at(name)
    standing.begin(name)
    yield
    with django_db_blocker.unblock():
        databases.point_at(before)
        databases.drop(name)
        standing.end()


@pytest.fixture
def smtp(settings: Any) -> Iterator[mail.Mailbox]:
    """A real SMTP server; Django's mail goes there for the length of the test."""
    mailbox = mail.Mailbox()
    controller = mail.start(mailbox, free_port())
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = mailbox.host, mailbox.port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    yield mailbox
    controller.stop()


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real inputs with their expected results; tests that need it say so when it isn't there."""
    if not CORPORA.is_dir():
        pytest.skip(f"NOT RUN: no corpora at {CORPORA} (BELAY_CORPORA names them)")
    return CORPORA
