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
from tests import mail
from tests.browser_fixtures import Live
from tests.helpers import free_port


@pytest.fixture
def mailbox() -> Iterator[mail.Mailbox]:
    box = mail.Mailbox()
    controller = mail.start(box, free_port())
    yield box
    controller.stop()


@pytest.fixture
def workers(live: Live, mailbox: mail.Mailbox) -> Iterator[None]:
    """The engine's and delivery's workers and beat, as `manage.py up` starts them; no pacemaker to cover for them."""
    call_command("sync_ticks")
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "BELAY_VAR": str(live.log.parent),
        "BELAY_URL": live.url,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{live.database}",
        # The servers that play the services of the outside world stand on this machine.
        "BELAY_ALLOWED_HOSTS_OUT": "127.0.0.1",
        "EMAIL_URL": f"smtp://{mailbox.host}:{mailbox.port}",
    }
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
    for engine in ("escalation", "notifications"):
        wait_for(f"a tick of {engine}", lambda engine=engine: last_tick(engine))
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
