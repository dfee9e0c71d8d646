"""The bench's servers and databases: a finished build is kept as a template, every measurement has a clone of it."""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from typing import Any

import environ
import psycopg2

from bench.worker import Worker
from helpdesk import embedded, environment
from helpdesk.lifeline import is_running

KEPT = environment.BASE_DIR / ".bench"
_TEMPLATE = "bench_template_"
_CLONE = "bench_clone_"
_DRAFT = "bench_draft_"
_DAY = 86_400
# Less than bench.copying.FRESH: a build is good as long as nothing in it falls due by itself.
_KEPT_DAYS = 5


@contextlib.contextmanager
def servers() -> Iterator[None]:
    """Have PostgreSQL and Valkey, durable as in production, under .bench/; DATABASE_URL and REDIS_URL are respected.

    One bench at a time in a checkout: two would measure each other.
    """
    # Nothing of the developer's own installation.
    os.environ |= {
        "BELAY_ENV_FILE": "",
        "BELAY_VAR": str(KEPT),
        "BELAY_PREFIX": f"bench-{environment.installation(KEPT)}:",
        "SECRET_KEY": "only-for-measuring-" + "x" * 50,
        "BELAY_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
    }
    environment.make_var(KEPT)
    # Whitenoise warns where there is none.
    (KEPT / "static").mkdir(exist_ok=True)
    with (KEPT / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with embedded.servers():
            _drop_left_overs()
            yield


@contextlib.contextmanager
def clone(tickets: int) -> Iterator[str]:
    """Have a database of that many open tickets for as long as the block runs; yields its name."""
    template = _template(tickets)
    name = f"{_CLONE}{os.getpid()}_{tickets}"
    with administration() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        # As files: through the log would write everything twice.
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    try:
        yield name
    finally:
        with administration() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def url_of(name: str) -> str:
    """Return the DATABASE_URL of another database of the server."""
    head, _, tail = os.environ["DATABASE_URL"].rpartition("/")
    _, mark, options = tail.partition("?")
    return f"{head}/{name}{mark}{options}"


def connect(name: str) -> Any:
    """Return a connection of its own to a database of the server, past Django."""
    config = environ.Env.db_url_config(url_of(name))
    return psycopg2.connect(
        host=config["HOST"] or None,
        port=config["PORT"] or None,
        user=config["USER"] or None,
        password=config["PASSWORD"] or None,
        dbname=name,
    )


@contextlib.contextmanager
def administration() -> Iterator[Any]:
    """Have a cursor outside of transactions, in which databases can be created and dropped."""
    link = connect(environ.Env.db_url_config(os.environ["DATABASE_URL"])["NAME"])
    link.autocommit = True
    try:
        with link.cursor() as cursor:
            yield cursor
    finally:
        link.close()


def _template(tickets: int) -> str:
    """Return the finished build of that size, building it now if there is none of the present code."""
    today = int(time.time()) // _DAY
    prefix = f"{_TEMPLATE}{_fingerprint()}_{tickets}_"
    with administration() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{_TEMPLATE}%"])
        there = [row[0] for row in cursor.fetchall()]
        for name in there:
            if name.startswith(prefix) and today - int(name.removeprefix(prefix)) < _KEPT_DAYS:
                return str(name)
        for name in there:
            if not name.startswith(f"{_TEMPLATE}{_fingerprint()}_") or name.startswith(prefix):
                cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        draft = f"{_DRAFT}{os.getpid()}"
        cursor.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{draft}" TEMPLATE template0')
        with Worker(url_of(draft)) as worker:
            worker.ask("bench.data.migrate_and_build", tickets=tickets)
        name = f"{prefix}{today}"
        cursor.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    return name


def _fingerprint() -> str:
    """Return what changes with the migrations and with how the data are built."""
    digest = hashlib.sha256()
    base = environment.BASE_DIR
    sources = [base / "bench" / f"{name}.py" for name in ("copying", "data", "house", "lives")]
    for path in sorted([*base.glob("*/migrations/*.py"), *sources]):
        digest.update(str(path.relative_to(base)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _drop_left_overs() -> None:
    """Drop what benches that were killed have left."""
    with administration() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname ~ '^bench_(clone|draft)_'")
        for (name,) in cursor.fetchall():
            if not is_running(int(name.split("_")[2])):
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
