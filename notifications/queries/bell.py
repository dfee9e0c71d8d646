"""What a person's bell holds: what they were told lately, however often and on whatever channel, once."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from notifications.models import Bell, Notification
from notifications.rendering import DIGEST

# How far back a bell looks, in rows; each event may have several.
WINDOW = 200
MOST = 30
UNREAD_CAP = 9

# What tells two rows of one event from rows of two: the instructions are the list's, not the event's.
_EVENT = "kind, ticket_id, seq, context - 'instructions'"
# Rings for people: a digest only repeats rows that are here themselves.
_HEARD = f"state <> 'withdrawn' AND due_at <= clock_timestamp() AND kind <> '{DIGEST}'"
# Both ask for a range of one person and order by it: see core.db.along.
_UNREAD = f"""(
    SELECT count(*) FROM (
        SELECT DISTINCT {_EVENT} FROM (
            SELECT kind, ticket_id, seq, context, state, due_at FROM notifications_notification
            WHERE user_id BETWEEN %s AND %s
                AND id > COALESCE((SELECT seen_through FROM notifications_bell WHERE user_id = %s), 0)
            ORDER BY user_id, id DESC LIMIT {WINDOW}
        ) latest WHERE {_HEARD}
    ) told
)"""  # noqa: S608 - constants of this module
_LATEST = f"""
SELECT id FROM (
    SELECT id, state, due_at, kind FROM notifications_notification
    WHERE user_id BETWEEN %s AND %s ORDER BY user_id, id DESC LIMIT {WINDOW}
) latest WHERE {_HEARD} ORDER BY id DESC
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class Bells:
    """A person's bell: the newest row of each event, the newest first, and up to which row they have seen it."""

    rows: list[Notification]
    seen_through: int


def unread_sql(user_id: int) -> tuple[str, tuple[Any, ...]]:
    """Return a subquery that counts what a person has not seen, for pages to ask along with what they ask anyway.

    It looks at the newest rows of that person only, by their index.
    """
    return _UNREAD, (user_id,) * 3


def bell_of(user_id: int) -> Bells:
    """Return a person's newest notifications, each event once; three queries."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, [user_id, user_id])
        ids = [pk for (pk,) in cursor.fetchall()]
    rows = Notification.objects.filter(pk__in=ids).defer("message_id", "answer").order_by("-pk")
    seen = Bell.objects.filter(user_id=user_id).values_list("seen_through", flat=True).first()
    return Bells(_each_once(rows), seen or 0)


def _each_once(rows: Iterable[Notification]) -> list[Notification]:
    kept: dict[tuple[Any, ...], Notification] = {}
    for row in rows:
        context = {name: value for name, value in row.context.items() if name != "instructions"}
        kept.setdefault((row.kind, row.ticket_id, row.seq, json.dumps(context, sort_keys=True)), row)
    return list(kept.values())[:MOST]
