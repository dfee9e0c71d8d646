"""Every change to what people have seen of their bell."""

from django.db import connection

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb

# Only ever rises, whoever comes second; and never beyond what there is, or the next ones would be seen unseen.
# A range of one person: see core.db.along.
_SEEN = """
INSERT INTO notifications_bell (user_id, seen_through)
SELECT %(user)s, LEAST(%(through)s, COALESCE(
    (
        SELECT id FROM notifications_notification
        WHERE user_id BETWEEN %(user)s AND %(user)s ORDER BY user_id, id DESC LIMIT 1
    ), 0
))
ON CONFLICT (user_id) DO UPDATE SET seen_through = GREATEST(notifications_bell.seen_through, EXCLUDED.seen_through)
"""


def mark_bell_seen(*, actor: User, through: int) -> None:
    """Note that somebody has seen their own bell through this notification. Raises NotAllowed."""
    permit(actor, Verb.WORK)
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"user": actor.pk, "through": through})
