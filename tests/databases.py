"""One migrated template database, kept while the migrations stay the same, and a clone of it for each worker."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from helpdesk import environment
from helpdesk.lifeline import is_running
from tests.helpers import one_at_a_time

TEMPLATE = "template_belay_"
# The ticket timeline lets itself be truncated in databases of this name only.
CLONE = "test_belay_"


def clone(purpose: str) -> str:
    """Create a database of the migrated schema for this process and return its name."""
    name = f"{CLONE}{os.getpid()}_{purpose}"
    with _alone(), _administration() as cursor:
        _drop_left_overs(cursor)
        template = _template(cursor)
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return name


@dataclass(frozen=True, slots=True)
class _Baseline:
    """What stood in a database before a test committed into it: each table's rows, and where the sequences were."""

    rows: dict[str, bytes]
    counts: dict[str, int]
    sequences: list[tuple[str, int, bool]]
    # The transaction id from which on everything is the test's.
    began: int


_baselines: dict[str, _Baseline] = {}


def remember() -> None:
    """Note what stands in this process's database, so that `renew` can bring it back; quick when it is known."""
    name = connection.settings_dict["NAME"]
    _check(name)
    known = _baselines.get(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint + 1")
        (began,) = cursor.fetchone()
        if known is not None:
            _baselines[name] = replace(known, began=began)
            return
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        tables = [table for (table,) in cursor.fetchall()]
        cursor.execute(
            "SELECT quote_ident(sequencename), COALESCE(last_value, start_value), last_value IS NOT NULL"
            " FROM pg_sequences WHERE schemaname = 'public'"
        )
        sequences = cursor.fetchall()
        rows, counts = {}, {}
        for table in tables:
            kept = io.BytesIO()
            cursor.copy_expert(f"COPY {table} TO STDOUT", kept)
            rows[table] = kept.getvalue()
            # COPY writes a line per row, and line breaks in values otherwise.
            counts[table] = kept.getvalue().count(b"\n")
    _baselines[name] = _Baseline(rows, counts, sequences, began)


def renew() -> None:
    """Undo what was committed since `remember`: tables that differ get their rows back, sequences their places.

    Far quicker than a new clone, or than truncating all tables.
    """
    name = connection.settings_dict["NAME"]
    _check(name)
    before = _baselines[name]
    connection.close()
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # No guards, no foreign keys: what is put back was whole.
        cursor.execute("SET LOCAL session_replication_role = replica")
        looks = " UNION ALL ".join(
            f"SELECT '{table}', count(*), max(xmin::text::bigint) FROM {table}"  # noqa: S608 - of this schema
            for table in before.rows
        )
        cursor.execute(looks)
        for table, count, newest in cursor.fetchall():
            if count == before.counts[table] and (newest or 0) < before.began:
                continue
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - of this schema
            cursor.copy_expert(f"COPY {table} FROM STDIN", io.BytesIO(before.rows[table]))
        cursor.executemany("SELECT setval(%s, %s, %s)", before.sequences)
    connection.close()
    _forget()


def _check(name: str) -> None:
    if not name.startswith(CLONE):
        raise RuntimeError(f"{name} is not a database of this test run")


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
