"""How fast the outbox is emptied, against a bare smtplib loop that sends ready-made mails of the same size.

One delivery worker, a process with its senders, against a loop in one process on one connection (DESIGN 7: one per
worker); `ratio_side_by_side` is against a process that keeps as many connections busy as the worker has senders. All
send to the same local mail server in a process of its own; the runs alternate. The engine claims, checks, renders and
settles every telling; the loops do none of it. Alone: `python -m bench.delivery [--quick]`.
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

import environ
import psycopg2

HOME = Path(__file__).resolve().parent.parent
TICKETS = 500
CONTACTS = 4
RUNS, QUICK_RUNS = 7, 3
# Sent before the watch runs: a delivery worker that has been at work has its connections and templates.
WARMING = 100
MUST_REACH = 0.5
WORDS = (
    "Since about nine this morning nobody on the second floor can reach the payment terminal; the page loads, then it "
    "stays white. Restarting the browser helps for a minute. Two colleagues in Lyon see the same.\n\n"
)


def run(size: Any) -> dict[str, Any]:
    """Return the row: `ratio` is the median over pairs of runs, one right after the other.

    DATABASE_URL names a running server; a database is made there and dropped.
    """
    rates: dict[str, list[float]] = {"bare": [], "engine": [], "bare_side_by_side": []}
    with _database():
        tellings = int(_child("build", TICKETS // 4 if size.quick else TICKETS))
        # In full the first round warms the database and the machine and counts for nothing.
        runs, warming = (QUICK_RUNS, 0) if size.quick else (RUNS, 1)
        for number in range(1 - warming, runs + 1):
            for side, measured in rates.items():
                if side == "bare_side_by_side" and size.quick and number < runs:
                    # Steadier than the others, and once is enough to see where it is.
                    continue
                with _mail_server() as (port, taken):
                    seconds = _child(side, tellings, EMAIL_URL=f"smtp://127.0.0.1:{port}")
                if taken != [tellings]:
                    raise RuntimeError(f"{side}: {taken} mails came, {tellings} were to be sent")
                if number:
                    measured.append(round((tellings - WARMING) / seconds, 1))
    ratios = [ours / bare for ours, bare in zip(rates["engine"], rates["bare"], strict=True)]
    side_by_side = statistics.median(rates["engine"]) / statistics.median(rates["bare_side_by_side"])
    ratio = statistics.median(ratios)
    return {
        "ratio": round(ratio, 3),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "ratio_side_by_side": round(side_by_side, 3),
        "rate": statistics.median(rates["engine"]),
        "bare_rate": statistics.median(rates["bare"]),
        "tellings_per_run": tellings - WARMING,
        "rates": rates["engine"],
        "bare_rates": rates["bare"],
        "bare_side_by_side_rates": rates["bare_side_by_side"],
        "holds": ratio >= MUST_REACH,
    }


@contextlib.contextmanager
def _database() -> Iterator[None]:
    """Have an empty database of our own in DATABASE_URL."""
    before = os.environ["DATABASE_URL"]
    name = f"bench_clone_{os.getpid()}_delivery"
    head, _, tail = before.rpartition("/")
    _, mark, options = tail.partition("?")
    with _administration(before) as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    os.environ["DATABASE_URL"] = f"{head}/{name}{mark}{options}"
    try:
        yield
    finally:
        os.environ["DATABASE_URL"] = before
        with _administration(before) as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def _administration(url: str) -> Iterator[Any]:
    config = environ.Env.db_url_config(url)
    link = psycopg2.connect(
        host=config["HOST"] or None,
        port=config["PORT"] or None,
        user=config["USER"] or None,
        password=config["PASSWORD"] or None,
        dbname=config["NAME"],
    )
    link.autocommit = True
    with contextlib.closing(link), link.cursor() as cursor:
        yield cursor


@contextlib.contextmanager
def _mail_server() -> Iterator[tuple[int, list[int]]]:
    """Have a mail server; yields its port and a list that holds, at the end, how many mails it took."""
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


def _child(what: str, count: int, **environment: str) -> float:
    """Run one of the functions below in a process of its own and return what it returned."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.delivery", what, str(count)],
        cwd=HOME,
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "helpdesk.settings", "EMAIL_URL": "dummymail://"}
        | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


# --- in a process of its own ----------------------------------------------------------------------------------------


def build(tickets: int) -> float:
    """Open tickets and let each climb to a step that tells four contacts; return how many tellings wait."""
    from django.core.management import call_command

    from core.db import database_now
    from escalation import engine as escalation
    from escalation import kinds
    from notifications.models import ContactListEntry, Notification
    from notifications.operations import create_contact
    from tests.house import build_house
    from tickets.operations import Draft, open_ticket

    call_command("migrate", verbosity=0)
    house = build_house()
    for number in range(3, CONTACTS + 1):
        contact = create_contact(name=f"Second line {number}", email=f"second{number}@example.org")
        ContactListEntry.objects.create(
            contact_list=house.lists[2], contact=contact, position=number, when_to_reach_out="By day."
        )
    for number in range(tickets):
        subject = f"Payments fail on floor {number}"
        draft = Draft(requester=house.requester, subject=subject, body=WORDS * 4)
        open_ticket(draft=draft, actor=None, now=house.now)
    escalation.tick(now=database_now() + dt.timedelta(minutes=31))
    Notification.objects.exclude(kind=kinds.TELL).delete()
    return Notification.objects.count()


def engine(tellings: int) -> float:
    """Empty the outbox with one tick; return the seconds it took."""
    from notifications.engine import tick
    from notifications.models import Notification

    _make_due()
    with _only_the_first():
        tick()
    started = time.perf_counter()
    tick()
    took = time.perf_counter() - started
    unsent = Notification.objects.exclude(state=Notification.State.SENT).count()
    if unsent:
        raise RuntimeError(f"{unsent} of {tellings} tellings were not sent")
    return took


def bare(tellings: int) -> float:
    """Send as many ready-made mails as there are tellings on one connection; return the seconds it took."""
    return _bare(tellings, connections=1)


def bare_side_by_side(tellings: int) -> float:
    """Send them on as many connections as a worker has senders, a thread each."""
    from notifications.engine import SENDERS

    return _bare(tellings, connections=SENDERS)


def _bare(tellings: int, *, connections: int) -> float:
    from django.conf import settings

    mails = _ready_made()
    links = [smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT) for _ in range(connections)]

    def send(number: int, *, first: int, last: int) -> None:
        for place in range(first + number, last, connections):
            address, content = mails[place % len(mails)]
            links[number].sendmail("belay@example.org", [address], content)

    with ThreadPoolExecutor(max_workers=connections) as pool:
        list(pool.map(partial(send, first=0, last=WARMING), range(connections)))
        started = time.perf_counter()
        list(pool.map(partial(send, first=WARMING, last=tellings), range(connections)))
        return time.perf_counter() - started


def _ready_made() -> list[tuple[str, bytes]]:
    """Return some of the tellings as they go over the wire."""
    from django.conf import settings
    from django.core import mail

    from notifications.engine import tick

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []
    _make_due()
    with _only_the_first():
        tick(senders=1)
    return [
        (message.to[0], message.message().as_bytes(linesep="\r\n"))  # type: ignore[call-arg]
        for message in mail.outbox
    ]


def _make_due() -> None:
    """Put every telling back to where it was before it was sent."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE notifications_delivery")
        cursor.execute(
            "UPDATE notifications_notification SET state = 'pending', attempts = 0, sent_at = NULL, answer = '',"
            " lease_token = NULL, lease_until = NULL, due_at = now() - interval '1 hour'"
        )
        cursor.execute("VACUUM ANALYZE notifications_notification")


@contextlib.contextmanager
def _only_the_first() -> Iterator[None]:
    """Leave only the first few tellings due."""
    from django.db.models import F

    from notifications.models import Notification

    first = list(Notification.objects.order_by("pk").values_list("pk", flat=True)[:WARMING])
    others = Notification.objects.exclude(pk__in=first)
    others.update(due_at=F("due_at") + dt.timedelta(days=1))
    yield
    others.update(due_at=F("due_at") - dt.timedelta(days=1))


def main() -> None:
    """Be the child that was asked for, or measure on an installation of our own, thrown away afterwards."""
    from types import SimpleNamespace

    from helpdesk import embedded

    jobs: dict[str, Callable[[int], float]] = {
        "build": build,
        "engine": engine,
        "bare": bare,
        "bare_side_by_side": bare_side_by_side,
    }
    if sys.argv[1:] and sys.argv[1] in jobs:
        import django

        django.setup()
        print(jobs[sys.argv[1]](int(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory(prefix="belay-bench-") as folder:
        os.environ |= {"BELAY_VAR": folder, "BELAY_ENV_FILE": ""}
        with embedded.servers():
            print(json.dumps(run(SimpleNamespace(quick="--quick" in sys.argv)), indent=2))


if __name__ == "__main__":
    main()
