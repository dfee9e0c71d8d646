"""Find a Chromium: told by BELAY_CHROMIUM, on PATH, or Playwright's own."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
# As root it has no sandbox; the rest keeps it from calling home, which a closed network refuses many at a time.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    if given := os.environ.get("BELAY_CHROMIUM"):
        return given
    for name in NAMES:
        if path := shutil.which(name):
            return path
    browsers = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    own = sorted(browsers.glob("chromium-*/chrome-linux*/chrome"))
    return str(own[-1]) if own else None
