"""Processes that end with the one that started them, however that one ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, sign: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when its parent ends, `kill -9` included; Linux only.

    Call it in the child, after a change of user (which clears it). `parent` is the parent's process id
    as the parent knew it: if it has ended before the kernel was asked, this process ends now.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), sign)


def dying_with_me(sign: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return the `preexec_fn` that ties a child to the calling process.

    The kernel watches the *thread* that forks: call Popen from the main thread only.
    """
    parent = os.getpid()
    return lambda: die_with_parent(parent, sign)


def is_running(pid: int) -> bool:
    """Tell whether a process of that id is alive (a zombie isn't)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return sys.platform != "linux"
