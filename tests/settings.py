"""The settings of the test run: the real ones, less what only slows tests down."""

import os
import tempfile
from pathlib import Path

from helpdesk import embedded

# Kept between runs: servers without fsync, the template database, collected static files.
KEPT = Path(__file__).resolve().parent.parent / ".test"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# One folder a run, handed from the xdist controller to its workers; conftest.py removes it.
RUN = Path(os.environ.get("BELAY_TEST_RUN") or tempfile.mkdtemp(prefix="belay-test-"))

_servers = embedded.places(KEPT / "servers")
os.environ |= {
    "BELAY_TEST_RUN": str(RUN),
    # Nothing of the developer's own installation.
    "BELAY_ENV_FILE": "",
    "BELAY_URL": "http://localhost:8000",
    "BELAY_VAR": str(RUN / WORKER),
    "BELAY_PREFIX": f"{RUN.name}-{WORKER}:",
    "DATABASE_URL": _servers.database_url,
    "REDIS_URL": _servers.redis_url,
    "SECRET_KEY": "only-for-tests-" + "x" * 50,
    "BELAY_RATE_ANONYMOUS": "100000/min",
    "BELAY_RATE_USER": "100000/min",
}

from helpdesk.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["tests.hashers.QuickHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
