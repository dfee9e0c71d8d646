"""Belay's own PostgreSQL and Valkey: shared, stopped by the last, back after any death."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from helpdesk import embedded
from helpdesk.embedded.places import ROOTS_HOME, Places
from helpdesk.environment import BASE_DIR
from helpdesk.lifeline import is_running

# Uses the servers until its standard input is closed.
COMMAND = """
import sys
from helpdesk import embedded
with embedded.servers():
    print("using", flush=True)
    sys.stdin.read()
print("left", flush=True)
"""


@pytest.fixture(scope="module")
def where() -> Iterator[Places]:
    """An installation of its own, in a folder with a space in its name, gone afterwards."""
    var = Path(tempfile.mkdtemp(prefix="belay test "))
    places = embedded.places(var)
    yield places
    shutil.rmtree(var, ignore_errors=True)
    if places.home.parent == ROOTS_HOME:
        for left in ROOTS_HOME.glob(f"{places.home.name}*"):
            shutil.rmtree(left)
    shutil.rmtree(places.run, ignore_errors=True)


def start(where: Places) -> "subprocess.Popen[str]":
    """Start a command that uses the servers; it has them when this returns."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}
    }
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        cwd=BASE_DIR,
        env=environment | {"BELAY_VAR": str(where.var), "PYTHONPATH": str(BASE_DIR)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "using\n", (where.log / "keeper.log").read_text()
    return process


def finish(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=30)
    assert process.returncode == 0


def query(where: Places, sql: str) -> str:
    link = psycopg2.connect(host=str(where.run), user=where.user, dbname="belay")
    link.autocommit = True
    with link.cursor() as cursor:
        cursor.execute(sql)
        answer = str(cursor.fetchone()[0]) if cursor.description else ""
    link.close()
    return answer


def server_pids(where: Places) -> list[int]:
    """Return the processes of the installation: keeper, PostgreSQL, Valkey."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if str(where.run).encode() in line:
                found.append(int(folder.name))
    keeper = int(where.keeper_lock.read_text() or 0)
    return [*found, keeper] if is_running(keeper) else found


def wait_until_gone(where: Places) -> None:
    until = time.monotonic() + 10
    while server_pids(where):
        assert time.monotonic() < until, server_pids(where)
        time.sleep(0.05)


def test_a_second_command_shares_them_and_the_last_one_stops_them(where: Places) -> None:
    first = start(where)
    boot = query(where, "SELECT pg_postmaster_start_time()")
    second = start(where)

    finish(first)
    assert query(where, "SELECT pg_postmaster_start_time()") == boot

    finish(second)
    assert server_pids(where) == []


def test_nothing_listens_on_the_network_and_strangers_have_no_way_in(where: Places) -> None:
    process = start(where)

    assert query(where, "SHOW listen_addresses") == ""
    assert query(where, "SHOW fsync") == "on"
    assert (where.run.stat().st_mode & 0o777) == 0o700
    assert (where.data.stat().st_mode & 0o777) == 0o700
    finish(process)


def test_a_command_that_is_killed_leaves_nothing_running(where: Places) -> None:
    process = start(where)
    process.kill()
    process.communicate()

    wait_until_gone(where)


def test_a_server_that_dies_comes_back(where: Places) -> None:
    process = start(where)
    boot = query(where, "SELECT pg_postmaster_start_time()")
    postmaster = int((where.data / "postmaster.pid").read_text().split("\n")[0])
    os.kill(postmaster, signal.SIGKILL)

    until = time.monotonic() + 20
    while True:
        try:
            assert query(where, "SELECT pg_postmaster_start_time()") > boot
            break
        except psycopg2.OperationalError:
            assert time.monotonic() < until, (where.log / "keeper.log").read_text()
            time.sleep(0.1)
    finish(process)


def test_rows_are_there_again_after_everything_was_killed(where: Places) -> None:
    process = start(where)
    query(where, "CREATE TABLE kept AS SELECT 'rope' AS word")
    for pid in [process.pid, *reversed(server_pids(where))]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    wait_until_gone(where)

    process = start(where)
    assert query(where, "SELECT word FROM kept") == "rope"
    finish(process)


def test_killing_the_keeper_takes_the_servers_along(where: Places) -> None:
    process = start(where)
    os.kill(int(where.keeper_lock.read_text()), signal.SIGKILL)

    wait_until_gone(where)
    finish(process)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: only root's data lies outside BELAY_VAR")
def test_the_database_of_an_earlier_folder_is_not_adopted(where: Places) -> None:
    finish(start(where))
    where.pointer.unlink()

    process = start(where)
    assert query(where, "SELECT to_regclass('kept')") == "None"
    assert len(list(ROOTS_HOME.glob(f"{where.home.name}.left-*"))) == 1
    finish(process)
