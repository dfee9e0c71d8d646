"""A real server on real rows, and a browser to look at it.

`live` (and `page`, which takes it) switches the test's connection to the live server's own clone, where everything
is committed for good and nothing is truncated: create what you need through operations, look for nothing else.
Such a test must not be marked django_db.
"""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.test import Client

from escalation.models import EscalationPath
from helpdesk import environment
from helpdesk.processes import start, web
from helpdesk.static import collect
from tests import chromium, databases
from tests.helpers import free_port, one_at_a_time
from tests.settings import KEPT, RUN, WORKER

AXE = environment.BASE_DIR / "node_modules/axe-core/axe.min.js"


@dataclass(frozen=True)
class Live:
    """The running server: where it is and which database is its own."""

    url: str
    port: int
    database: str
    log: Path


@pytest.fixture(scope="session")
def live_server_process(django_db_setup: None, django_db_blocker: Any) -> Iterator[Live]:
    """Granian as in production, on a clone and a port of its own."""
    port = free_port()
    var = RUN / f"{WORKER}-live"
    var.mkdir()
    with django_db_blocker.unblock():
        database = databases.clone("live")
    with one_at_a_time("static"):
        collect_static(KEPT / "static")
        # Links of our own: another run may collect anew while our server still reads.
        shutil.copytree(KEPT / "static", var / "static", copy_function=os.link)
    live = Live(f"http://localhost:{port}", port, database, var / "web.log")
    process = web("127.0.0.1", port)
    extra = {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "BELAY_VAR": str(var),
        "BELAY_URL": live.url,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}",
    }
    with live.log.open("wb") as log:
        server = start(process, log=log, extra=extra)
    try:
        wait_until_it_answers(live, server)
        yield live
    finally:
        server.terminate()
        server.wait(10)
        databases.drop(database)


@pytest.fixture
def live(
    request: pytest.FixtureRequest,
    live_server_process: Live,
    django_db_blocker: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Live]:
    """The live server, with this test's connection on its database."""
    if request.node.get_closest_marker("django_db"):
        pytest.fail("a test of the live server commits for good: take its django_db mark off")
    # Playwright's sync API leaves a running event loop in this thread, for which Django would refuse to query.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with django_db_blocker.unblock():
        before = databases.point_at(live_server_process.database)
        said = live_server_process.log.stat().st_size
        yield live_server_process
        # Nothing is rolled back here: the next test's tickets are not to enter this one's paths, but its own default.
        EscalationPath.objects.filter(is_default=False).update(is_active=False)
        databases.point_at(before)
    # Shown beside a failure: what the server said meanwhile.
    print(live_server_process.log.read_bytes()[said:].decode(errors="replace"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Launch the Chromium there is."""
    found = chromium.find()
    if found is None:
        pytest.skip(
            "NOT RUN: no Chromium found (BELAY_CHROMIUM names one; on Debian: apt-get install chromium)"
        )
    return {**browser_type_launch_args, "executable_path": found, "args": chromium.FLAGS}


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any], live: Live) -> dict[str, Any]:
    """Let pages be opened by path alone."""
    return {**browser_context_args, "base_url": live.url, "reduced_motion": "reduce"}


@pytest.fixture
def sign_in(live: Live) -> Callable[[Any, AbstractBaseUser], None]:
    """Return a function that signs a user in on a page, without the form."""

    def as_user(page: Any, user: AbstractBaseUser) -> None:
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": f"sessionid-{live.port}", "value": session, "url": live.url}])

    return as_user


# What depends on the colours alone, and is looked at again in the other scheme.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


@pytest.fixture
def axe() -> Callable[..., None]:
    """Return a function that fails if axe finds something serious on a page, in light or dark.

    A page whose theme somebody chose is seen in that one only.
    """

    def check_page(page: Any, *, both_schemes: bool = True) -> None:
        # Not as a script tag, which the page's own Content-Security-Policy would refuse.
        page.evaluate(AXE.read_text())
        _look(page, {})
        if both_schemes and not page.evaluate(_CHOSEN):
            dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
            for scheme, rules in (
                (("light", COLOURS), ("dark", None)) if dark else (("dark", COLOURS), ("light", None))
            ):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_function(_SHOWN, arg=scheme)
                if rules:
                    _look(page, rules)

    return check_page


def pictures(page: Any, stem: str) -> None:
    """Write a page's pictures: light and dark on a desk, light on a phone."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{stem}-{scheme}.png", full_page=True)
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=f"{stem}-phone.png", full_page=True)
    page.set_viewport_size(size)


_CHOSEN = """() => {
    const { themeChoice, theme } = document.documentElement.dataset;
    return [themeChoice, theme].some((choice) => choice === "light" || choice === "dark");
}"""
# Pages of the app follow the system by a script; in the admin links take on their colour by and by.
_SHOWN = """(scheme) =>
    (document.documentElement.dataset.bsTheme || scheme) === scheme &&
    !document.getAnimations().some((one) => one instanceof CSSTransition && one.playState === "running")
"""


def _look(page: Any, options: dict[str, Any]) -> None:
    found = page.evaluate(
        "async (options) => (await axe.run({ ...options, resultTypes: ['violations'] })).violations", options
    )
    grave = [one for one in found if one["impact"] in {"serious", "critical"}]
    lines = [
        f"{one['id']}: {node['html'][:150]}\n{node['failureSummary']}"
        for one in grave
        for node in one["nodes"][:3]
    ]
    assert not grave, page.url + "\n" + "\n".join(lines)


def collect_static(root: Path) -> None:
    """Collect static files with the real, hashing storage, unless they are as they were."""
    from django.test import override_settings

    real = {**settings.STORAGES, "staticfiles": {"BACKEND": "helpdesk.static.Storage"}}
    with override_settings(STATIC_ROOT=root, STORAGES=real):
        collect()


def wait_until_it_answers(live: Live, server: "subprocess.Popen[bytes]") -> None:
    """Poll /healthz; fail with the end of the server's log."""
    until = time.monotonic() + 30
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{live.port}/healthz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the live server did not start:\n{live.log.read_text()[-2000:]}")
