"""What can't work is said in one line that names the field, the value and the mend."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpdesk.environment import BASE_DIR, ConfigurationError, public_url, without_password


def manage(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "helpdesk.settings"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def the_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_dead_database() -> None:
    url = "postgres://belay:hush@127.0.0.1:1/belay"

    line = the_line(manage("migrate", DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1"))

    assert line.startswith("belay: DATABASE_URL=postgres://belay:***@127.0.0.1:1/belay: ")
    assert "hush" not in line
    assert "Start that server" in line


def test_another_kind_of_database() -> None:
    line = the_line(manage("migrate", DATABASE_URL="sqlite:////tmp/x", REDIS_URL="redis://127.0.0.1:1"))

    assert "not a PostgreSQL address" in line


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    var = str(tmp_path / "file" / "var")

    line = the_line(manage("up", BELAY_VAR=var, DATABASE_URL="", REDIS_URL=""))

    assert line.startswith(f"belay: BELAY_VAR={var}: Not a directory.")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        line = the_line(manage("up", BELAY_VAR=str(tmp_path), PORT=port))

    assert line.startswith(f"belay: PORT={port}: already in use")
    assert f"PORT={int(port) + 1}" in line


def test_a_port_that_is_none() -> None:
    assert "PORT=80x0: not a port number" in the_line(manage("up", PORT="80x0", BELAY_URL=""))


def test_a_public_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELAY_URL", "helpdesk.example.com")

    with pytest.raises(ConfigurationError, match=r"^BELAY_URL=helpdesk\.example\.com: not a web address"):
        public_url()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://a:b@h:1/d", "postgres://a:***@h:1/d"),
        ("postgres://a@h/d", "postgres://a@h/d"),
        ("unix:///x.sock?db=0", "unix:///x.sock?db=0"),
    ],
)
def test_passwords_are_not_printed(url: str, shown: str) -> None:
    assert without_password(url) == shown
