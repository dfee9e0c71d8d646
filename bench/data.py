"""Build a database of open tickets: a few hundred lives played by the real operations, then copied; make some due."""

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


# One clock of each ticket that can climb: warned at L1, or unacknowledged at L2 and L3; three are told above each.
_MAKE_DUE = """
WITH chosen AS (
    SELECT c.id, c.ticket_id, row_number() OVER (ORDER BY hashint8extended(c.ticket_id, 5)) - 1 AS place
    FROM escalation_clock c JOIN escalation_standing s USING (ticket_id) JOIN escalation_step p ON p.id = s.step_id
    WHERE c.state = 'running' AND c.fires_at > %(far)s
      AND (c.kind = 'tier_time' AND c.warned_at IS NOT NULL AND p.tier = 1
           OR c.kind = 'acknowledge' AND p.tier IN (2, 3))
    ORDER BY place LIMIT %(count)s
), timed AS (
    SELECT id, %(at)s::timestamptz + (place / %(together)s) * make_interval(secs => %(every)s) AS due_at FROM chosen
), moved AS (
    UPDATE escalation_clock c
    SET due_at = n.due_at, fires_at = n.due_at,
        started_at = c.started_at - (c.due_at - n.due_at), recorded_at = c.recorded_at - (c.due_at - n.due_at),
        running_since = c.running_since - (c.due_at - n.due_at), warn_at = c.warn_at - (c.due_at - n.due_at),
        warned_at = c.warned_at - (c.due_at - n.due_at)
    FROM timed n WHERE n.id = c.id
    RETURNING c.ticket_id, c.kind, c.due_at, c.started_at
)
UPDATE tickets_ticket t
SET next_due_at = least(t.next_due_at, m.due_at),
    tier_due_at = CASE m.kind WHEN 'tier_time' THEN m.due_at ELSE t.tier_due_at END,
    unacknowledged_since = CASE m.kind WHEN 'acknowledge' THEN m.started_at ELSE t.unacknowledged_since END
FROM moved m WHERE m.ticket_id = t.id
"""


def make_due(*, count: int, at: str, together: int, every: float) -> None:
    """Make `count` tickets due, `together` at a time, the first ones `at` (ISO 8601), the next `every` seconds later.

    They lie scattered among the others. Their clocks are moved whole, as if they had been started that much earlier.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _MAKE_DUE,
            {
                "count": count,
                "at": at,
                "together": together,
                "every": every,
                "far": database_now() + DAY,
            },
        )
        if cursor.rowcount != count:
            raise RuntimeError(f"only {cursor.rowcount} of {count} tickets can be made due")
        cursor.execute("VACUUM (ANALYZE) escalation_clock, tickets_ticket")
