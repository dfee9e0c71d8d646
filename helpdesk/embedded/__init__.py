"""PostgreSQL and Valkey out of Python wheels, shared by all commands of one installation.

`with servers():` finds or starts them and puts DATABASE_URL and REDIS_URL into the environment where they are
not set. Importing this, or the settings, starts nothing.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from helpdesk import environment
from helpdesk.embedded.places import Places, locked, places
from helpdesk.lifeline import is_running

# Both servers, one after the other, at their slowest.
STOPPED_WITHIN = 20.0

__all__ = ["Lease", "check_database", "name_them", "places", "servers", "use"]

# Ours, if we started one: kept so that it is reaped when it ends before we do.
_keepers: list[subprocess.Popen[str]] = []


@contextlib.contextmanager
def servers() -> Iterator[None]:
    """Have a database and a broker for as long as the block runs; both are in the environment."""
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        check_database(os.environ["DATABASE_URL"])
        yield
        return
    lease = use(places())
    try:
        name_them(lease.where)
        check_database(os.environ["DATABASE_URL"])
        yield
    finally:
        lease.give_back()


def name_them(where: Places) -> None:
    """Put the addresses of our servers into the environment, where no others are named."""
    for name, url in (("DATABASE_URL", where.database_url), ("REDIS_URL", where.redis_url)):
        if not os.environ.get(name):
            os.environ[name] = url


@dataclass
class Lease:
    """The right to use an installation's servers: a shared lock that keeps them alive."""

    where: Places
    users: IO[str]

    def give_back(self) -> None:
        """Give the servers back; if nobody else uses them, return once they have stopped."""
        fcntl.flock(self.users, fcntl.LOCK_UN)
        until = time.monotonic() + STOPPED_WITHIN
        while keeper_lives(self.where) and time.monotonic() < until:
            if locked(self.users, fcntl.LOCK_EX):
                fcntl.flock(self.users, fcntl.LOCK_UN)
            elif locked(self.users, fcntl.LOCK_SH):
                break  # somebody else has it too, so the keeper stays
            time.sleep(0.02)
        else:
            # The lock falls a moment before the process is gone, and nothing is to be left when we return.
            keeper = int(self.where.keeper_lock.read_text() or 0)
            while keeper and is_running(keeper) and time.monotonic() < until:
                time.sleep(0.005)
        self.users.close()
        for ours in _keepers:
            ours.poll()


def use(where: Places, *, durable: bool = True) -> Lease:
    """Find the servers of an installation running, or start them."""
    environment.make_var(where.var)
    try:
        where.log.mkdir(exist_ok=True)
        with where.start_lock.open("a") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            users = where.users_lock.open("a")
            # Waits for a keeper that is just stopping them.
            fcntl.flock(users, fcntl.LOCK_SH)
            if not keeper_lives(where):
                start_keeper(where, durable=durable)
    except OSError as error:
        mend = "Name a folder whose files you may write to"
        raise environment.ConfigurationError("BELAY_VAR", where.var, str(error), mend) from error
    return Lease(where, users)


def keeper_lives(where: Places) -> bool:
    """Tell whether a keeper holds its lock."""
    with where.keeper_lock.open("a") as alive:
        return not locked(alive, fcntl.LOCK_SH)


def start_keeper(where: Places, *, durable: bool) -> None:
    """Start the keeper in a session of its own and wait for its word."""
    command = [sys.executable, "-m", "helpdesk.embedded.keeper"]
    if not durable:
        command.append("--not-durable")
    with (where.log / "keeper.log").open("a") as log:
        keeper = subprocess.Popen(
            command,
            cwd=environment.BASE_DIR,
            env=os.environ | {"BELAY_VAR": str(where.var)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert keeper.stdout is not None
    said = keeper.stdout.readline().strip()
    keeper.stdout.close()
    if said != "ready":
        keeper.wait()
        if said.startswith(("BELAY_VAR", "DATABASE_URL")):
            sys.exit(f"belay: {said}")
        problem = said or f"the keeper of the servers said nothing, see {where.log / 'keeper.log'}"
        mend = f"See {where.log}, or set DATABASE_URL and REDIS_URL to servers of your own"
        raise environment.ConfigurationError("DATABASE_URL", "(unset)", problem, mend)
    _keepers.append(keeper)


def check_database(url: str) -> None:
    """Connect once, so that a dead or wrong DATABASE_URL is one clear line and not a traceback."""
    import environ
    import psycopg2

    shown = environment.without_password(url)
    config = environ.Env.db_url_config(url)
    if config.get("ENGINE") != "django.db.backends.postgresql":
        mend = "Belay needs PostgreSQL: postgres://user:password@host:5432/name"
        raise environment.ConfigurationError("DATABASE_URL", shown, "not a PostgreSQL address", mend)
    try:
        psycopg2.connect(
            host=config["HOST"] or None,
            port=config["PORT"] or None,
            user=config["USER"] or None,
            password=config["PASSWORD"] or None,
            dbname=config["NAME"],
            connect_timeout=5,
        ).close()
    except psycopg2.OperationalError as error:
        problem = " ".join(str(error).split())
        mend = "Start that server or correct the address; unset it to use Belay's own"
        raise environment.ConfigurationError("DATABASE_URL", shown, problem, mend) from error
