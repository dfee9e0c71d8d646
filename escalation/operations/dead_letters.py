"""Draw the consequence of a telling that could not be delivered: the next method, else the next contact, at once."""

import datetime as dt
import logging

from django.db import connection

from core.bulk import read_rows
from core.db import lacks_database, lacks_lock
from escalation import kinds
from escalation.models import Clock
from escalation.operations.people import admins_as_contacts
from escalation.operations.plan import Plan
from escalation.operations.set_aside import set_ticket_aside, works_again
from escalation.operations.state import State, load_states
from escalation.operations.telling import Telling
from notifications.models import Notification
from notifications.operations import Message
from notifications.queries import methods_of
from tickets.models import Ticket
from tickets.timeline import Work, working

log = logging.getLogger("belay.engine")

# A dead letter is claimed like a clock, by locking its ticket (DESIGN 4). One whose consequence failed rests until due.
_CLAIM = """
SELECT n.id, n.ticket_id
FROM notifications_notification n JOIN tickets_ticket t ON t.id = n.ticket_id
WHERE n.state = 'dead' AND n.handled_at IS NULL AND n.id > %s AND n.due_at <= GREATEST(%s, n.dead_at)
ORDER BY n.id LIMIT %s
FOR NO KEY UPDATE OF t SKIP LOCKED
"""


def handle_dead_letters(*, now: dt.datetime, batch: int = 500) -> int:
    """Handle every dead telling that waits for its consequence; return how many.

    A batch that fails is done again ticket by ticket; the one that fails is set aside and tried again later.
    """
    handled, after = 0, 0
    while True:
        claimed: list[tuple[int, int]] = []
        try:
            with working() as work:
                with connection.cursor() as cursor:
                    cursor.execute(_CLAIM, [after, now, batch])
                    claimed = cursor.fetchall()
                if not claimed:
                    return handled
                _handle(work, claimed, now)
        except Exception as error:
            if not claimed or lacks_database(error):
                raise
            if lacks_lock(error):
                # Of no letter's making: they wait for the next tick, and the engine goes on.
                log.warning("%d dead letters wait for a lock that somebody else holds", len(claimed))
                return handled
            log.exception("the consequences of %d dead letters failed; looking for the one", len(claimed))
            _handle_singly(claimed, now)
        after = claimed[-1][0]
        handled += len(claimed)


def _handle_singly(claimed: list[tuple[int, int]], now: dt.datetime) -> None:
    by_ticket: dict[int, list[tuple[int, int]]] = {}
    for letter in claimed:
        by_ticket.setdefault(letter[1], []).append(letter)
    for ticket_id, letters in by_ticket.items():
        try:
            with working() as work:
                free = Ticket.objects.filter(pk=ticket_id).select_for_update(no_key=True, skip_locked=True)
                if free.exists():
                    _handle(work, letters, now)
        except Exception as error:
            if lacks_database(error):
                raise
            if lacks_lock(error):
                continue
            again = set_ticket_aside(ticket_id=ticket_id, error=error, now=now)
            waiting = Notification.objects.filter(pk__in=[pk for pk, _ in letters], handled_at__isnull=True)
            waiting.update(due_at=again)


def _handle(work: Work, claimed: list[tuple[int, int]], now: dt.datetime) -> None:
    """Draw the consequences of dead letters whose tickets this transaction has locked."""
    ids = sorted({ticket_id for _, ticket_id in claimed})
    work.hold(read_rows(Ticket, "id", ids))
    states = load_states(work, ids)
    letters = list(
        Notification.objects.filter(pk__in=[pk for pk, _ in claimed], handled_at__isnull=True).order_by("pk")
    )
    plan = Plan(work, now=now)
    plan.calendars.learn([state.path for state in states.values()])
    _consequences(plan, states, letters)
    Notification.objects.filter(pk__in=[letter.pk for letter in letters]).update(handled_at=now)
    for state in states.values():
        if not any(_rests(clock) for clock in state.clocks.values()):
            works_again(state)
    plan.flush()


def _rests(clock: Clock) -> bool:
    """Tell whether the engine looks at this clock later than its own instants say: its ticket was set aside."""
    return clock.fires_at is not None and clock.fires_at not in (clock.due_at, clock.warn_at)


def _consequences(plan: Plan, states: dict[int, State], letters: list[Notification]) -> None:
    personal = [letter for letter in letters if letter.round is None]
    if personal:
        _stand_in(plan, states, personal)
    letters = [letter for letter in letters if letter.round is not None]
    methods = methods_of({letter.contact_id for letter in letters if letter.contact_id is not None})
    told: set[int] = set()
    tried, alive = _tried(letters)
    for letter in letters:
        state = states.get(letter.ticket_id or 0)
        if (
            state is None
            or letter.seq != state.standing.seq
            or state.acknowledged
            or not state.ticket.is_open
            or state.standing.suspended_at is not None
        ):
            continue
        plan.touch(state)
        key: Key = (letter.ticket_id, letter.seq, letter.round, letter.contact_id)
        ways = [way for way in methods.get(letter.contact_id or 0, ()) if way[0] not in tried.get(key, set())]
        following = "method" if ways else "contact"
        plan.event(
            state,
            kinds.DEAD_LETTER,
            {"notification": letter.pk, "contact": letter.contact_id, "next": following, "seq": letter.seq},
        )
        if ways:
            method_id, channel, address = ways[0]
            plan.messages.append(
                Message(
                    kind=letter.kind,
                    ticket_id=letter.ticket_id,
                    group=letter.group,
                    seq=letter.seq,
                    round=letter.round,
                    contact_id=letter.contact_id,
                    user_id=letter.user_id,
                    method_id=method_id,
                    channel=channel,
                    address=address,
                    context=letter.context,
                )
            )
        elif state.ticket.pk not in told:
            told.add(state.ticket.pk)
            plan.tellings.append(
                Telling(
                    state,
                    due_at=state.at(plan.now),
                    after_dead=True,
                    round_dead=(letter.ticket_id, letter.seq, letter.round) not in alive,
                    fallback_dead=letter.kind == kinds.TELL_FALLBACK,
                )
            )


def _stand_in(plan: Plan, states: dict[int, State], letters: list[Notification]) -> None:
    """Send on what could not be delivered to a lead, an owner or somebody who was asked.

    By their next method, else to the path's fallback contact, else to the admins; each gets the same letter once.
    """
    wanted = [
        (state, letter)
        for letter in letters
        if (state := states.get(letter.ticket_id or 0)) is not None
        and state.ticket.is_open
        and letter.seq == state.standing.seq
    ]
    if not wanted:
        return
    before = list(
        Notification.objects.filter(
            ticket_id__in={state.ticket.pk for state, _ in wanted}, round__isnull=True
        )
    )
    fallbacks = {state.path.fallback_id for state, _ in wanted}
    admins = {contact.pk: contact.user_id for contact in admins_as_contacts()}
    contacts = {letter.contact_id for _, letter in wanted if letter.contact_id is not None}
    methods = methods_of(contacts | fallbacks | admins.keys())
    for state, letter in wanted:
        same = [row for row in before if _is_same(row, letter)]
        tried = {row.method_id for row in same}
        heard = {row.contact_id for row in same}
        ways = [way for way in methods.get(letter.contact_id or 0, ()) if way[0] not in tried]
        others = [pk for pk in (state.path.fallback_id, *admins) if pk not in heard and methods.get(pk)]
        # Somebody else may have got it already: then it has reached, or will reach, a person.
        alive = any(row.state not in (Notification.State.DEAD, Notification.State.WITHDRAWN) for row in same)
        contact_id = letter.contact_id if ways else None if alive else next(iter(others), None)
        plan.touch(state)
        plan.event(
            state,
            kinds.DEAD_LETTER,
            {
                "notification": letter.pk,
                "contact": letter.contact_id,
                "next": "method" if ways else "contact" if contact_id is not None else "nobody",
                "seq": letter.seq,
            },
        )
        if contact_id is None:
            continue
        method_id, channel, address = ways[0] if ways else methods[contact_id][0]
        message = Message(
            kind=letter.kind,
            ticket_id=letter.ticket_id,
            group=letter.group,
            seq=letter.seq,
            contact_id=contact_id,
            user_id=letter.user_id if ways else admins.get(contact_id),
            method_id=method_id,
            channel=channel,
            address=address,
            context=letter.context,
        )
        plan.messages.append(message)
        # So that the next of these letters sees it.
        before.append(
            Notification(
                ticket_id=message.ticket_id,
                seq=message.seq,
                kind=message.kind,
                context=letter.context,
                contact_id=contact_id,
                method_id=method_id,
            )
        )


def _is_same(row: Notification, letter: Notification) -> bool:
    """Tell whether two messages say the same, to whomever."""

    def says(one: Notification) -> tuple[object, ...]:
        # Instructions are each contact's own.
        context = {name: value for name, value in one.context.items() if name != "instructions"}
        return one.ticket_id, one.seq, one.kind, context

    return says(row) == says(letter)


Key = tuple[int | None, int | None, int | None, int | None]
Round = tuple[int | None, int | None, int | None]


def _tried(letters: list[Notification]) -> tuple[dict[Key, set[int]], set[Round]]:
    """Return the methods tried already per (ticket, seq, round, contact), and the rounds in which anybody is alive."""
    rows = Notification.objects.filter(
        ticket_id__in={letter.ticket_id for letter in letters}, round__isnull=False
    ).values_list("ticket_id", "seq", "round", "contact_id", "method_id", "state")
    tried: dict[Key, set[int]] = {}
    alive: set[Round] = set()
    for ticket_id, seq, round_number, contact_id, method_id, state in rows:
        if method_id is not None:
            tried.setdefault((ticket_id, seq, round_number, contact_id), set()).add(method_id)
        if state not in (Notification.State.DEAD, Notification.State.WITHDRAWN):
            alive.add((ticket_id, seq, round_number))
    return tried, alive
