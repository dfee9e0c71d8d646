"""Tell watchers what happened: read from the timeline, in a transaction of its own (DESIGN 2).

Following is a courtesy: a bug here must never roll an escalation back, nor cost the engine a query. What happens to a
ticket within a minute is one mail; many tickets at once are one mail, too.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from accounts.models import User
from accounts.queries import scope_of
from accounts.rules import Verb
from core.db import along, lacks_lock
from notifications.models import Notification, TimelineReader, Watch
from notifications.operations import Message, enqueue, watch_group
from tickets import kinds
from tickets.cursor import repeatable_read, take_cursor
from tickets.models import Ticket

NAME = "watchers"
NEWS, ROUND_UP = "watch.news", "watch.round_up"
# How long news are gathered before they go out.
GATHERED = dt.timedelta(seconds=60)
# More tickets at once than this are told in one mail, which names so many.
SINGLY = 3
MOST = 200
_ONE_READER = 7_301_942_006  # an advisory lock: two readers would tell twice

# What a watcher hears of, notes and clocks are not among it.
TOLD_OF = (
    kinds.OPENED,
    kinds.REPLIED,
    kinds.UPDATED,
    kinds.STATUS_CHANGED,
    kinds.SEVERITY_CHANGED,
    kinds.TIER_CHANGED,
    kinds.DECLARED_MAJOR,
    kinds.MERGED,
)

# Each watch of one kind by its own index. Who asked and who owns the ticket get mails of their own.
_NEWS = """
SELECT w.id, w.user_id, e.ticket_id, e.id
FROM tickets_event e JOIN tickets_ticket t ON t.id = e.ticket_id JOIN LATERAL (
    SELECT id, user_id, created_at FROM notifications_watch WHERE ticket_id = t.id
    UNION ALL
    SELECT id, user_id, created_at FROM notifications_watch WHERE service_id = t.service_id
    UNION ALL
    SELECT id, user_id, created_at FROM notifications_watch WHERE organisation_id = t.organisation_id AND t.severity = 1
) w ON w.user_id IS DISTINCT FROM e.actor_id AND w.user_id <> t.requester_id
    AND w.user_id IS DISTINCT FROM t.assignee_id AND w.created_at <= e.at
WHERE e.x >= pg_snapshot_xmin(%(since)s::pg_snapshot) AND e.x < pg_snapshot_xmax(%(upto)s::pg_snapshot)
    AND NOT pg_visible_in_snapshot(e.x, %(since)s::pg_snapshot) AND pg_visible_in_snapshot(e.x, %(upto)s::pg_snapshot)
    AND e.kind = ANY(%(kinds)s) AND NOT e.historic AND NOT coalesce((e.data ->> 'automatic')::boolean, false)
ORDER BY e.id, w.id
"""

# A mail about the ticket that has not gone out yet takes the news along.
_GATHER = """
UPDATE notifications_notification n
SET context = jsonb_set(n.context, '{events}', n.context -> 'events' || %(events)s::jsonb)
WHERE n.id = (
    SELECT id FROM notifications_notification
    WHERE user_id = %(user)s AND ticket_id = %(ticket)s AND kind = %(kind)s AND state = 'pending' AND attempts = 0
        AND due_at > %(now)s AND id > %(recent)s
    ORDER BY id DESC LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING n.id
"""


@dataclass(slots=True)
class _News:
    """What one person is to hear of: by which watch, and the events by ticket."""

    watch_id: int
    events: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))


def tell_watchers(*, now: dt.datetime) -> int:
    """Put what happened since the last time into the outbox, for whoever follows it; return how many messages that is.

    Reads and moves the cursor in one transaction, so that a crash tells nothing twice and loses nothing. A second
    reader at the same time does nothing.
    """
    try:
        with repeatable_read():
            return _read_on(now)
    except Exception as error:
        if lacks_lock(error):
            # Another reader was quicker: it has told all this.
            return 0
        raise


def _read_on(now: dt.datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_ONE_READER])
        if not cursor.fetchone()[0]:
            return 0
    upto = take_cursor()
    since = TimelineReader.objects.filter(pk=NAME).values_list("cursor", flat=True).first()
    if since == upto:
        return 0
    # The very first time it begins here: nobody is told of a past in which nobody followed anything.
    news = _news(since, upto) if since is not None and Watch.objects.exists() else {}
    messages = [message for user, found in news.items() for message in _messages(user, found, now)]
    enqueue(messages=messages, now=now)
    TimelineReader.objects.update_or_create(pk=NAME, defaults={"cursor": upto, "at": Now()})
    return len(messages)


def _news(since: str, upto: str) -> dict[User, _News]:
    """Return what each follower is to hear of, as far as they may see it."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWS, {"since": since, "upto": upto, "kinds": list(TOLD_OF)})
        rows = cursor.fetchall()
    found: dict[int, _News] = {}
    for watch_id, user_id, ticket_id, event_id in rows:
        news = found.setdefault(user_id, _News(watch_id))
        if event_id not in news.events[ticket_id]:
            news.events[ticket_id].append(event_id)
    people = User.objects.filter(pk__in=found, is_active=True, anonymised_at__isnull=True)
    return {user: _seen_by(user, found[user.pk]) for user in people}


def _seen_by(user: User, news: _News) -> _News:
    visible = set(
        Ticket.objects.within(scope_of(user, Verb.VIEW))
        .filter(pk__in=news.events)
        .values_list("pk", flat=True)
    )
    return _News(news.watch_id, {pk: events for pk, events in news.events.items() if pk in visible})


def _messages(user: User, news: _News, now: dt.datetime) -> Iterable[Message]:
    left = {
        ticket: events for ticket, events in news.events.items() if not _gathered(user, ticket, events, now)
    }
    common: dict[str, Any] = {"address": user.email, "user_id": user.pk, "due_at": now + GATHERED}
    if len(left) > SINGLY:
        tickets = sorted(left)
        context = {"watch": news.watch_id, "tickets": tickets[:MOST], "more": max(len(tickets) - MOST, 0)}
        yield Message(kind=ROUND_UP, context=context, group=watch_group(news.watch_id), **common)
        return
    for ticket, events in left.items():
        yield Message(
            kind=NEWS,
            ticket_id=ticket,
            context={"watch": news.watch_id, "events": events},
            group=watch_group(news.watch_id),
            **common,
        )


def _gathered(user: User, ticket: int, events: Sequence[int], now: dt.datetime) -> bool:
    """Let a mail that waits take the news along; tell whether there was one."""
    # Newest rows of this person only.
    recent = along(Notification.objects.all(), "user_id", user.pk).values_list("pk", flat=True)[200:201]
    with connection.cursor() as cursor:
        cursor.execute(
            _GATHER,
            {
                "user": user.pk,
                "ticket": ticket,
                "kind": NEWS,
                "events": json.dumps(list(events)),
                "now": now,
                "recent": next(iter(recent), 0),
            },
        )
        return cursor.fetchone() is not None
