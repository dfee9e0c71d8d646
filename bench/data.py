"""Build a database of open tickets: a few hundred lives played by the real operations, then copied."""

import random
import sys
import time

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from bench.copying import copy_tickets
from bench.house import DAY, build_house
from bench.lives import play_lives
from core.db import database_now
from tickets.operations.sealing import seal

SEED = 20260131


def migrate_and_build(*, tickets: int) -> None:
    """Make an empty database one of that many open tickets."""
    call_command("migrate", verbosity=0, interactive=False)
    build(tickets, trusted=True)


def build(tickets: int, *, trusted: bool = False) -> None:
    """Fill the present database, migrated and without accounts, with that many open tickets.

    `trusted` spares the foreign keys' checks while copying, where the database's user may: the same statements are
    tested with them.
    """
    began = time.monotonic()
    before = settings.BELAY_WAKE
    settings.BELAY_WAKE = False
    try:
        base = database_now().replace(microsecond=0)
        rng = random.Random(SEED)  # noqa: S311 - stories, not secrets
        house = build_house(now=base - 200 * DAY, requesters=max(20, tickets // 500))
        patterns = play_lives(house, base=base, count=max(10, min(200, tickets // 500)), rng=rng)
        say(f"{len(patterns)} lives played", began)
        copy_tickets(
            patterns,
            copies=tickets - len(patterns),
            base=base,
            trusted=trusted,
            say=lambda what: say(what, began),
        )
        seal()
    finally:
        settings.BELAY_WAKE = before
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (FREEZE, ANALYZE)")
    say("sealed and analysed", began)


def say(what: str, began: float) -> None:
    """Tell on stderr how far it is, and after how many seconds."""
    print(f"bench: {what} ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)
