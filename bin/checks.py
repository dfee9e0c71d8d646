"""Run every check and say at the end which held: the part of bin/test that comes after the setup."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
BIN = BASE / ".venv" / "bin"
PYTHON = str(BIN / "python")
# Servers of the test run, so that no check touches the developer's own.
ENVIRONMENT = os.environ | {
    "BELAY_ENV_FILE": "",
    "BELAY_VAR": str(BASE / ".test" / "servers"),
    "SECRET_KEY": "only-for-checks-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
}
for name in ("DATABASE_URL", "REDIS_URL", "DEBUG", "BELAY_URL", "PORT"):
    ENVIRONMENT.pop(name, None)


@dataclass
class Check:
    """One check: a command, or a function that returns what it found wrong."""

    name: str
    command: list[str] | Callable[[], str]
    extra: dict[str, str] = field(default_factory=dict)
    output: str = ""
    failed: bool = False
    seconds: float = 0.0

    def run(self) -> None:
        """Run it and keep what it said."""
        began = time.monotonic()
        if callable(self.command):
            self.output = self.command()
            self.failed = bool(self.output)
        else:
            done = subprocess.run(
                self.command,
                cwd=BASE,
                env=ENVIRONMENT | self.extra,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            self.output, self.failed = done.stdout, done.returncode != 0
        self.seconds = time.monotonic() - began


def manage(*words: str) -> list[str]:
    return [PYTHON, "manage.py", *words]


def openapi_drift() -> str:
    """Compare docs/openapi.yaml with what the code says now; return what is wrong."""
    kept = BASE / "docs" / "openapi.yaml"
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder, "openapi.yaml")
        command = manage("spectacular", "--validate", "--fail-on-warn", "--file", str(fresh))
        done = subprocess.run(command, cwd=BASE, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stdout + done.stderr
        if not kept.exists() or kept.read_text() != fresh.read_text():
            mend = "manage.py spectacular --file docs/openapi.yaml"
            return f"docs/openapi.yaml is not what the code says. Write it: {mend}\n"
    return ""


def templates() -> list[str]:
    return [str(path) for path in sorted(BASE.glob("**/templates/**/*.html")) if ".venv" not in path.parts]


def quick_checks() -> list[Check]:
    return [
        Check("lint", [str(BIN / "ruff"), "check", "--quiet"]),
        Check("format", [str(BIN / "ruff"), "format", "--check", "--quiet"]),
        Check("imports", [str(BIN / "lint-imports"), "--no-logo"]),
    ]


def other_checks() -> list[Check]:
    public = {"BELAY_URL": "https://belay.example"}
    checks = [
        Check("migrations", manage("makemigrations", "--check", "--dry-run")),
        Check("deploy", manage("check", "--deploy", "--fail-level", "WARNING"), public),
        Check("openapi", openapi_drift),
        Check("types", [str(BIN / "mypy")]),
    ]
    if found := templates():
        checks.append(Check("templates", [str(BIN / "djade"), "--check", "--target-version", "5.2", *found]))
    return checks


def find_chromium() -> None:
    """Leave the path of a Chromium in BELAY_CHROMIUM; as root on Debian, install one where there is none."""
    sys.path.insert(0, str(BASE))
    from tests.chromium import find

    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing Chromium for the browser tests", flush=True)
        for words in (
            ["update"],
            ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        ):
            subprocess.run(["apt-get", "-qq", *words], stdout=subprocess.DEVNULL, check=False)


def run_pytest(arguments: list[str]) -> Check:
    """Run pytest in the foreground, on two workers unless told otherwise."""
    workers = [] if any(word.startswith("-n") for word in arguments) else ["-n", "2"]
    check = Check("tests", [PYTHON, "-m", "pytest", *workers, *arguments])
    began = time.monotonic()
    assert isinstance(check.command, list)
    check.failed = subprocess.run(check.command, cwd=BASE, env=ENVIRONMENT, check=False).returncode != 0
    check.seconds = time.monotonic() - began
    return check


def main() -> int:
    """Run the checks beside pytest; return 1 if any did not hold."""
    arguments = sys.argv[1:]
    everything = set(arguments) <= {"--slow"}
    checks = quick_checks() + (other_checks() if everything else [])
    find_chromium()
    # One after the other in a single thread: pytest has the other core.
    aside = threading.Thread(target=lambda: [check.run() for check in checks])
    aside.start()
    tests = run_pytest(arguments)
    aside.join()
    for check in checks:
        if check.failed:
            print(f"\n----- {check.name} failed -----\n{check.output.rstrip()}")
    print()
    for check in [*checks, tests]:
        print(f"{'FAILED' if check.failed else 'ok':<7}{check.name:<12}{check.seconds:6.1f} s")
    if not everything:
        print("left out because of the arguments: migrations, deploy, openapi, types, templates")
    return int(any(check.failed for check in [*checks, tests]))


if __name__ == "__main__":
    sys.exit(main())
