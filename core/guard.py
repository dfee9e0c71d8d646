"""A guarded section: what runs inside reaches allowed addresses only, and ends in time, whichever library it uses.

Libraries that speak to the outside open their sockets themselves. An audit hook of the interpreter sees every address
at the moment of connecting, so that neither a redirect nor a name that changes its mind (DNS rebinding) leads around
the judgement. It keeps a second handle on each socket: when the time is over they are shut down, and whoever waits for
a server that answers a byte a second goes on. Neither this machine's files nor its programs are of use inside.

The hook is installed at the first use; outside of a guarded section it looks at nothing. A section holds for the thread
(or task) that entered it: threads started inside are not guarded.
"""

import contextlib
import os
import socket
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

# Takes an IP address as text, and raises where it may not be reached.
Judge = Callable[[str], None]

_CONNECTING = "socket.connect"
_REACHING = frozenset({_CONNECTING, "socket.sendto", "socket.sendmsg"})
# What a message to the outside has no use for.
_ACTING = frozenset(
    {
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "os.startfile",
        "pty.spawn",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.truncate",
        "shutil.rmtree",
        "tempfile.mkstemp",
        "tempfile.mkdtemp",
    }
)
_WATCHED = _REACHING | _ACTING | {"open"}
# Programs are loaded when they are first needed, certificates and the like lie beside them.
_PROGRAMS = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_READABLE = (
    *(os.path.realpath(folder) + os.sep for folder in _PROGRAMS),
    "/etc/ssl/",
    "/usr/share/zoneinfo/",
    "/etc/mime.types",
)


class NotHere(PermissionError):
    """Say that something is of no use in a guarded section: a file, a program, a socket of this machine."""


class Section:
    """One stretch of work that is guarded; `cut` tells whether its time ran out."""

    def __init__(self, seconds: float, judge: Judge | None) -> None:
        self._judge = judge
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.cut = False

    def left(self) -> float:
        """Return for how many seconds work may go on; 0 when they are over."""
        return 0.0 if self.cut else max(self._ends_at - time.monotonic(), 0.0)

    def connecting(self, event: str, link: Any, address: Any) -> None:
        """Pass an address that may be reached, and hold on to the socket. Raises what the judge raises, or NotHere."""
        if not self.left():
            raise TimeoutError("timed out")
        if self._judge is not None:
            # A name would be asked for once more after the judgement; a path is a socket of this machine.
            if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
                raise NotHere("only internet addresses are reached from here")
            self._judge(address[0])
        if event == _CONNECTING:
            held = socket.socket(fileno=os.dup(link.fileno()))
            with self._lock:
                self._sockets.append(held)

    def end(self) -> None:
        """Shut down what is open: the time is over."""
        with self._lock:
            self.cut = True
            for held in self._sockets:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Let go of the sockets; they close when their owners close them."""
        with self._lock:
            for held in self._sockets:
                held.close()
            self._sockets.clear()


_section: ContextVar[Section | None] = ContextVar("belay_guarded_section", default=None)
_installing = threading.Lock()
_installed: list[bool] = []


@contextlib.contextmanager
def guarded(seconds: float, judge: Judge | None = None) -> Iterator[Section]:
    """Guard what runs inside: it connects to addresses that `judge` passes, and has `seconds` in all.

    Without a judge only the time is limited. When it is over, connections break, and new ones raise TimeoutError.
    """
    _install()
    section = Section(seconds, judge)
    timer = threading.Timer(seconds, section.end)
    timer.daemon = True
    token = _section.set(section)
    timer.start()
    try:
        yield section
    finally:
        _section.reset(token)
        timer.cancel()
        section.release()


def _install() -> None:
    with _installing:
        if not _installed:
            sys.addaudithook(_hook)
            _installed.append(True)


# What it needs is bound to it: at the end of the interpreter the module's names are gone before the hook is.
def _hook(
    event: str,
    args: tuple[Any, ...],
    watched: frozenset[str] = _WATCHED,
    reaching: frozenset[str] = _REACHING,
    readable: tuple[str, ...] = _READABLE,
    current: ContextVar[Section | None] = _section,
) -> None:
    if event not in watched or (section := current.get()) is None:
        return
    if event in reaching:
        section.connecting(event, args[0], args[1])
    elif event != "open":
        raise NotHere(f"{event} is not for a guarded section")
    elif isinstance(args[0], str | bytes) and not _may_read(os.fsdecode(args[0]), args[1], readable):
        raise NotHere("files of this machine are not for a guarded section")


def _may_read(path: str, mode: Any, readable: tuple[str, ...]) -> bool:
    if isinstance(mode, str) and set(mode) & set("wax+"):
        return False
    return path.endswith((".py", ".pyc")) or os.path.realpath(path).startswith(readable)
