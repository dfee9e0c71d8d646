"""How fast the outbox is emptied, against a bare smtplib loop that sends ready-made mails of the same size.

Both send from one process with the same number of threads, each on one connection, to the same local mail server in a
process of its own; the runs alternate. The engine claims, checks, renders and settles every telling; the loop does not.
"""

import contextlib
import datetime as dt
import json
import os
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db.models import F

from helpdesk import embedded

HOME = Path(__file__).resolve().parent.parent
TICKETS = 500
CONTACTS = 4
RUNS = 5
# Sent before the watch runs: a delivery worker that has been at work has its connections and templates.
WARMING = 40
MUST_REACH = 0.5
WORDS = (
    "Since about nine this morning nobody on the second floor can reach the payment terminal; the page loads, then it "
    "stays white. Restarting the browser helps for a minute. Two colleagues in Lyon see the same.\n\n"
)


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Return `delivery.ratio` with its spread and the raw rates (messages a second).

    Django is set up on a migrated database without open tickets; it is left with what was sent.
    """
    tellings = build(tickets=TICKETS // 4 if quick else TICKETS)
    runs: dict[str, list[float]] = {"engine": [], "bare": []}
    # The first pair warms the database's cache and counts for nothing.
    for number in range(RUNS + 1):
        for side in ("bare", "engine"):
            make_due()
            rate = (tellings - WARMING) / _one_run(side, tellings)
            if number:
                runs[side].append(round(rate, 1))
    ratios = [ours / bare for ours, bare in zip(runs["engine"], runs["bare"], strict=True)]
    ratio = statistics.median(ratios)
    return {
        "ratio": round(ratio, 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "tellings": tellings,
        "senders": _senders(),
        "per_second": runs,
        "holds": ratio >= MUST_REACH,
    }


def build(*, tickets: int) -> int:
    """Open tickets and let each climb to a step that tells four contacts; return how many tellings wait."""
    from core.db import database_now
    from escalation import engine as escalation
    from escalation import kinds
    from notifications.models import ContactListEntry, Notification
    from notifications.operations import create_contact
    from tests.house import build_house
    from tickets.operations import Draft, open_ticket

    house = build_house()
    for number in range(3, CONTACTS + 1):
        contact = create_contact(name=f"Second line {number}", email=f"second{number}@example.org")
        ContactListEntry.objects.create(
            contact_list=house.lists[2], contact=contact, position=number, when_to_reach_out="By day."
        )
    for number in range(tickets):
        draft = Draft(
            requester=house.requester, subject=f"Payments fail on floor {number}", body=WORDS * 4
        )
        open_ticket(draft=draft, actor=None, now=house.now)
    escalation.tick(now=database_now() + dt.timedelta(minutes=31))
    Notification.objects.exclude(kind=kinds.TELL).delete()
    return Notification.objects.count()


def make_due() -> None:
    """Put every telling back to where it was before it was sent."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE notifications_delivery")
        cursor.execute(
            "UPDATE notifications_notification SET state = 'pending', attempts = 0, sent_at = NULL, answer = '',"
            " lease_token = NULL, lease_until = NULL, due_at = now() - interval '1 hour'"
        )
        cursor.execute("VACUUM ANALYZE notifications_notification")


def _one_run(side: str, tellings: int) -> float:
    """Send all tellings once from a process of its own; return the seconds it took."""
    with _mail_server() as (port, taken):
        environment = os.environ | {"EMAIL_URL": f"smtp://127.0.0.1:{port}"}
        child = subprocess.run(
            [sys.executable, "-m", "bench.delivery", side, str(tellings)],
            cwd=HOME,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    if taken != [tellings]:
        raise RuntimeError(f"{side}: {taken} mails came, {tellings} were to be sent")
    return float(json.loads(child.stdout)["seconds"])


@contextlib.contextmanager
def _mail_server() -> Iterator[tuple[int, list[int]]]:
    taken: list[int] = []
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.smtp_server"], cwd=HOME, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline()), taken
    finally:
        server.terminate()
        taken.append(int(server.stdout.readline() or 0))
        server.wait(timeout=10)


def _senders() -> int:
    from notifications import engine

    return engine.SENDERS


def _in_threads(work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(max_workers=_senders()) as pool:
        list(pool.map(work, range(_senders())))


def _engine(tellings: int) -> float:
    """Empty the outbox with one tick, as a delivery worker does that has been at work before."""
    from notifications import engine
    from notifications.models import Notification

    with _warming():
        engine.tick()
    started = time.perf_counter()
    engine.tick()
    took = time.perf_counter() - started
    unsent = Notification.objects.exclude(state=Notification.State.SENT).count()
    if unsent:
        raise RuntimeError(f"{unsent} of {tellings} tellings were not sent")
    return took


def _bare(tellings: int) -> float:
    """Send as many ready-made mails as there are tellings."""
    mails = _ready_made()
    links = [smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT) for _ in range(_senders())]

    def send(number: int, *, first: int, last: int) -> None:
        for place in range(first + number, last, len(links)):
            address, content = mails[place % len(mails)]
            links[number].sendmail("belay@example.org", [address], content)

    _in_threads(partial(send, first=0, last=WARMING))
    started = time.perf_counter()
    _in_threads(partial(send, first=WARMING, last=tellings))
    return time.perf_counter() - started


def _ready_made() -> list[tuple[str, bytes]]:
    """Return some of the tellings as they go over the wire."""
    from django.core import mail

    from notifications import engine

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []
    with _warming():
        engine.tick(senders=1)
    return [(message.to[0], message.message().as_bytes(linesep="\r\n")) for message in mail.outbox]


@contextlib.contextmanager
def _warming() -> Iterator[None]:
    """Leave only the first few tellings due."""
    from notifications.models import Notification

    first = Notification.objects.order_by("pk").values("pk")[:WARMING]
    others = Notification.objects.exclude(pk__in=list(first.values_list("pk", flat=True)))
    others.update(due_at=F("due_at") + dt.timedelta(days=1))
    yield
    others.update(due_at=F("due_at") - dt.timedelta(days=1))


def _child(side: str, tellings: int) -> None:
    django.setup()
    seconds = {"engine": _engine, "bare": _bare}[side](tellings)
    print(json.dumps({"seconds": seconds}))


def _alone() -> None:
    """Run on an installation of its own, thrown away afterwards."""
    with tempfile.TemporaryDirectory(prefix="belay-bench-") as folder:
        os.environ |= {"BELAY_VAR": folder, "BELAY_ENV_FILE": "", "EMAIL_URL": "dummymail://"}
        with embedded.servers():
            django.setup()
            call_command("migrate", verbosity=0)
            print(json.dumps(measure(quick="--quick" in sys.argv), indent=1))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")
    if len(sys.argv) == 3:
        _child(sys.argv[1], int(sys.argv[2]))
    else:
        _alone()
