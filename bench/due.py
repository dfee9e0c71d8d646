"""Make tickets of a build due, as many and when a measurement wants them."""

from collections.abc import Sequence

from django.db import connection

from bench.house import DAY
from core.db import database_now

# One clock of each ticket that can climb: warned at L1, or unacknowledged at L2 and L3; three are told above each.
_MAKE_DUE = """
WITH wanted AS (
    SELECT at AS due_at, row_number() OVER (ORDER BY at) - 1 AS place
    FROM unnest(%(at)s::timestamptz[], %(count)s::int[]) s (at, count), generate_series(1, s.count)
), chosen AS (
    SELECT c.id, row_number() OVER (ORDER BY hashint8extended(c.ticket_id, 5)) - 1 AS place
    FROM escalation_clock c JOIN escalation_standing s USING (ticket_id) JOIN escalation_step p ON p.id = s.step_id
    WHERE c.state = 'running' AND c.fires_at > %(far)s
      AND (c.kind = 'tier_time' AND c.warned_at IS NOT NULL AND p.tier = 1
           OR c.kind = 'acknowledge' AND p.tier IN (2, 3))
), timed AS (
    SELECT id, due_at FROM chosen JOIN wanted USING (place)
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


def make_due(*, slices: Sequence[tuple[str, int]], tidy: bool = True) -> None:
    """Make tickets due: at each of these instants (ISO 8601, in order of time) that many.

    They lie scattered among the others. Their clocks are moved whole, as if they had been started that much earlier.
    `tidy` vacuums afterwards, outside of any transaction.
    """
    count = sum(tickets for _, tickets in slices)
    with connection.cursor() as cursor:
        cursor.execute(
            _MAKE_DUE,
            {
                "at": [at for at, _ in slices],
                "count": [tickets for _, tickets in slices],
                "far": database_now() + DAY,
            },
        )
        if cursor.rowcount != count:
            raise RuntimeError(f"only {cursor.rowcount} of {count} tickets can be made due")
        if tidy:
            cursor.execute("VACUUM (ANALYZE) escalation_clock, tickets_ticket")
