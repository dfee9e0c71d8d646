"""One migrated template database, kept while the migrations stay the same, and a clone of it for each worker."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from helpdesk import environment
from helpdesk.lifeline import is_running
from tests.helpers import one_at_a_time

TEMPLATE = "template_belay_"
# The ticket timeline lets itself be truncated in databases of this name only.
CLONE = "test_belay_"


def clone(purpose: str, *, of: str = "") -> str:
    """Create a database for this process and return its name: a copy of another, without one of the bare schema."""
    name = f"{CLONE}{os.getpid()}_{purpose}"
    with _alone(), _administration() as cursor:
        if not of:
            _drop_left_overs(cursor)
        template = of or _template(cursor)
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return name


def renew() -> None:
    """Make this process's database what its template is; quicker than truncating, and migrations' own rows stay."""
    name = connection.settings_dict["NAME"]
    if not name.startswith(CLONE):
        raise RuntimeError(f"{name} is not a database of this test run")
    connection.close()
    drop(name)
    with _alone(), _administration() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_template(cursor)}"')
    _forget()


def _forget() -> None:
    """Forget what is kept by primary key for the process's life: in another database the keys mean other rows."""
    from calendars import queries
    from escalation import paths

    queries._hours.clear()
    queries.forget_round_the_clock()
    paths._rules.clear()


def drop(name: str) -> None:
    """Drop a clone, whoever is still connected."""
    with _administration() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def point_at(name: str) -> str:
    """Point Django's connections at another database of the same server; return the name of the one before."""
    before: str = connection.settings_dict["NAME"]
    connection.close()
    # Shared by the connections of all threads.
    connection.settings_dict["NAME"] = name
    _forget()
    return before


def _alone() -> contextlib.AbstractContextManager[None]:
    """Nobody may be connected to a template while it is copied: one at a time, of each server."""
    return one_at_a_time(f"template-{Path(connection.settings_dict['HOST']).parent.name}")


def _template(cursor: Any) -> str:
    """Return the template of the present migrations, migrating it now if there is none yet."""
    name = TEMPLATE + _fingerprint()
    cursor.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY oid DESC", [f"{TEMPLATE}%"]
    )
    there = [row[0] for row in cursor.fetchall()]
    if name in there:
        return name
    for old in there[2:]:
        cursor.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
    draft = f"{CLONE}{os.getpid()}_draft"
    cursor.execute(f'DROP DATABASE IF EXISTS "{draft}"')
    cursor.execute(f'CREATE DATABASE "{draft}"')
    before = point_at(draft)
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        point_at(before)
    cursor.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    return name


def _fingerprint() -> str:
    digest = hashlib.sha256("\n".join(settings.INSTALLED_APPS).encode())
    base = environment.BASE_DIR
    for path in sorted(
        [*base.glob("*/migrations/*.py"), *base.glob("*/apps.py"), base / "requirements/base.txt"]
    ):
        digest.update(str(path.relative_to(base)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _drop_left_overs(cursor: Any) -> None:
    """Drop the clones of runs that were killed."""
    cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{CLONE}%"])
    for (name,) in cursor.fetchall():
        pid = name.removeprefix(CLONE).partition("_")[0]
        if not is_running(int(pid)):
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextlib.contextmanager
def _administration() -> Iterator[Any]:
    config = settings.DATABASES["default"]
    link = psycopg2.connect(host=config["HOST"], user=config["USER"], dbname="postgres")
    # CREATE DATABASE can't run inside a transaction.
    link.autocommit = True
    try:
        with link.cursor() as cursor:
            yield cursor
    finally:
        link.close()
