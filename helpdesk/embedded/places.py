"""Where Belay's own servers keep their programs, data and sockets. Computing a place creates nothing."""

import fcntl
import os
import pwd
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from helpdesk import environment

# As root, PostgreSQL runs as nobody; its files are where nobody can reach them, never under a private home
# (unreachable) or in /var/tmp (anybody could have planted them).
ROOTS_HOME = Path("/var/lib/belay")
# sun_path holds 107 bytes; PostgreSQL adds "/.s.PGSQL.5432.lock".
LONGEST_SOCKET_DIR = 80
DATABASE = "belay"
DATABASE_USER = "belay"


@dataclass(frozen=True)
class Places:
    """The folders of one installation's servers."""

    var: Path
    home: Path
    data: Path
    run: Path
    log: Path
    start_lock: Path
    users_lock: Path
    keeper_lock: Path
    pointer: Path
    user = DATABASE_USER
    uid: int
    gid: int

    @property
    def valkey_socket(self) -> Path:
        return self.run / "valkey.sock"

    @property
    def database_url(self) -> str:
        # An empty host and a path of two slashes: how django-environ spells the folder of a socket.
        return f"postgres://{self.user}@/{self.run}/{DATABASE}"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.valkey_socket}?db=0"


def places(var: Path | None = None) -> Places:
    """Compute an installation's places from its folder (by default BELAY_VAR) and who runs it."""
    var = environment.var_dir() if var is None else var.resolve()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        home = ROOTS_HOME / environment.installation(var)
        run, uid, gid = home / "run", nobody.pw_uid, nobody.pw_gid
    else:
        home = var / "servers"
        run, uid, gid = home / "run", os.geteuid(), os.getegid()
        if len(str(run)) > LONGEST_SOCKET_DIR or not re.fullmatch(r"[\w./-]+", str(run), re.ASCII):
            run = Path(tempfile.gettempdir()) / f"belay-{uid}-{environment.installation(var)}"
    return Places(
        var=var,
        home=home,
        data=home / "data",
        run=run,
        log=var / "log",
        start_lock=var / "servers.lock",
        users_lock=var / "servers.users",
        keeper_lock=var / "servers.keeper",
        pointer=var / "servers.where",
        uid=uid,
        gid=gid,
    )


def locked(file: IO[str], kind: int) -> bool:
    """Try to take a lock on an open file without waiting."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
