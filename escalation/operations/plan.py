"""What is to be written for many tickets, gathered in memory and written in a constant number of statements.

Rules decide, the functions of `steps`, `promises` and `tellings` put what follows into a Plan, and `flush` writes it:
clocks, escalations, standings, places, tellings, events and the ladder columns, inside the operation under way.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts.models import User
from calendars.queries import hours_of
from core.bulk import insert_rows, update_rows
from escalation.models import Clock, Escalation, EscalationRequest, HandoffQuestion, Standing
from escalation.models.clocks import new_clock
from escalation.operations.people import leads_of, reach_users
from escalation.operations.state import State
from escalation.operations.telling import Telling, tell
from escalation.paths import CalendarVersions
from escalation.rules.clocks import timing, used_until
from notifications.operations import Message, enqueue, withdraw
from tickets.models import Event
from tickets.operations import LadderRow, Placement, set_ladder
from tickets.timeline import NewEvent, Work

NEVER = dt.timedelta(0)
# The columns that a plan writes of each row.
CHANGING = (
    "state",
    "round",
    "budget",
    "used",
    "running_since",
    "due_at",
    "warn_at",
    "warned_at",
    "fires_at",
    "pauses",
    "recorded_at",
    "started_at",
    "calendar_version_id",
    "path_version_id",
    "fired_at",
    "stopped_at",
)
# A clock that has stopped keeps its instants but the next one.
STOPPING = ("state", "used", "running_since", "fires_at", "warned_at", "fired_at", "stopped_at")
GIVEN = (
    "ticket_id",
    "kind",
    "seq",
    "step_id",
    *(name for name in CHANGING if name not in ("fired_at", "stopped_at")),
)
STANDS = (
    "version_id",
    "step_id",
    "seq",
    "since",
    "automatic_steps",
    "allowances",
    "falls",
    "round",
    "declined",
    "suspended_at",
    "consulted",
)
CAUSED = (
    "ticket_id",
    "seq",
    "kind",
    "trigger",
    "co_triggers",
    "path_version_id",
    "from_step_id",
    "to_step_id",
    "from_tier",
    "to_tier",
    "at",
    "due_at",
    "late_by",
    "actor_id",
    "handoff_id",
    "acknowledged_at",
    "acknowledged_by_id",
    "acknowledged_contact_id",
    "acknowledged_via",
    "historic",
)
ANSWERED = ("acknowledged_at", "acknowledged_by_id", "acknowledged_contact_id", "acknowledged_via")


@dataclass(slots=True)
class PersonalMessage:
    """A message to the ticket's lead or owner; the lead is looked up when the plan is written."""

    state: State
    kind: str
    to: str  # "lead", "owner" or "both"
    context: Mapping[str, Any]
    # Whoever owns the ticket now: the same plan may move it on to a team where nobody does yet.
    owner_id: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.owner_id = self.state.ticket.assignee_id


@dataclass(slots=True)
class Plan:
    """Everything one operation changes about escalation."""

    work: Work
    now: dt.datetime
    actor: User | None = None
    calendars: CalendarVersions = field(default_factory=lambda: CalendarVersions(()))
    touched: dict[int, State] = field(default_factory=dict)
    events: list[NewEvent] = field(default_factory=list)
    placements: dict[int, Placement] = field(default_factory=dict)
    tellings: list[Telling] = field(default_factory=list)
    personal: list[PersonalMessage] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    escalations: list[Escalation] = field(default_factory=list)
    changed_escalations: dict[int, Escalation] = field(default_factory=dict)
    new_standings: list[Standing] = field(default_factory=list)
    new_clocks: list[Clock] = field(default_factory=list)
    changed_clocks: dict[int, Clock] = field(default_factory=dict)
    overtaken: dict[int, str] = field(default_factory=dict)
    # Tickets whose open question has no handoff any more.
    questions_overtaken: set[int] = field(default_factory=set)

    def touch(self, state: State) -> State:
        """Note that the state changes, so that its standing and ladder columns are written."""
        self.touched[state.ticket.id] = state
        return state

    def event(
        self,
        state: State,
        kind: str,
        data: Mapping[str, Any],
        text: Mapping[str, str] | None = None,
        actor: User | None = None,
    ) -> None:
        """Put an event on the ticket's timeline."""
        self.events.append(NewEvent(state.ticket, kind, data, text=text, by=actor))

    # --- clocks ---------------------------------------------------------------------------------------------------

    def start(
        self,
        state: State,
        kind: str,
        budget: dt.timedelta,
        *,
        since: dt.datetime,
        calendar_version_id: int,
        step_bound: bool = False,
        round_number: int = 0,
        used: dt.timedelta = NEVER,
    ) -> Clock:
        """Start a clock at `since` (UTC); a live one of the same kind is cancelled first."""
        if kind in state.clocks:
            self.stop(state, kind, Clock.State.CANCELLED)
        clock = new_clock(
            state.ticket,
            kind,
            seq=state.standing.seq if step_bound else None,
            step_id=state.step.id if step_bound else None,
            path_version_id=state.path.version_id,
            calendar_version_id=calendar_version_id,
            budget=budget,
            used=used,
            since=since,
            recorded_at=state.at(self.now),
            round_number=round_number,
        )
        self.set_timing(state, clock)
        self.new_clocks.append(clock)
        state.clocks[kind] = clock
        self.touch(state)
        return clock

    def set_timing(self, state: State, clock: Clock) -> None:
        """Compute when a running clock warns, is due and fires, from where it stands."""
        if clock.running_since is None:
            raise ValueError(f"{clock} does not run")
        when = timing(
            clock.kind,
            hours_of(clock.calendar_version_id),
            since=clock.running_since,
            budget=clock.budget,
            used=clock.used,
            warn_percent=state.path.warn_percent,
            warned=clock.warned_at is not None,
        )
        clock.due_at, clock.warn_at, clock.fires_at = when.due_at, when.warn_at, when.fires_at

    def write(self, state: State, clock: Clock) -> None:
        """Note that a clock changed."""
        if clock.pk is not None:
            self.changed_clocks[clock.pk] = clock
        self.touch(state)

    def stop(self, state: State, kind: str, outcome: str) -> Clock | None:
        """Stop a live clock, if there is one: met, cancelled or fired; what it used stays on record."""
        clock = state.clocks.pop(kind, None)
        if clock is None:
            return None
        at = state.at(self.now)
        clock.used = used_until(
            hours_of(clock.calendar_version_id), since=clock.running_since, used=clock.used, at=at
        )
        clock.state = outcome
        clock.running_since = None
        clock.fires_at = None
        clock.stopped_at = at
        if outcome == Clock.State.FIRED:
            clock.fired_at = at
        self.write(state, clock)
        return clock

    def pause(self, state: State, kind: str, *, missed: bool = False) -> None:
        """Pause a running clock; one that is due already has been missed and stays due, unless `missed` is given."""
        clock = state.clocks.get(kind)
        at = state.at(self.now)
        if clock is None or clock.state != Clock.State.RUNNING:
            return
        if clock.due_at is not None and clock.due_at <= at and not missed:
            return
        clock.used = used_until(
            hours_of(clock.calendar_version_id), since=clock.running_since, used=clock.used, at=at
        )
        clock.state = Clock.State.PAUSED
        clock.running_since = clock.due_at = clock.fires_at = clock.warn_at = None
        clock.pauses = [*clock.pauses, [at.isoformat(), None]]
        self.write(state, clock)

    def resume(self, state: State, kind: str) -> None:
        """Let a paused clock run on with what was left; time used stays used (DESIGN 3, waiting)."""
        clock = state.clocks.get(kind)
        if clock is None or clock.state != Clock.State.PAUSED:
            return
        self.run_on(state, clock)

    def run_on(self, state: State, clock: Clock) -> None:
        """Set a clock that stood still going again from now."""
        at = state.at(self.now)
        pauses = list(clock.pauses)
        if pauses and pauses[-1][1] is None:
            pauses[-1] = [pauses[-1][0], at.isoformat()]
        clock.pauses = pauses
        clock.state = Clock.State.RUNNING
        clock.running_since = at
        clock.recorded_at = at
        clock.stopped_at = None
        self.set_timing(state, clock)
        state.clocks[clock.kind] = clock
        self.write(state, clock)

    # --- writing --------------------------------------------------------------------------------------------------

    def flush(self, *, cause: Event | None = None) -> None:
        """Write all of it, in an order that the constraints allow; a statement per table, however many tickets."""
        for item in self.events:
            item.cause = item.cause or cause
        if self.new_standings:
            Standing.objects.bulk_create(self.new_standings)
        self._write_escalations()
        self._answer_overtaken()
        if self.withdrawn:
            withdraw(groups=self.withdrawn, now=self.now)
        told = tell(self.tellings, now=self.now, calendars=self.calendars)
        for telling, clock in told.rescheduled:
            self.set_timing(telling.state, clock)
            self.write(telling.state, clock)
        for telling in told.silent:
            self.stop(telling.state, Clock.Kind.NEXT_TELLING, Clock.State.CANCELLED)
        self._write_clocks()
        self._write_standings()
        set_ladder(
            rows=[ladder_row(state) for state in self.touched.values()],
            events=self.events,
            placements=list(self.placements.values()),
            after=told.events,
            actor=self.actor,
            now=self.now,
            cause=cause,
        )
        self.messages.extend(self._personal_messages())
        enqueue(messages=self.messages, circulars=told.circulars, now=self.now)

    def _write_clocks(self) -> None:
        changed = list(self.changed_clocks.values())
        update_rows([clock for clock in changed if not clock.is_live], STOPPING)
        update_rows([clock for clock in changed if clock.is_live], CHANGING)
        # A clock started and stopped in one operation never was.
        insert_rows([clock for clock in self.new_clocks if clock.is_live], GIVEN)

    def _write_standings(self) -> None:
        fresh = {standing.pk for standing in self.new_standings}
        changed = [
            state.standing
            for pk, state in self.touched.items()
            if pk not in fresh or state.standing.round or state.standing.seq
        ]
        update_rows(changed, STANDS)

    def _write_escalations(self) -> None:
        insert_rows(self.escalations, CAUSED, returning=True)
        changed = list(self.changed_escalations.values())
        update_rows(changed, ANSWERED)

    def _answer_overtaken(self) -> None:
        """Close the requesters' wishes and the questions of tickets that moved, one statement per outcome."""
        by_state: dict[str, list[int]] = {}
        for ticket_id, state in self.overtaken.items():
            by_state.setdefault(state, []).append(ticket_id)
        for state_name, ids in by_state.items():
            EscalationRequest.objects.filter(ticket_id__in=ids, state=EscalationRequest.State.OPEN).update(
                state=state_name, answered_at=self.now
            )
        if self.questions_overtaken:
            HandoffQuestion.objects.filter(
                ticket_id__in=self.questions_overtaken, state=HandoffQuestion.State.OPEN
            ).update(state=HandoffQuestion.State.OVERTAKEN, answered_at=self.now)

    def _personal_messages(self) -> Iterable[Message]:
        if not self.personal:
            return []
        states = [item.state for item in self.personal]
        owners = User.objects.filter(is_active=True).in_bulk(
            {item.owner_id for item in self.personal if item.owner_id is not None}
        )
        leads = leads_of(states) if any(item.to != "owner" for item in self.personal) else {}
        wanted: list[tuple[PersonalMessage, User | None]] = []
        for item in self.personal:
            owner = owners.get(item.owner_id or 0)
            lead = leads.get(item.state.ticket.id)
            match item.to:
                case "owner":
                    wanted.append((item, owner))
                case "lead":
                    wanted.append((item, lead))
                case _:
                    wanted.append((item, owner))
                    if lead is not None and lead != owner:
                        wanted.append((item, lead))
        return reach_users([(item.state, user, item.kind, item.context) for item, user in wanted])


def ladder_row(state: State) -> LadderRow:
    """Return what lists and board sort by; next_telling is nobody's deadline, what stands still waits for nobody."""
    dues = [
        clock.due_at
        for kind, clock in state.clocks.items()
        if clock.due_at is not None and kind != Clock.Kind.NEXT_TELLING
    ]
    tier_time = state.clocks.get(Clock.Kind.TIER_TIME)
    acknowledge = state.clocks.get(Clock.Kind.ACKNOWLEDGE)
    return LadderRow(
        ticket_id=state.ticket.id,
        next_due_at=min(dues, default=None),
        tier_due_at=tier_time.due_at if tier_time is not None else None,
        unacknowledged_since=acknowledge.started_at
        if acknowledge is not None and acknowledge.running_since is not None
        else None,
    )
