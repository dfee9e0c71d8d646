"""Runs Belay's processes: starts them, shows what they say, starts again what dies, stops all of them in order."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import IO

from helpdesk.environment import BASE_DIR
from helpdesk.lifeline import dying_with_me
from helpdesk.processes import Process

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# After so long a life, a death is taken for a new trouble, not for the old one.
STEADY_AFTER = 60.0
STOP_WITHIN = 7.0
LOOK_EVERY = 0.2
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
CHUNK = 65536


class Console:
    """Prints the processes' lines, each behind its process's name."""

    def __init__(self, out: IO[str]) -> None:
        self.out: IO[str] | None = out
        self.coloured = out.isatty()
        self.width = 9

    def say(self, name: str, line: str, colour: int = 0) -> None:
        """Print one line; nobody listening any more is no reason to stop the helpdesk."""
        if self.out is None:
            return
        label = f"{name:<{self.width}} |"
        if self.coloured and colour:
            label = f"\033[{colour}m{label}\033[0m"
        try:
            self.out.write(f"{label} {line}\n")
            self.out.flush()
        except OSError:
            self.out = None


@dataclass
class Child:
    """One process under supervision."""

    process: Process
    colour: int
    running: subprocess.Popen[bytes] | None = None
    unfinished: bytes = b""
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE


class Supervisor:
    """Keeps the given processes running until told to stop."""

    def __init__(self, wanted: list[Process], *, environment: dict[str, str], console: Console) -> None:
        self.console = console
        self.environment = environment
        self.children = [
            Child(process, COLOURS[number % len(COLOURS)]) for number, process in enumerate(wanted)
        ]
        self.selector = selectors.DefaultSelector()
        self.asked_to_stop = 0

    def run(self, on_look: Callable[[], None]) -> None:
        """Start everything and return once all has stopped; `on_look` is called several times a second."""
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self._ask_to_stop)
        try:
            while not self.asked_to_stop:
                self._look()
                on_look()
        finally:
            self._stop()

    def _ask_to_stop(self, _sign: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1

    def _look(self) -> None:
        """Pass on what was said, notice deaths, start what is due."""
        self._pass_on(LOOK_EVERY)
        now = time.monotonic()
        for child in self.children:
            if child.running is None:
                if now >= child.start_at:
                    self._start(child)
            elif (code := child.running.poll()) is not None:
                self._bury(child, code)

    def _start(self, child: Child) -> None:
        child.running = subprocess.Popen(
            child.process.command,
            cwd=BASE_DIR,
            env=self.environment | child.process.extra,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A Ctrl-C in the terminal reaches the supervisor alone, which stops the others in order.
            start_new_session=True,
            preexec_fn=dying_with_me(),  # noqa: PLW1509 the supervisor has one thread
        )
        child.started_at = time.monotonic()
        assert child.running.stdout is not None
        os.set_blocking(child.running.stdout.fileno(), False)
        self.selector.register(child.running.stdout, selectors.EVENT_READ, child)

    def _bury(self, child: Child, code: int) -> None:
        """Say that a process died and set the time of its return."""
        assert child.running is not None
        # What it started may have outlived it and would hold its port or its queue.
        _signal_group(child.running, signal.SIGKILL)
        self._forget(child)
        if time.monotonic() - child.started_at > STEADY_AFTER:
            child.pause = FIRST_PAUSE
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        self.console.say(
            child.process.name, f"ended with {reason}; starting it again in {child.pause:g} s", 31
        )
        child.start_at = time.monotonic() + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _forget(self, child: Child) -> None:
        assert child.running is not None
        assert child.running.stdout is not None
        while self._read(child):
            pass
        with contextlib.suppress(KeyError):  # its end of file was seen before its death
            self.selector.unregister(child.running.stdout)
        child.running.stdout.close()
        child.running = None

    def _pass_on(self, patience: float) -> None:
        if not self.selector.get_map():
            time.sleep(patience)
            return
        for key, _ in self.selector.select(patience):
            self._read(key.data)

    def _read(self, child: Child) -> bool:
        """Print the whole lines that a process has written since; tell whether there may be more."""
        assert child.running is not None
        assert child.running.stdout is not None
        try:
            said = os.read(child.running.stdout.fileno(), CHUNK)
        except BlockingIOError:
            return False
        if not said:
            with contextlib.suppress(KeyError):  # already forgotten
                self.selector.unregister(child.running.stdout)
        *lines, child.unfinished = (child.unfinished + said).split(b"\n")
        if not said and child.unfinished:
            lines, child.unfinished = [child.unfinished], b""
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                self.console.say(child.process.name, text, child.colour)
        return bool(said)

    def _stop(self) -> None:
        """Ask all to end, in the end make them; the first started (the mail server) is the last to be asked."""
        until = time.monotonic() + STOP_WITHIN
        first, *others = self.children
        for group in (others, [first]):
            for child in group:
                if child.running is not None:
                    child.running.terminate()
            self._wait(group, until)

    def _wait(self, group: list[Child], until: float) -> None:
        impatient = self.asked_to_stop + 1
        while living := [child for child in group if child.running is not None]:
            forced = time.monotonic() > until or self.asked_to_stop >= impatient
            for child in living:
                assert child.running is not None
                if forced:
                    _signal_group(child.running, signal.SIGKILL)
                    child.running.wait()
                if child.running.poll() is not None:
                    _signal_group(child.running, signal.SIGKILL)
                    self._forget(child)
            self._pass_on(0.05)


def _signal_group(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    """Signal a process and whatever it has started; each child leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(process.pid, sign)
