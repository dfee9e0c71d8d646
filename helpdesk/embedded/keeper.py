"""The keeper: a small process that owns PostgreSQL and Valkey for as long as any command uses them.

Every command that uses the servers holds a shared lock on one file; the kernel gives it back when the command
ends, however it ends. The keeper asks for the exclusive lock: once it has it, nobody is left, and it stops both.
Its own end, `kill -9` included, takes the servers along (PR_SET_PDEATHSIG).

Started by helpdesk.embedded; prints one line: `ready`, or what went wrong.
"""

import fcntl
import os
import secrets
import shutil
import signal
import sys
import time
from pathlib import Path

from helpdesk import environment
from helpdesk.embedded import server
from helpdesk.embedded.places import DATABASE, ROOTS_HOME, Places, locked, places
from helpdesk.embedded.programs import Programs, programs, require_owner
from helpdesk.lifeline import is_running

LOOK_EVERY = 0.1
POSTGRES_MAJOR = "18"


def main() -> None:
    """Start both servers, say so, keep them until nobody uses them."""
    # A Ctrl-C in the terminal of the command that happened to start us is none of our business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    where = places()
    with where.keeper_lock.open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        alive.write(str(os.getpid()))
        alive.flush()
        running: list[server.Server] = []
        try:
            for one in prepare(where, durable="--not-durable" not in sys.argv):
                running.append(one)
                one.start()
            create_database(where)
            report("ready")
            keep(where, running)
        except (server.ServerFailed, environment.ConfigurationError, OSError) as error:
            report(str(error))
            sys.exit(1)
        finally:
            for one in reversed(running):
                one.stop()


def report(line: str) -> None:
    """Tell the command that started us, once."""
    print(line, flush=True)
    # From here on nobody reads: what a library might still print goes to the log.
    os.dup2(2, 1)


def keep(where: Places, running: list[server.Server]) -> None:
    """Start again what dies; return once no command uses the servers."""
    with where.users_lock.open("a") as users:
        while not locked(users, fcntl.LOCK_EX):
            for one in running:
                if one.has_died():
                    print(
                        f"{one.name} ended: {one.last_words()}; starting it again",
                        file=sys.stderr,
                        flush=True,
                    )
                    clean_up(where)
                    one.start()
            time.sleep(LOOK_EVERY)
        # Still holding the lock: a command that comes now waits until both have stopped, then starts them anew.
        for one in reversed(running):
            one.stop()


def prepare(where: Places, *, durable: bool) -> list[server.Server]:
    """Make folders and programs ready and return the two servers, not yet started."""
    make_home(where)
    tools = programs(where)
    clean_up(where)
    make_cluster(where, tools, durable=durable)
    return [server.valkey(where, tools), server.postgres(where, tools, durable=durable)]


def make_home(where: Places) -> None:
    """Create the servers' folders; never take over one that somebody else left there."""
    if where.home.parent == ROOTS_HOME:
        ROOTS_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        require_owner(ROOTS_HOME, 0)
    where.home.mkdir(mode=0o755, exist_ok=True)
    require_owner(where.home, os.geteuid())
    identity = where.home / "identity"
    ours = where.pointer.read_text() if where.pointer.exists() else None
    if not identity.exists() or identity.read_text() != ours:
        if any(where.home.iterdir()):
            # The database of an earlier var/ of the same name: kept, out of the way, not adopted.
            aside = where.home.with_name(f"{where.home.name}.left-{secrets.token_hex(4)}")
            where.home.rename(aside)
            where.home.mkdir(mode=0o755)
            print(f"set aside the database of an earlier {where.var}: {aside}", file=sys.stderr, flush=True)
        ours = f"{where.home} {secrets.token_hex(16)}\n"
        identity.write_text(ours)
        identity.chmod(0o600)
        where.pointer.write_text(ours)
    for folder in (where.run, where.data):
        make_private(folder, where)


def make_private(folder: Path, where: Places) -> None:
    """Create a folder that only the servers' user may enter, or check that it is one."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, where.uid, where.gid)
    except FileExistsError:
        require_owner(folder, where.uid)
    folder.chmod(0o700)


def clean_up(where: Places) -> None:
    """Remove what servers that were killed left behind, after waiting for the last of them to end."""
    lock = where.data / "postmaster.pid"
    if lock.exists():
        first = lock.read_text().split("\n", 1)[0].strip()
        until = time.monotonic() + server.STOPPED_WITHIN
        while first.isdigit() and is_postgres(int(first), where):
            if time.monotonic() > until:
                raise server.ServerFailed(f"another PostgreSQL (process {first}) runs on {where.data}")
            time.sleep(LOOK_EVERY)
        # The id may by now belong to a stranger, which PostgreSQL itself would take for its predecessor.
        lock.unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (where.run / name).unlink(missing_ok=True)


def is_postgres(pid: int, where: Places) -> bool:
    """Tell whether that process is a PostgreSQL server on our data."""
    if not is_running(pid):
        return False
    try:
        return str(where.data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return sys.platform != "linux"


def make_cluster(where: Places, tools: Programs, *, durable: bool) -> None:
    """Run initdb once; a half-made cluster never gets the final name."""
    version = where.data / "PG_VERSION"
    if version.exists():
        if version.read_text().strip() != POSTGRES_MAJOR:
            problem = (
                f"holds PostgreSQL {version.read_text().strip()} data, this Belay brings {POSTGRES_MAJOR}"
            )
            mend = "Dump it with the old release and load it with this one, or set DATABASE_URL"
            raise environment.ConfigurationError("BELAY_VAR", where.var, problem, mend)
        return
    draft = where.home / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    make_private(draft, where)
    command = [str(tools.initdb), "-D", str(draft), "-U", where.user, "-A", "trust", "-E", "UTF8"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    if not durable:
        command.append("--no-sync")
    log = where.log / "initdb.log"
    with log.open("wb") as output:
        code = server.run_as_owner(where, command, output=output.fileno()).wait()
    if code:
        raise server.ServerFailed(
            f"initdb ended with {code}: {log.read_text(errors='replace').strip()[-300:]}"
        )
    where.data.rmdir()
    draft.rename(where.data)


def create_database(where: Places) -> None:
    """Create the one database, once."""
    import psycopg2

    connection = psycopg2.connect(host=str(where.run), user=where.user, dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if cursor.fetchone() is None:
            cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    connection.close()


if __name__ == "__main__":
    main()
