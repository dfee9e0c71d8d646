"""Processes are started again when they die and none outlives the supervisor. Linux: process trees are read there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpdesk.environment import BASE_DIR
from helpdesk.lifeline import is_running

SCRIPT = """
import os, sys
from helpdesk import supervisor
from helpdesk.processes import Process
supervisor.STOP_WITHIN = 1.0
wanted = [Process(f"p{n}", [sys.executable, "-u", "-c", code]) for n, code in enumerate(sys.argv[1:])]
supervisor.Supervisor(wanted, environment=dict(os.environ), console=supervisor.Console(sys.stdout)).run(lambda: None)
print("all stopped", flush=True)
"""
SLEEPER = "import os, time; print('pid', os.getpid()); time.sleep(60)"
STUBBORN = "import signal, os, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


@contextmanager
def supervised(*programs: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the supervisor over small programs, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT, *programs],
        cwd=BASE_DIR,
        env=os.environ | {"PYTHONPATH": str(BASE_DIR)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def lines_until(process: "subprocess.Popen[str]", text: str, times: int = 1) -> list[str]:
    """Read what the supervisor prints until a text has come so many times."""
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line.rstrip())
        if sum(text in one for one in seen) >= times:
            break
    return seen


def pids(lines: list[str]) -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in lines if "| pid " in line]


def gone(ids: list[int], within: float = 5.0) -> bool:
    until = time.monotonic() + within
    while any(is_running(pid) for pid in ids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_process_that_dies_is_started_again_and_named() -> None:
    with supervised("print('hello'); raise SystemExit(3)") as process:
        lines = lines_until(process, "hello", times=2)

    assert lines[0] == "p0        | hello"
    assert "ended with code 3; starting it again in 0.5 s" in lines[1]


def test_the_last_words_of_a_process_are_printed() -> None:
    with supervised("import sys; sys.stdout.write('no line end'); raise SystemExit(1)") as process:
        lines = lines_until(process, "ended with")

    assert lines[0].endswith("| no line end")


def test_ctrl_c_stops_all_even_one_that_will_not() -> None:
    with supervised(SLEEPER, STUBBORN) as process:
        children = pids(lines_until(process, "| pid ", times=2))
        process.send_signal(signal.SIGINT)
        lines = lines_until(process, "all stopped")

        assert process.wait(5) == 0
    assert lines[-1] == "all stopped"
    assert gone(children)


def test_killing_the_supervisor_takes_its_processes_along() -> None:
    with supervised(SLEEPER, STUBBORN) as process:
        children = pids(lines_until(process, "| pid ", times=2))
        process.kill()
        process.wait()

        assert gone(children)


def test_what_a_dead_process_had_started_does_not_stay(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    parent = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"open({str(note)!r}, 'w').write(str(child.pid)); raise SystemExit(1)"
    )
    with supervised(parent) as process:
        lines_until(process, "ended with")

        assert gone([int(note.read_text())])
