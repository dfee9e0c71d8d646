"""Record messages of a past that was played, not lived, as sent: nobody is to get thirty days of mail at once."""

import datetime as dt

from django.db import connection

ANSWER = "250 2.0.0 accepted"

_RECORD = """
WITH sent AS (
    UPDATE notifications_notification
    SET state = 'sent', sent_at = due_at, attempts = 1, answer = %(answer)s
    WHERE state = 'pending' AND created_at < %(before)s
    RETURNING id, due_at
)
INSERT INTO notifications_delivery (notification_id, attempt, at, ok, answer)
SELECT id, 1, due_at, true, %(answer)s FROM sent
"""


def record_sent(*, before: dt.datetime) -> int:
    """Mark every pending message created before `before` as sent when it was due, with its delivery; return how many.

    For demos only, on a database that nothing delivers from yet. One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, {"before": before, "answer": ANSWER})
        count: int = cursor.rowcount
    return count
