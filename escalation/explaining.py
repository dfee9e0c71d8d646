"""Why each deadline of a ticket is when it is, and what follows when it is due (DESIGN 3, clocks)."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from accounts.models import User
from calendars.models import CalendarVersion
from calendars.queries import hours_of_many
from calendars.rules import CountedWindow, explain
from core.durations import spoken
from escalation.models import Clock, Escalation, PathVersion, Standing
from escalation.models.clocks import LIVE
from escalation.operations.people import leads_of
from escalation.operations.state import State
from escalation.operations.telling import hour_at
from escalation.paths import CalendarVersions, path_rules
from escalation.rules.clocks import used_until
from escalation.rules.deciding import WARNING, Due
from escalation.rules.explaining import (
    AGAIN,
    CLIMBS,
    HELD,
    PURSUES,
    RECORDED,
    REOPENS,
    TELLS_LEAD,
    TELLS_NEXT,
    TELLS_OWNER,
    Consequence,
    budget_source,
    consequence,
    shorten,
)
from escalation.rules.paths import PathRule, StepRule
from escalation.rules.telling import next_told, those_there
from notifications.models import Contact, ContactList, Notification
from notifications.queries import Rung, methods_of, resolve_lists
from tickets.models import Ticket

_FAR = dt.datetime.max.replace(tzinfo=dt.UTC)
MOST_ENDED = 8
# Those that change the step: what is due after them at this step comes to nothing.
_MOVING = (Clock.Kind.TIER_TIME, Clock.Kind.ACKNOWLEDGE)
_OUTCOMES = {
    Clock.State.MET: "met",
    Clock.State.FIRED: "was due",
    Clock.State.CANCELLED: "no longer wanted",
}


@dataclass(frozen=True, slots=True)
class Newer:
    """The version that is in force now, where a clock counts by an older one."""

    number: int
    since: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One live clock with everything that makes its deadline; instants UTC.

    `counted_from` is where the windows begin: the start, or the last time a repeated clock began anew. The times
    taken from the windows add up to the budget of a running clock (to more only where a budget was lowered below what
    was used already), and to what is used of one that stands still. `source` says where the budget comes from, `then`
    what happens when it is due.
    """

    kind: str
    label: str
    state: str
    started_at: dt.datetime
    counted_from: dt.datetime
    due_at: dt.datetime | None
    budget: dt.timedelta
    used: dt.timedelta
    source: str
    path: str
    path_version: int
    newer_path: Newer | None
    calendar: str
    calendar_version: int
    newer_calendar: Newer | None
    warn_percent: int
    warn_at: dt.datetime | None
    warned_at: dt.datetime | None
    pauses: tuple[tuple[dt.datetime, dt.datetime | None], ...]
    windows: tuple[CountedWindow, ...]
    then: str

    @property
    def counted(self) -> dt.timedelta:
        """What the windows add up to."""
        return sum((window.taken for window in self.windows), start=dt.timedelta(0))

    @property
    def warns(self) -> bool:
        """Tell whether this kind of clock warns before it is due."""
        return self.kind in WARNING

    @property
    def shown(self) -> tuple[CountedWindow, ...]:
        """The first windows; all when they are few."""
        return shorten(self.windows)[0]

    @property
    def left_out(self) -> tuple[CountedWindow, ...]:
        """The windows between the first and the last few."""
        return shorten(self.windows)[1]

    @property
    def left_out_counted(self) -> dt.timedelta:
        """What those add up to."""
        return sum((window.taken for window in self.left_out), start=dt.timedelta(0))

    @property
    def shown_last(self) -> tuple[CountedWindow, ...]:
        """The last few windows, when some are left out before them."""
        return shorten(self.windows)[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """A clock that ended at the current step: what became of it, and when."""

    label: str
    outcome: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class TicketExplanation:
    """All clocks of a ticket: those that live, the most urgent first, and those that ended at this step."""

    step: str
    path: str
    version: int | None
    newer: Newer | None
    clocks: tuple[Explanation, ...]
    ended: tuple[Ended, ...]


def explain_ticket(ticket: Ticket, now: dt.datetime) -> TicketExplanation:
    """Return why each deadline is when it is; a constant number of queries, fourteen at most."""
    rows = Clock.objects.filter(ticket=ticket, state__in=LIVE).select_related(
        "calendar_version__calendar__current", "path_version__path__current"
    )
    clocks = {clock.kind: clock for clock in rows}
    standing = Standing.objects.filter(ticket=ticket).select_related("version__path__current").first()
    if standing is None:
        return TicketExplanation("", "", None, None, (), ())
    rules = path_rules({standing.version_id, *(clock.path_version_id for clock in clocks.values())})
    state = State(
        ticket=ticket,
        standing=standing,
        path=rules[standing.version_id],
        current=Escalation.objects.get(ticket=ticket, seq=standing.seq),
        clocks=clocks,
    )
    hours = hours_of_many({clock.calendar_version_id for clock in clocks.values()})
    outlook = _Outlook(state, now)
    explained = []
    for clock in clocks.values():
        pauses = tuple(
            (dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end) if end else None)
            for start, end in clock.pauses
        )
        until = clock.due_at or (pauses[-1][0] if pauses else now)
        begun = _counted_from(clock)
        counted = hours[clock.calendar_version_id]
        rule = rules[clock.path_version_id]
        explained.append(
            Explanation(
                kind=clock.kind,
                label=clock.get_kind_display(),
                state=clock.state,
                started_at=clock.started_at,
                counted_from=begun,
                due_at=clock.due_at,
                budget=clock.budget,
                used=used_until(counted, since=clock.running_since, used=clock.used, at=now),
                source=budget_source(
                    clock.kind,
                    rule,
                    _step_of(rule, clock),
                    severity=ticket.severity,
                    budget=clock.budget,
                ),
                path=rule.name,
                path_version=rule.number,
                newer_path=_newer(clock.path_version, clock.path_version.path.current),
                calendar=str(clock.calendar_version.calendar),
                calendar_version=clock.calendar_version.number,
                newer_calendar=_newer(clock.calendar_version, clock.calendar_version.calendar.current),
                warn_percent=state.path.warn_percent,
                warn_at=clock.warn_at,
                warned_at=clock.warned_at,
                pauses=pauses,
                windows=explain(
                    counted, begun, max(until, begun), [(start, end or now) for start, end in pauses]
                ),
                then=outlook.then(clock),
            )
        )
    return TicketExplanation(
        step=state.step.name,
        path=state.path.name,
        version=state.path.number,
        newer=_newer(standing.version, standing.version.path.current),
        clocks=tuple(sorted(explained, key=lambda line: (line.due_at or _FAR, line.kind))),
        ended=_ended(standing),
    )


class _Outlook:
    """What happens when the clocks of one ticket are due, with names; reads the names it needs once for all clocks."""

    def __init__(self, state: State, now: dt.datetime) -> None:
        self.state = state
        self.now = now
        self.consequences = {kind: self._consequence(clock) for kind, clock in state.clocks.items()}
        steps = [found.to for found in self.consequences.values() if found.to is not None]
        list_ids = {pk for step in steps for pk in step.list_ids}
        self.lists = resolve_lists(list_ids, now)
        self.calendars = CalendarVersions([state.path])
        self.list_names = dict(ContactList.objects.filter(pk__in=list_ids).values_list("pk", "name"))
        self.fallback = Contact.objects.get(pk=state.path.fallback_id)
        self.fallback_reachable = bool(methods_of([state.path.fallback_id]))
        self.lead: User | None = leads_of([state]).get(state.ticket.pk)
        self.heard = self._heard()

    def then(self, clock: Clock) -> str:
        """Say what happens when this clock is due."""
        found = self.consequences[clock.kind]
        if clock.kind == Clock.Kind.NEXT_TELLING:
            if self._moves_first(clock):
                return "Nobody more is told: before that the ticket moves on."
            return f"{_capital(self._next_told(clock))}."
        if clock.kind == Clock.Kind.TIER_TIME and self._moves_before(clock, Clock.Kind.ACKNOWLEDGE):
            return f"If somebody has acknowledged until then, {self._consequences(found, clock)}."
        if found.kind == CLIMBS and self._moves_first(clock):
            return f"If it is still at {self.state.step.name} then, {self._consequences(found, clock)}."
        return f"{_capital(self._consequences(found, clock))}{self._tail(found, clock)}."

    def _consequence(self, clock: Clock) -> Consequence:
        # One that stands still will be due some day: what follows then is what would follow now.
        due_at = clock.due_at or self.now
        due = Due(clock.pk, clock.kind, due_at, warn_at=None, warned=True, missed=clock.round)
        suspended = self.state.standing.suspended_at is not None
        return consequence(self.state.path, self.state.step, due, suspended=suspended)

    def _moves_first(self, clock: Clock) -> bool:
        """Tell whether the ticket changes its step before this clock is due, if nobody does anything."""
        return any(kind != clock.kind and self._moves_before(clock, kind) for kind in _MOVING)

    def _moves_before(self, clock: Clock, kind: str) -> bool:
        other = self.state.clocks.get(kind)
        return (
            other is not None
            and other.due_at is not None
            and clock.due_at is not None
            and other.due_at <= clock.due_at
        )

    def _consequences(self, found: Consequence, clock: Clock) -> str:
        if found.kind == CLIMBS and found.to is not None:
            return f"it climbs to {found.to.name}; {self._told_at(found.to)}"
        if found.kind == AGAIN:
            return f"{self.state.step.name} begins anew: {self._told_again()}"
        if found.kind == TELLS_NEXT:
            return self._next_told(clock)
        if found.kind == REOPENS:
            return f"it is open again and its clocks run on; {self._owner_told()}"
        if found.kind == PURSUES:
            asked = "the sender's lead is asked" if clock.round == 0 else self._lead_told()
            return f"{asked}, and nothing moves by it"
        if found.kind == HELD:
            return f"it stands still: major incident #{self.state.ticket.incident_id} goes on for this ticket"
        if found.kind == RECORDED:
            return "it is recorded, and nothing else"
        return self._owner_told() if found.kind == TELLS_OWNER else self._lead_told()

    def _tail(self, found: Consequence, clock: Clock) -> str:
        if clock.kind == Clock.Kind.STAKEHOLDER_UPDATE:
            return ", and the next interval begins"
        if clock.kind == Clock.Kind.REQUEST and found.kind == TELLS_LEAD:
            return f" of the wish again, every {spoken(clock.budget)}"
        return ""

    def _told_at(self, step: StepRule) -> str:
        """Say who hears of it when the ticket arrives at a step."""
        if step.queue_only:
            return "it waits in the queue there, nobody is told"
        wants = step.acknowledge_within(self.state.ticket.severity) is not None
        found = next_told(step, self._people(step), severity=self.state.ticket.severity, wants_answer=wants)
        return self._in_words(step, found.people, nobody=found.nobody)

    def _told_again(self) -> str:
        step, standing = self.state.step, self.state.standing
        if step.queue_only:
            return "its clocks start again, nobody is told"
        found = next_told(
            step,
            self._people(step),
            severity=self.state.ticket.severity,
            wants_answer=step.acknowledge_within(self.state.ticket.severity) is not None,
            round_now=standing.round,
            base=standing.round,
        )
        return self._in_words(step, found.people, nobody=found.nobody)

    def _next_told(self, clock: Clock) -> str:
        step, standing = self.state.step, self.state.standing
        found = next_told(
            step,
            self._people(step),
            severity=self.state.ticket.severity,
            wants_answer=Clock.Kind.ACKNOWLEDGE in self.state.clocks,
            round_now=standing.round,
            base=standing.round - clock.round,
            begins=False,
            heard=self.heard,
            declined=standing.declined,
        )
        if not found.people and not found.nobody:
            return f"nobody more is told: the {step.rounds} rounds are over"
        words = self._in_words(step, found.people, nobody=found.nobody, declined=standing.declined)
        return f"{words}, round {found.round}"

    def _in_words(
        self, step: StepRule, people: Sequence[Rung], *, nobody: bool, declined: Sequence[int] = ()
    ) -> str:
        if nobody:
            top = self.state.path.after(step) is None
            helps = self.fallback_reachable and self.fallback.pk not in declined
            who = [f"the fallback {self.fallback.name}"] if helps else []
            who += ["the admins"] if top or not helps else []
            return f"nobody on {self._named(step)} can be reached, so {_are_told(who)}"
        names = [person.name for person in people]
        return _are_told(names, f" ({self._named(step)})") if names else "nobody is told"

    def _people(self, step: StepRule) -> list[Rung]:
        listed = [rung for pk in step.list_ids for rung in self.lists.get(pk, ())]
        awake, there = those_there(listed, hour_at(self.state, self.calendars, self.now, step))
        return awake or there

    def _named(self, step: StepRule) -> str:
        return _joined([self.list_names[pk] for pk in step.list_ids if pk in self.list_names])

    def _lead_told(self) -> str:
        if self.lead is not None:
            return f"the lead {self.lead.name} is told"
        return f"the fallback {self.fallback.name} is told, as there is no lead"

    def _owner_told(self) -> str:
        owner = self.state.ticket.assignee
        if owner is None:
            return self._lead_told()
        if owner.is_active:
            return f"its owner {owner.name} is told"
        return f"the fallback {self.fallback.name} is told, as its owner is gone"

    def _heard(self) -> Mapping[int, set[int]]:
        """Return who was told per round at this seq, where that matters: at a step that tells one after another."""
        found: dict[int, set[int]] = {}
        if Clock.Kind.NEXT_TELLING in self.state.clocks and self.state.step.in_turn:
            rows = Notification.objects.filter(
                ticket=self.state.ticket,
                seq=self.state.standing.seq,
                round__isnull=False,
                contact__isnull=False,
            )
            for number, contact_id in rows.values_list("round", "contact_id"):
                if number is not None and contact_id is not None:
                    found.setdefault(number, set()).add(contact_id)
        return found


def _counted_from(clock: Clock) -> dt.datetime:
    """Return where the present budget began: a clock that repeats begins anew without a pause in between."""
    if not clock.pauses and not clock.used and clock.running_since is not None:
        return clock.running_since
    return clock.started_at


def _step_of(rule: PathRule, clock: Clock) -> StepRule | None:
    return next((step for step in rule.steps if step.id == clock.step_id), None)


def _newer(
    counted: CalendarVersion | PathVersion, current: CalendarVersion | PathVersion | None
) -> Newer | None:
    if current is None or current.pk == counted.pk:
        return None
    return Newer(current.number, current.created_at)


def _ended(standing: Standing) -> tuple[Ended, ...]:
    """Return the last few that ended at the current step, the latest last."""
    here = Q(seq=standing.seq) | Q(seq__isnull=True, stopped_at__gte=standing.since)
    rows = Clock.objects.filter(here, ticket_id=standing.ticket_id, stopped_at__isnull=False)
    latest = rows.exclude(state__in=LIVE).order_by("-stopped_at", "-pk")[:MOST_ENDED]
    return tuple(
        Ended(row.get_kind_display(), _OUTCOMES[Clock.State(row.state)], row.stopped_at)
        for row in reversed(latest)
        if row.stopped_at is not None
    )


def _are_told(names: Sequence[str], whose: str = "") -> str:
    return f"{_joined(names)}{whose} {'is' if len(names) == 1 and names != ['the admins'] else 'are'} told"


def _joined(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
