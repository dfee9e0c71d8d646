"""Servers that a test may stop, freeze, wipe and kill, and an installation on them. Linux: process trees are read."""

import contextlib
import fcntl
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from core.wake import breaker
from escalation.operations import PromiseSpec, publish_path
from helpdesk import embedded
from helpdesk.embedded import keeper
from tests import databases
from tests.chaos.counting import Prove
from tests.chaos.installation import Ground, Installation, fill_ticks
from tests.chaos.mail_server import MailServer
from tests.house import SEVERITIES, House, build_house, default_spec
from tests.settings import KEPT


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """Servers of our own, kept apart from those that all other tests share; the cluster stays for the next run."""
    if sys.platform != "linux":
        pytest.skip("NOT RUN: processes are found through /proc, which only Linux has")
    KEPT.mkdir(exist_ok=True)
    for number in range(100):
        claim = (KEPT / f"chaos-{number}.lock").open("a")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            continue
        break
    made = Ground.prepare(embedded.places(KEPT / f"chaos-{number}"))
    try:
        made.valkey.start()
        made.start_postgres()
        keeper.create_database(made.where)
        yield made
    finally:
        made.stop()
        claim.close()


@pytest.fixture
def installation(
    ground: Ground, django_db_blocker: Any, settings: Any, tmp_path: Any
) -> Iterator[Installation]:
    """An installation with an empty database, no process started yet; the test's own queries go to it."""
    # The test itself rings nobody: beat does.
    settings.BELAY_WAKE = False
    shared = connection.settings_dict["HOST"]
    connection.close()
    with django_db_blocker.unblock(), contextlib.ExitStack() as undo:
        undo.callback(breaker.close)
        connection.settings_dict["HOST"] = str(ground.where.run)
        undo.callback(connection.settings_dict.__setitem__, "HOST", shared)
        database = databases.clone("chaos")
        undo.callback(databases.point_at, databases.point_at(database))
        undo.callback(databases.drop, database)
        undo.callback(connection.close)
        one = Installation(ground, database, tmp_path, MailServer())
        undo.callback(one.end)
        one.mail.start()
        one.broker().flushall()
        fill_ticks()
        yield one
    if one.log.exists():
        # Shown beside a failure.
        print(one.log.read_text(errors="replace")[-6000:])


@pytest.fixture
def durable(installation: Installation) -> Installation:
    """PostgreSQL as in production: what was committed survives a crash."""
    installation.ground.postgres.stop()
    installation.ground.start_postgres(durable=True)
    return installation


@pytest.fixture
def house(installation: Installation) -> House:
    """The usual house, whose path promises nothing: a climb causes two mails, one to each contact of L2."""
    house = build_house(with_path=False)
    spec = default_spec(house, promises={severity: PromiseSpec() for severity in SEVERITIES})
    house.path = publish_path(path_id=None, spec=spec, actor=house.admin, now=house.now)
    return house


@pytest.fixture
def prove(record_property: Callable[[str, object], None]) -> Prove:
    """Return a function that notes what was injected and counted; shown at the end of the run."""

    def write(fault: str, injected: str, counted: object, progress: str) -> None:
        record_property("proof", f"chaos: {fault} | {injected} | {counted} | {progress}")

    return write
