"""Load the demo into an empty database, all of it or nothing."""

import datetime as dt
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from accounts.models import User
from core.errors import Conflict
from insights.demo import organisation as org
from insights.demo.duty import plan_exceptions
from insights.demo.house import build_house
from insights.demo.past import record_past
from insights.demo.present import plan_present
from insights.demo.stage import Stage
from notifications.history import record_sent
from notifications.models import Notification
from tickets.models import Ticket

SEED = 20240531
# Finished tickets older than this are history; younger ones were really opened, and can be opened again.
PRESENT = dt.timedelta(days=3)
# What was to be sent within this before the end of loading is sent for real.
FRESH = dt.timedelta(minutes=2)
_WHAT = {
    "admin": "edits escalation paths under /admin/",
    "lead": "watches the board, grants wishes, confirms falls",
    "agent": "works the service desk's tickets",
    "network": "second level, on the network's contact list",
    "manager": "is told at the top, and is every path's fallback contact",
    "requester": "the portal; follows her whole organisation's tickets",
    "vip": "the portal, of a VIP organisation",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded."""

    history: int
    opened: int
    open: int
    messages: int
    sign_ins: Path


class NotEmpty(Conflict):
    """Say that somebody is here already."""


def load_demo(*, now: dt.datetime, seed: int = SEED) -> Loaded:
    """Build the organisation, its last thirty days and its open tickets; the same seed tells the same stories.

    Raises NotEmpty when there are accounts already. Rings nobody while it works.
    """
    with _silent(), transaction.atomic():
        with connection.cursor() as cursor:
            # Two loads at once would both find the house empty.
            cursor.execute("LOCK TABLE accounts_user IN SHARE ROW EXCLUSIVE MODE")
        if User.objects.exists():
            raise NotEmpty(
                "There are accounts already; the demo goes into an empty database only.",
                field="database",
                mend="Give another BELAY_VAR, or another DATABASE_URL.",
            )
        rng = random.Random(seed)  # noqa: S311 - stories, not secrets
        house = build_house(now - dt.timedelta(days=31))
        house.now = now
        plan_exceptions(now=now)
        history = record_past(house, rng, until=now - PRESENT)
        stage = Stage()
        plan_present(house, rng, stage)
        stage.play(now)
        record_sent(before=now - FRESH)
        live = Ticket.objects.filter(historic=False)
        loaded = Loaded(
            history=history,
            opened=live.count(),
            open=Ticket.objects.open().count(),
            messages=Notification.objects.count(),
            sign_ins=Path(settings.BELAY_VAR) / "sign-ins.txt",
        )
    write_sign_ins(loaded.sign_ins)
    return loaded


def write_sign_ins(path: Path) -> None:
    """Write down who may sign in, for nobody but this machine's user to read."""
    lines = [f"sign in with the password {org.PASSWORD} as"]
    for person in (*org.STAFF, *org.REQUESTERS):
        if person.signs_in:
            what = _WHAT[person.email.partition("@")[0]]
            lines.append(f"  {person.email:<28} {person.name}: {what}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


@contextmanager
def _silent() -> Iterator[None]:
    """Ring nobody: thousands of operations commit at once, and the processes are not up yet anyway."""
    before = settings.BELAY_WAKE
    settings.BELAY_WAKE = False
    try:
        yield
    finally:
        settings.BELAY_WAKE = before
