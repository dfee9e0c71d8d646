"""What the tests with every real part share: a mail server, workers and beat, and patience."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command

from helpdesk import environment
from helpdesk.lifeline import dying_with_me
from helpdesk.processes import processes
from notifications.queries import last_tick
from tests import databases, mail
from tests.browser_fixtures import Live
from tests.helpers import free_port


@pytest.fixture(scope="package")
def mailbox() -> Iterator[mail.Mailbox]:
    box = mail.Mailbox()
    controller = mail.start(box, free_port())
    yield box
    controller.stop()


@pytest.fixture(scope="package")
def workers(live_server_process: Live, mailbox: mail.Mailbox, django_db_blocker: Any) -> Iterator[None]:
    """The engine's and delivery's workers and beat, as `manage.py up` starts them; no pacemaker to cover for them.

    They run as long as this package's tests do, and no longer: elsewhere nobody expects the live server's tickets to
    climb.
    """
    live = live_server_process
    # As in `live`.
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "BELAY_VAR": str(live.log.parent),
        "BELAY_URL": live.url,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{live.database}",
        # The servers that play the services of the outside world stand on this machine.
        "BELAY_ALLOWED_HOSTS_OUT": "127.0.0.1",
        "EMAIL_URL": f"smtp://{mailbox.host}:{mailbox.port}",
    }
    with django_db_blocker.unblock():
        before = databases.point_at(live.database)
        call_command("sync_ticks")
    log = (live.log.parent / "workers.log").open("wb")
    running = [
        subprocess.Popen(
            process.command,
            cwd=environment.BASE_DIR,
            env=env | process.extra,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=dying_with_me(),  # noqa: PLW1509 no other thread forks meanwhile
        )
        for process in processes()
        if process.name in ("engine", "delivery", "beat")
    ]
    with django_db_blocker.unblock():
        for engine in ("escalation", "notifications"):
            wait_for(f"a tick of {engine}", lambda engine=engine: last_tick(engine))
        databases.point_at(before)
    patch.undo()
    yield
    for child in running:
        child.terminate()
    for child in running:
        # As the supervisor does: asked first, then made to.
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)
    log.close()
    print((live.log.parent / "workers.log").read_text(errors="replace")[-4000:])


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 40) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within {seconds} s")
