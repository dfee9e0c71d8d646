"""What a major incident takes over from the tickets linked to it, and gives back (DESIGN 3, changes under way)."""

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Q

from accounts.models import User
from calendars.queries import hours_of
from core.bulk import read_rows
from core.db import lacks_database, lacks_lock
from escalation import kinds
from escalation.models import Clock, IncidentNews
from escalation.operations.plan import Plan
from escalation.operations.state import State, load_states
from escalation.operations.steps import SUSPENDED_BY_INCIDENT, stands_still
from escalation.operations.telling import Telling
from escalation.rules.clocks import used_until
from notifications.models import Notification
from notifications.operations import Message
from tickets import kinds as ticket_kinds
from tickets.models import Event, Ticket
from tickets.rules import OPEN_STATUSES
from tickets.timeline import Work, working

log = logging.getLogger("belay.engine")

BATCH = 500
# How long news rests when a ticket's processing fails by it.
REST = dt.timedelta(seconds=60)
_ON_THE_WAY = (Notification.State.PENDING, Notification.State.SENDING, Notification.State.FOLDED)

# The tickets to which a piece of news still has to be carried: those done drop out, so that two engines share the
# work and either may stop half way. What the incident has become meanwhile counts, not what the news said. An update
# is for those that were linked when it was given and still are; their timelines say to which it was carried.
_TO_FOLLOW = {
    IncidentNews.What.UPDATED: """
        WHERE t.status = ANY(%(open)s) AND NOT EXISTS (
            SELECT FROM tickets_event e
            WHERE e.ticket_id = t.id AND (
                (e.kind = 'linked' AND e.at > %(at)s)
                OR (e.kind = 'escalation.incident_updated' AND (e.data ->> 'news')::bigint = %(news)s)
            )
        )
    """,
    IncidentNews.What.FINISHED: """
        WHERE s.suspended_at IS NOT NULL AND NOT i.status = ANY(%(open)s)
    """,
    IncidentNews.What.REOPENED: """
        WHERE s.suspended_at IS NULL AND i.status = ANY(%(open)s)
    """,
}
_TO_FOLLOW_SQL = """
SELECT t.id
FROM tickets_ticket t JOIN tickets_ticket i ON i.id = t.incident_id JOIN escalation_standing s ON s.ticket_id = t.id
{where} AND t.incident_id = %(incident)s AND t.id > %(after)s {only}
ORDER BY t.id
LIMIT %(batch)s
{lock}
"""


def suspend(plan: Plan, states: Iterable[State]) -> None:
    """Let stand still what the incident takes over; nobody is told any more, what was used stays on record."""
    fresh = [state for state in states if state.standing.suspended_at is None]
    for state in fresh:
        state.standing.suspended_at = state.at(plan.now)
        for kind in SUSPENDED_BY_INCIDENT:
            plan.pause(state, kind, missed=True)
        plan.withdrawn.add(state.group)
        plan.touch(state)
        if state.ticket.is_open:
            plan.event(state, kinds.SUSPENDED, {"incident": state.ticket.incident_id})


def resume(plan: Plan, states: Iterable[State]) -> None:
    """Let run on what the incident suspended, with what was left; a step that was never told is told now.

    What waiting pauses stays paused while the ticket waits.
    """
    held = [state for state in states if state.standing.suspended_at is not None]
    unheard = _unheard(held)
    for state in held:
        state.standing.suspended_at = None
        plan.touch(state)
        if not state.ticket.is_open:
            continue
        for kind in SUSPENDED_BY_INCIDENT:
            if not stands_still(state, kind):
                plan.resume(state, kind)
        next_telling = state.clocks.get(Clock.Kind.NEXT_TELLING)
        # The step began, or began again, while it was suspended.
        fresh = next_telling is not None and next_telling.round == 0
        if fresh or state.ticket.id in unheard:
            plan.tellings.append(Telling(state, due_at=state.at(plan.now), begins=True))
        plan.event(state, kinds.RESUMED, {"incident": state.ticket.incident_id})


def _unheard(states: Sequence[State]) -> set[int]:
    """Return the tickets whose step tells once and whose telling the incident withdrew before anybody got it."""
    once = {
        (state.ticket.id, state.standing.seq)
        for state in states
        if Clock.Kind.NEXT_TELLING not in state.clocks
        and state.ticket.is_open
        and not state.step.queue_only
        and not state.acknowledged
    }
    if not once:
        return set()
    sent = Q(state=Notification.State.SENT)
    wanted = Q(state__in=_ON_THE_WAY, withdrawn_at__isnull=True)
    told = Notification.objects.filter(
        sent | wanted, ticket_id__in={ticket_id for ticket_id, _ in once}, round__isnull=False
    ).values_list("ticket_id", "seq")
    return {ticket_id for ticket_id, _ in once - set(told)}


def leave_news(events: Sequence[Event]) -> None:
    """Leave for the engine what a batch of events means for the tickets linked to major incidents."""
    news = []
    for event in events:
        if not event.ticket.is_major:
            continue
        what = None
        if event.kind == ticket_kinds.UPDATED and not event.data.get("automatic"):
            what = IncidentNews.What.UPDATED
        elif event.kind == ticket_kinds.STATUS_CHANGED and event.data.get("reopened"):
            what = IncidentNews.What.REOPENED
        elif event.kind == ticket_kinds.STATUS_CHANGED and event.data["to"] not in OPEN_STATUSES:
            what = IncidentNews.What.FINISHED
        if what is not None:
            news.append(IncidentNews(incident=event.ticket, what=what, at=event.at, event=event))
    if news:
        IncidentNews.objects.bulk_create(news)


# Past the ORM: every tick asks, and nearly always for nothing.
_NEWS = """
SELECT id FROM escalation_incidentnews
WHERE done_at IS NULL AND (rests_until IS NULL OR rests_until <= %s) ORDER BY id
"""


def follow_incidents(*, now: dt.datetime, batch: int = BATCH) -> int:
    """Carry what happened on major incidents to the tickets linked to them, in batches; return to how many.

    An update reaches their requesters and keeps their first responses, the end of an incident lets them run on, its
    return suspends them again. Idle costs one index probe. Tickets that somebody holds are left to the next tick; one
    whose processing fails is found by halving its batch, holds nobody else up and is tried again after a rest.
    """
    followed = 0
    with connection.cursor() as cursor:
        cursor.execute(_NEWS, [now])
        waiting = [pk for (pk,) in cursor.fetchall()]
    for news in IncidentNews.objects.filter(pk__in=waiting).order_by("pk") if waiting else ():
        after, failed = 0, 0
        while ids := _to_follow(news, after=after, batch=batch):
            after = ids[-1]
            carried, failures = _carry(news, ids, now)
            followed += carried
            failed += failures
        left = IncidentNews.objects.filter(pk=news.pk, done_at__isnull=True)
        if not _to_follow(news, batch=1):
            left.update(done_at=now)
        elif failed:
            left.update(rests_until=now + REST)
    return followed


def _carry(news: IncidentNews, ids: Sequence[int], now: dt.datetime) -> tuple[int, int]:
    """Carry a piece of news to these tickets; return to how many, and how many of them failed."""
    try:
        with working() as work:
            held = _to_follow(news, only=ids, batch=len(ids), lock=True)
            # Looked at again under the lock, by a statement that began after it: another engine may have been here.
            held = _to_follow(news, only=held, batch=len(ids)) if held else held
            if held:
                _apply(work, news, held, now)
            return len(held), 0
    except Exception as error:
        if lacks_database(error):
            raise
        if lacks_lock(error):
            return 0, len(ids)
        if len(ids) == 1:
            log.exception("what happened on #%d can't be carried to #%d", news.incident_id, ids[0])
            return 0, 1
    middle = len(ids) // 2
    first, second = _carry(news, ids[:middle], now), _carry(news, ids[middle:], now)
    return first[0] + second[0], first[1] + second[1]


def _apply(work: Work, news: IncidentNews, ids: Sequence[int], now: dt.datetime) -> None:
    work.hold(read_rows(Ticket, "id", ids))
    states = load_states(work, ids)
    plan = Plan(work, now=now)
    plan.calendars.learn([state.path for state in states.values()])
    match news.what:
        case IncidentNews.What.UPDATED:
            _keep_first_responses(plan, states.values(), news)
            plan.messages += _to_requesters(states.values(), news)
        case IncidentNews.What.FINISHED:
            resume(plan, states.values())
        case _:
            suspend(plan, states.values())
    plan.flush()


def _keep_first_responses(plan: Plan, states: Iterable[State], news: IncidentNews) -> None:
    """Meet the first responses, at the instant of the update rather than of the engine; one missed by then stays so."""
    for state in states:
        clock = state.clocks.get(Clock.Kind.FIRST_RESPONSE)
        kept = clock is not None and (clock.due_at is None or clock.due_at > news.at)
        if clock is not None and kept:
            hours = hours_of(clock.calendar_version_id)
            used = used_until(hours, since=clock.running_since, used=clock.used, at=news.at)
            plan.stop(state, Clock.Kind.FIRST_RESPONSE, Clock.State.MET)
            clock.used, clock.stopped_at = used, max(news.at, clock.started_at)
        plan.touch(state)
        plan.event(
            state,
            kinds.INCIDENT_UPDATED,
            {
                "incident": news.incident_id,
                "news": news.pk,
                "clock": Clock.Kind.FIRST_RESPONSE.value if kept else None,
            },
        )


def _to_requesters(states: Iterable[State], news: IncidentNews) -> list[Message]:
    """Return the mails by which an update reaches the requesters of linked tickets, one to each; three queries.

    Whoever has several linked tickets reads it once, whoever asked for the incident itself has it already. Locks the
    news: two engines may carry it to two tickets of the same person.
    """
    update = (
        IncidentNews.objects.select_for_update(of=("self",))
        .select_related("event", "incident")
        .get(pk=news.pk)
    )
    if update.event is None:
        return []
    wanted = {state.ticket.requester_id for state in states} - {
        update.incident.requester_id,
        update.event.actor_id,
    }
    told = Notification.objects.filter(
        user_id__in=wanted, kind=kinds.TELL_INCIDENT_UPDATE, context__event=update.event_id
    ).values_list("user_id", flat=True)
    people = User.objects.filter(pk__in=wanted - set(told), is_active=True, anonymised_at__isnull=True)
    addresses = dict(people.values_list("pk", "email"))
    messages = []
    for state in states:
        address = addresses.pop(state.ticket.requester_id, None)
        if address is not None:
            messages.append(
                Message(
                    kind=kinds.TELL_INCIDENT_UPDATE,
                    address=address,
                    ticket_id=state.ticket.pk,
                    group=f"ticket:{state.ticket.pk}",
                    user_id=state.ticket.requester_id,
                    context={"event": update.event_id},
                )
            )
    return messages


def _to_follow(
    news: IncidentNews,
    *,
    batch: int,
    after: int = 0,
    only: Sequence[int] | None = None,
    lock: bool = False,
) -> list[int]:
    """Return tickets to which this news still has to be carried, by number; locked ones are skipped with `lock`."""
    sql = _TO_FOLLOW_SQL.format(
        where=_TO_FOLLOW[IncidentNews.What(news.what)],
        only="AND t.id = ANY(%(only)s)" if only is not None else "",
        lock="FOR NO KEY UPDATE OF t SKIP LOCKED" if lock else "",
    )
    values: dict[str, Any] = {
        "incident": news.incident_id,
        "news": news.pk,
        "at": news.at,
        "open": sorted(OPEN_STATUSES),
        "after": after,
        "only": list(only) if only is not None else None,
        "batch": batch,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [pk for (pk,) in cursor.fetchall()]
