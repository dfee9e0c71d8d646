"""The engine: claim due clocks, decide in pure rules, apply through the same operations as a click (DESIGN 3 and 4).

A tick reads T once and claims, up to 500 at a time and by locking their tickets, clocks that fire by T and were
recorded before T, until none is left. Two beats, twenty workers or a redelivered message change nothing: what is
locked is skipped, what was decided no longer fires.
"""

import datetime as dt
import gc
import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from django.db import connection

from core.bulk import read_rows
from core.db import database_now, lacks_database, lacks_lock
from core.wake import wake
from escalation import kinds
from escalation.measures import measures_of
from escalation.models import Clock, Escalation, EscalationRequest
from escalation.operations.dead_letters import handle_dead_letters
from escalation.operations.incidents import follow_incidents
from escalation.operations.plan import PersonalMessage, Plan
from escalation.operations.promises import start_promise
from escalation.operations.sending_back import pursue_questions
from escalation.operations.set_aside import set_ticket_aside, works_again
from escalation.operations.state import State, load_states
from escalation.operations.steps import again, move
from escalation.operations.telling import Telling
from escalation.rules.deciding import Cause, Decision, Due, begin_at, decide
from escalation.rules.pace import LARGEST, SMALLEST, Pace
from notifications.ticks import record_tick
from tickets.models import Status, Ticket
from tickets.operations import change_statuses
from tickets.timeline import Work, working

log = logging.getLogger("belay.engine")

# So many tickets leave enough dead index entries to be worth a walk over them.
LARGE_DRAIN = 5 * LARGEST
# Of this process: what its batches took lately.
_pace = Pace()

Position = tuple[dt.datetime, int]
_START: Position = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0)

# The ticket is locked, not the clock: nobody decides about a clock without holding its ticket (DESIGN 2). The cursor
# spares the next batch the dead index entries of the last one. Each batch reads its own clock: the last one of a long
# drain is decided later than T, and its lateness must say so.
_CLAIM = """
SELECT c.fires_at, c.id, c.ticket_id, clock_timestamp()
FROM escalation_clock c JOIN tickets_ticket t ON t.id = c.ticket_id
WHERE c.fires_at <= %(now)s AND c.recorded_at < %(now)s AND (c.fires_at, c.id) > (%(after_at)s, %(after_id)s)
  {only}
ORDER BY c.fires_at, c.id
LIMIT %(batch)s
FOR NO KEY UPDATE OF t SKIP LOCKED
"""


@dataclass(slots=True)
class TickReport:
    """What one tick did; `batch_seconds` per batch, `lateness` (claim minus due, seconds) per ticket.

    A ticket that another worker had decided just before it was locked counts nowhere.
    """

    # The instant up to which all was looked for.
    until: dt.datetime | None = None
    tickets: int = 0
    batches: int = 0
    set_aside: int = 0
    dead_letters: int = 0
    # Linked tickets to which something was carried from their major incident.
    followed: int = 0
    batch_seconds: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    # Of the batch under way: the tickets about which something was decided, or which were set aside.
    decided: set[int] = field(default_factory=set)
    # Trigger of each change of step -> how many.
    steps: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """The tickets of one batch, locked; `now` is when they were claimed."""

    ids: tuple[int, ...]
    # How many clocks made them due: a ticket may have several.
    clocks: int
    now: dt.datetime
    last: Position
    # When the first of a ticket's due clocks was to fire.
    firsts: tuple[dt.datetime, ...]


def tick(*, now: dt.datetime | None = None, only: Collection[int] | None = None) -> TickReport:
    """Decide everything that is due by `now` (default: the database's clock), at most one step per ticket and claim.

    `only` narrows the tick to some tickets, for replays of history. A batch that fails is halved until the ticket that
    fails is found and set aside; it holds nobody else up. Dead letters come first, so that a long drain doesn't keep
    the next contact waiting.
    """
    at = now or database_now()
    report = TickReport(until=at)
    if only is None:
        # First, so that what an update has kept is not missed at the same tick.
        report.followed = follow_incidents(now=at)
        report.dead_letters = handle_dead_letters(now=at)
    position = _run_batch(at, _START, only, report, fixed=now is not None)
    if position is not None and report.tickets >= SMALLEST and only is None:
        # More than a moment's work: whoever is free may share it at once.
        wake("escalation.tick")
    while position is not None:
        position = _run_batch(at, position, only, report, fixed=now is not None)
    if report.tickets > LARGE_DRAIN and only is None:
        # Again from the start: what others held meanwhile may be free now, and the first to walk over the index
        # entries of a large drain marks them dead, so that the next idle tick is one probe again.
        _run_batch(at, _START, only, report, fixed=now is not None)
    if only is None:
        record_tick("escalation", at, measures_of(report))
    return report


def _run_batch(
    until: dt.datetime,
    after: Position,
    only: Collection[int] | None,
    report: TickReport,
    *,
    fixed: bool,
) -> Position | None:
    """Claim and process one batch; return where the next one starts, None when nothing was left.

    With `fixed` the batch is decided at `until` itself, else when it was claimed.
    """
    began = time.perf_counter()
    claimed: _Claimed | None = None
    done = TickReport()
    try:
        with working() as work:
            claimed = _claim(until, after, only)
            if claimed is None:
                return None
            if fixed:
                claimed = replace(claimed, now=until)
            with _no_collecting():
                _process(work, claimed.ids, claimed.now, until, done)
        _pace.learn(claimed=claimed.clocks, seconds=time.perf_counter() - began)
    except Exception as error:
        if claimed is None or lacks_database(error):
            # The database is away: nothing is wrong with these tickets.
            raise
        if lacks_lock(error):
            # No fault of its tickets: the next tick claims them again, and others go on now.
            log.warning("a batch of %d tickets waits for a lock that somebody else holds", len(claimed.ids))
            return claimed.last
        log.exception("a batch of %d tickets failed; looking for the one", len(claimed.ids))
        done = TickReport()
        _bisect(claimed.ids, claimed.now, until, done)
    report.batches += 1
    report.tickets += len(done.decided)
    report.set_aside += done.set_aside
    report.steps += done.steps
    report.batch_seconds.append(time.perf_counter() - began)
    report.lateness += [
        max((claimed.now - first).total_seconds(), 0.0)
        for pk, first in zip(claimed.ids, claimed.firsts, strict=True)
        if pk in done.decided
    ]
    return claimed.last


def _claim(until: dt.datetime, after: Position, only: Collection[int] | None) -> _Claimed | None:
    narrowed = "AND c.ticket_id = ANY(%(only)s)" if only is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM.format(only=narrowed),
            {
                "now": until,
                "after_at": after[0],
                "after_id": after[1],
                "batch": _pace.size,
                "only": list(only) if only is not None else None,
            },
        )
        rows = cursor.fetchall()
    if not rows:
        return None
    firsts: dict[int, dt.datetime] = {}
    for fires_at, _, ticket_id, _ in rows:
        firsts.setdefault(ticket_id, fires_at)
    ids = tuple(sorted(firsts))
    fires_at, clock_id, _, now = rows[-1]
    return _Claimed(ids, len(rows), now, (fires_at, clock_id), tuple(firsts[pk] for pk in ids))


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Keep the garbage collector out of a batch, whose thousands of live rows it would look through over and over."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _process(
    work: Work, ids: Sequence[int], now: dt.datetime, until: dt.datetime, report: TickReport
) -> None:
    """Decide at `now` and apply all that is due by `until` on these tickets, whose rows this transaction has locked."""
    work.hold(read_rows(Ticket, "id", ids))
    states = load_states(work, ids)
    if lost := [pk for pk in ids if pk not in states]:
        # Its clocks would stay due for ever, and nobody would hear of it.
        raise LookupError(f"#{lost[0]} has a clock that is due, but stands nowhere on a path")
    plan = Plan(work, now=now)
    plan.calendars.learn([state.path for state in states.values()])
    follow_ups: list[State] = []
    questions: list[State] = []
    for state in states.values():
        # Read again under the lock: what a click has stopped meanwhile is no longer due.
        dues = tuple(
            Due(
                clock_id=clock.pk,
                kind=clock.kind,
                due_at=clock.due_at,
                warn_at=clock.warn_at,
                warned=clock.warned_at is not None,
                missed=clock.round,
            )
            for clock in state.clocks.values()
            if clock.fires_at is not None
            and clock.due_at is not None
            and clock.fires_at <= until
            and clock.recorded_at < until
        )
        if not dues:
            continue
        report.decided.add(state.ticket.id)
        suspended = state.standing.suspended_at is not None
        decision = decide(state.path, state.step, dues, now, suspended=suspended)
        if decision.trigger is not None:
            report.steps[decision.trigger.kind] += 1
        _apply(plan, state, decision, {due.kind: due for due in dues})
        if decision.follow_up:
            follow_ups.append(state)
        if decision.pursue_question and Clock.Kind.QUESTION in state.clocks:
            # A step taken at the same claim has overtaken it.
            questions.append(state)
        works_again(state)
    if questions:
        pursue_questions(plan, questions)
    plan.flush()
    if follow_ups:
        # Waiting has lasted long enough: the ticket is open again, its own clocks run on (DESIGN 3, waiting).
        change_statuses(
            ticket_ids=[state.ticket.pk for state in follow_ups],
            status=Status.OPEN,
            actor=None,
            now=now,
            reason="Nobody answered in time.",
        )


def _apply(plan: Plan, state: State, decision: Decision, dues: dict[str, Due]) -> None:
    """Put what was decided for one ticket into the plan."""
    now = plan.now
    at = state.at(now)
    plan.touch(state)
    for kind in decision.hold:
        plan.pause(state, kind, missed=True)
    for kind in decision.warn:
        clock = state.clocks[kind]
        clock.warned_at = at
        clock.fires_at = clock.due_at
        plan.write(state, clock)
        owned = state.ticket.assignee_id is not None and kind not in decision.quiet
        plan.event(
            state, kinds.WARNED, {"clock": kind, "due_at": dues[kind].due_at.isoformat(), "sent": owned}
        )
        if owned:
            plan.personal.append(
                PersonalMessage(
                    state,
                    kinds.TELL_OWNER,
                    "owner",
                    {"what": "warning", "clock": kind, "due_at": dues[kind].due_at.isoformat()},
                )
            )
    for kind in decision.late_warnings:
        state.clocks[kind].warned_at = at
        plan.event(
            state, kinds.WARNED, {"clock": kind, "due_at": dues[kind].due_at.isoformat(), "sent": False}
        )
    for kind in decision.fired:
        due = dues[kind]
        if kind not in (Clock.Kind.TIER_TIME, Clock.Kind.ACKNOWLEDGE, Clock.Kind.NEXT_TELLING):
            plan.event(
                state,
                kinds.DUE,
                {
                    "clock": kind,
                    "due_at": due.due_at.isoformat(),
                    "late_seconds": max((now - due.due_at).total_seconds(), 0.0),
                },
            )
    _apply_promises(plan, state, decision, dues)
    if decision.follow_up:
        plan.stop(state, Clock.Kind.FOLLOW_UP, Clock.State.FIRED)
        plan.event(state, kinds.FOLLOWED_UP, {"from": state.ticket.status})
        # The owner hears of it; without one, the lead.
        to = "owner" if state.ticket.assignee_id is not None else "lead"
        plan.personal.append(PersonalMessage(state, kinds.TELL_OWNER, to, {"what": "follow_up"}))
    if decision.trigger is not None:
        _apply_step(plan, state, decision, decision.trigger)
    elif decision.tell_next:
        plan.tellings.append(Telling(state, due_at=dues[Clock.Kind.NEXT_TELLING].due_at))


def _apply_step(plan: Plan, state: State, decision: Decision, trigger: Cause) -> None:
    begin = decision.begin_at or plan.now
    if decision.again or decision.to is None:
        again(plan, state, trigger=trigger.kind, begin=begin, due_at=trigger.due_at)
        return
    expired = decision.request_expired
    move(
        plan,
        state,
        decision.to,
        kind=Escalation.Kind.CLIMB,
        trigger=trigger.kind,
        begin=begin,
        due_at=trigger.due_at,
        late_by=decision.late_by,
        co_triggers=decision.co_triggers,
        automatic=True,
        request_becomes=EscalationRequest.State.EXPIRED if expired else EscalationRequest.State.OVERTAKEN,
    )


def _apply_promises(plan: Plan, state: State, decision: Decision, dues: dict[str, Due]) -> None:
    """Spend the promises that are due and tell whom the rules name; a cadence starts its next interval."""
    for kind in decision.fired:
        if kind in (Clock.Kind.FIRST_RESPONSE, Clock.Kind.NEXT_RESPONSE, Clock.Kind.RESOLUTION):
            plan.stop(state, kind, Clock.State.FIRED)
        elif kind == Clock.Kind.STAKEHOLDER_UPDATE:
            plan.stop(state, kind, Clock.State.FIRED)
            start_promise(
                plan,
                state,
                kind,
                since=begin_at(dues[kind].due_at, plan.now),
                missed=dues[kind].missed + 1,
            )
        elif kind == Clock.Kind.REQUEST and decision.to is None:
            # It would climb into management: the lead is told again, every interval, until they answer.
            clock = state.clocks[Clock.Kind.REQUEST]
            clock.running_since = begin_at(dues[kind].due_at, plan.now)
            clock.recorded_at = state.at(plan.now)
            clock.used = dt.timedelta(0)
            clock.round += 1
            plan.set_timing(state, clock)
            plan.write(state, clock)
    for kind in decision.tell_lead:
        what = kinds.TELL_REQUEST if kind == Clock.Kind.REQUEST else kinds.TELL_LEAD
        context: dict[str, object] = {"clock": kind, "due_at": dues[kind].due_at.isoformat()}
        if kind == Clock.Kind.REQUEST:
            request = EscalationRequest.objects.filter(
                ticket_id=state.ticket.pk, seq=state.standing.seq
            ).first()
            context["request"] = request.pk if request is not None else None
        plan.personal.append(PersonalMessage(state, what, "lead", context))
    for kind in decision.tell_owner:
        # Without an owner the message goes to the lead at once: somebody must hear of it.
        to = "owner" if state.ticket.assignee_id is not None else "lead"
        plan.personal.append(
            PersonalMessage(
                state,
                kinds.TELL_OWNER,
                to,
                {"what": "due", "clock": kind, "due_at": dues[kind].due_at.isoformat()},
            )
        )


# --- poison -------------------------------------------------------------------------------------------------------


def _bisect(ids: Sequence[int], now: dt.datetime, until: dt.datetime, report: TickReport) -> None:
    """Process these tickets in halves until those that fail stand alone, and set them aside."""
    done = TickReport()
    try:
        with working() as work:
            held = _lock_free(ids)
            if held:
                _process(work, held, now, until, done)
    except Exception as error:
        if lacks_database(error):
            raise
        if lacks_lock(error):
            return
        if len(ids) == 1:
            set_ticket_aside(ticket_id=ids[0], error=error, now=now)
            report.set_aside += 1
            report.decided.add(ids[0])
            return
        middle = len(ids) // 2
        _bisect(ids[:middle], now, until, report)
        _bisect(ids[middle:], now, until, report)
    else:
        report.steps += done.steps
        report.decided |= done.decided


def _lock_free(ids: Sequence[int]) -> list[int]:
    """Lock those of the tickets that nobody else holds, in id order."""
    rows = Ticket.objects.filter(pk__in=ids).order_by("pk")
    locked = rows.select_for_update(no_key=True, skip_locked=True, of=("self",))
    return list(locked.values_list("pk", flat=True))
