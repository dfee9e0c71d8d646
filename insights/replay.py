"""Run incidents of the past against escalation paths as if live: what would Belay have done?

The real operations and the real engine do it, at the log's own times, in a transaction that is always taken back:
nothing is written, nobody is told. Severity comes from the log's impact with medium urgency. Belay climbs a tier of
its own, the shadow: a row that shows somebody at work at the shadow's tier or above acknowledges, a fall in the log
lowers it, waiting for the user or customer pauses, other waits don't. The log holds no words to the customer: a row
that shows somebody at work counts as an answer.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Count, F, OuterRef, QuerySet, Subquery

from accounts.models import Role, User
from accounts.operations import create_user
from core.errors import Refused
from escalation.engine import tick
from escalation.models import Clock, Escalation, EscalationPath
from escalation.operations import acknowledge, deescalate
from escalation.paths import path_rule
from insights.history import LoggedIncident
from insights.outcome import Outcome, observe
from insights.repeats import Repeated, skip_repeats
from insights.rules import DONE, LogLine
from tickets.models import Source, Status, Ticket, Urgency
from tickets.operations import Draft, change_status, open_ticket, post_update

_INSTANT = dt.timedelta(microseconds=1)
_LOOK_AHEAD = 200
# Rows of the log after which the planner is told anew how large the tables have become.
ANALYSE_EVERY = 100
# At the top a step is told again and again until somebody acts. Cases that nobody touched for months would be told of
# thousands of times, all alike: after so many times in a row the replay goes on at the next row of the log.
REPEATS = 3
_Fire = tuple[dt.datetime, int, str]
# What makes a step run out.
_RUNS_OUT = (Clock.Kind.TIER_TIME, Clock.Kind.ACKNOWLEDGE)
_COUNT_ON = (
    Clock.Kind.FIRST_RESPONSE,
    Clock.Kind.NEXT_RESPONSE,
    Clock.Kind.RESOLUTION,
    Clock.Kind.FOLLOW_UP,
)
# What is due within this is decided in one tick: within the engine's punctuality, so that clocks begin when they
# would have anyway.
TOGETHER = dt.timedelta(seconds=50)


class EngineFailed(RuntimeError):
    """Say that the engine left a due clock alone, or could not process a ticket."""


def find_path(name: str) -> EscalationPath:
    """Return the path of this name that is in force. Raises Refused naming those there are."""
    path = EscalationPath.objects.filter(name__iexact=name.strip(), current__isnull=False).first()
    if path is None:
        names = EscalationPath.objects.filter(current__isnull=False).order_by("position", "name")
        there = ", ".join(f"“{path.name}”" for path in names) or "none yet"
        raise Refused(f"There is no path “{name}”.", field="path", value=name, mend=f"There are: {there}.")
    return path


def replay(
    incidents: Sequence[LoggedIncident], path: EscalationPath | None = None, *, every_telling: bool = False
) -> list[Outcome]:
    """Replay incidents side by side, on `path` or on whichever path in force matches each; take it all back.

    With `every_telling` each repetition of a telling is played, not counted: the same figures, many times slower.
    """
    with _taken_back():
        if path is not None:
            _leave_only(path)
        play = _Play(incidents, _stand_in(), every_telling=every_telling)
        play.run()
        return [
            observe(shadow.incident, shadow.ticket_id, shadow.repeated, cut_short=shadow.cut_short)
            for shadow in play.shadows
        ]


@contextmanager
def _taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _leave_only(path: EscalationPath) -> None:
    """Make `path` the one every ticket takes; plain columns, in the transaction that is taken back."""
    EscalationPath.objects.exclude(pk=path.pk).update(is_active=False, is_default=False)
    EscalationPath.objects.filter(pk=path.pk).update(is_active=True, is_default=True)


def _stand_in() -> User:
    """Return somebody who acknowledges for the people of the log: a lead, who may do so at any step."""
    return create_user(email="replay@belay.invalid", name="Whoever the log shows", role=Role.LEAD)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where the shadow stands right now."""

    tier: int
    status: str
    version_id: int
    position: int
    seq: int
    acknowledged: bool


def _analyse() -> None:
    """Tell the planner what has been written; nobody else sees this transaction, autovacuum doesn't either."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE tickets_ticket, tickets_event, escalation_clock, escalation_standing, escalation_escalation,"
            " notifications_notification"
        )


class _Play:
    """Several incidents on one stage: the log's rows in order of time, and the clocks between them."""

    def __init__(self, incidents: Sequence[LoggedIncident], stand_in: User, *, every_telling: bool) -> None:
        self.shadows = [_Shadow(incident, stand_in) for incident in incidents]
        self.every_telling = every_telling
        self.clock = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

    def run(self) -> None:
        rows = [
            (line.at, number, place)
            for number, shadow in enumerate(self.shadows)
            for place, line in enumerate(shadow.incident.lines)
        ]
        for played, (at, number, place) in enumerate(sorted(rows)):
            if played % ANALYSE_EVERY == 0:
                _analyse()
            self._run_until(at)
            self.clock = max(self.clock, at)
            shadow = self.shadows[number]
            shadow.follow(shadow.incident.lines[place])
            shadow.repeats_before = shadow.repeats
            following = shadow.incident.lines[place + 1 : place + 2]
            shadow.next_row_at = following[0].at if following else at

    def _run_until(self, until: dt.datetime) -> None:
        """Let clocks that are due before `until` fire; who acts at the very instant of a deadline is in time."""
        while True:
            awake = {s.ticket_id: s for s in self.shadows if s.ticket_id and not s.rests}
            due = Clock.objects.filter(fires_at__lt=until).order_by("fires_at", "ticket_id")
            fires = _instants(due.filter(ticket_id__in=awake))
            if not self.every_telling and any(kind == Clock.Kind.NEXT_TELLING for _, _, kind in fires):
                skipped = skip_repeats({pk: s.next_row_at for pk, s in awake.items()}, until)
                for repeated in skipped:
                    awake[repeated.ticket_id].repeated.append(repeated)
                if skipped:
                    fires = _instants(due.filter(ticket_id__in=awake))
            now, only = self._next(fires, awake, due, until)
            if now is None:
                return
            report = tick(now=now, only=only)
            if not report.tickets:
                # Due in the instant it was written, and a tick leaves alone what is as young as itself.
                now += _INSTANT
                report = tick(now=now, only=only)
            if not report.tickets:
                raise EngineFailed(f"nothing happens to what is due by {now}")
            if report.set_aside:
                raise EngineFailed(f"{report.set_aside} tickets were set aside at {now}")
            self.clock = now
            if any(kind in _RUNS_OUT for _, _, kind in fires):
                self._count_repeats()

    def _next(
        self,
        fires: Sequence[_Fire],
        awake: Mapping[int, "_Shadow"],
        due: QuerySet[Clock],
        until: dt.datetime,
    ) -> tuple[dt.datetime | None, list[int]]:
        """Return when to tick next before `until`, and which tickets.

        Of those at rest only promises count on: each is broken once, whoever is told of it.
        """
        resting = [s.ticket_id for s in self.shadows if s.ticket_id and s.ticket_id not in awake]
        if resting:
            promised = _instants(due.filter(ticket_id__in=resting, kind__in=_COUNT_ON))
            if promised and (not fires or promised[0][0] < fires[0][0]):
                return max(promised[0][0], self.clock), [promised[0][1]]
        if not fires:
            return None, []
        # A little later, so that what others have due meanwhile goes along; never beyond the next row, and never so
        # late that two deadlines of one ticket, which come one after the other, would be decided together.
        now = min(fires[0][0] + TOGETHER, until - _INSTANT)
        first: dict[int, dt.datetime] = {}
        for fires_at, ticket_id, _ in fires:
            if fires_at > first.setdefault(ticket_id, fires_at):
                now = min(now, fires_at - _INSTANT)
        return max(now, self.clock), list(awake)

    def _count_repeats(self) -> None:
        """Note how often each ticket's present step has run out; only at the top it does so more than once."""
        live = {shadow.ticket_id: shadow for shadow in self.shadows if shadow.ticket_id}
        fired = Clock.objects.filter(
            ticket_id__in=live,
            kind__in=_RUNS_OUT,
            state=Clock.State.FIRED,
            seq=F("ticket__standing__seq"),
        )
        counts = dict(fired.values_list("ticket_id").annotate(Count("pk")))
        for ticket_id, shadow in live.items():
            shadow.repeats = counts.get(ticket_id, 0)
            shadow.repeats_before = min(shadow.repeats_before, shadow.repeats)
            shadow.cut_short = shadow.cut_short or shadow.rests


def _instants(clocks: QuerySet[Clock]) -> list[_Fire]:
    """Return when running clocks fire, of which tickets and of what kind; the first few will do."""
    rows = clocks.values_list("fires_at", "ticket_id", "kind")[:_LOOK_AHEAD]
    return [(fires_at, ticket_id, kind) for fires_at, ticket_id, kind in rows if fires_at is not None]


class _Shadow:
    """The ticket as Belay would have had it."""

    def __init__(self, incident: LoggedIncident, stand_in: User) -> None:
        self.incident = incident
        self.stand_in = stand_in
        self.ticket_id = 0
        self.before: LogLine | None = None
        # How often the present step has run out, now and when the last row came.
        self.repeats = self.repeats_before = 0
        self.repeated: list[Repeated] = []
        self.next_row_at = incident.lines[0].at
        self.cut_short = False

    @property
    def rests(self) -> bool:
        """Tell whether the top has repeated itself enough; the next row of the log goes on."""
        return self.repeats - self.repeats_before >= REPEATS

    def follow(self, line: LogLine) -> None:
        """Do what a row of the log shows."""
        if self.before is None:
            self._open(line)
        at, now = self._standing(), line.at
        if at is None:
            raise LookupError("There is no escalation path to replay on.")
        if at.status in DONE and line.status not in DONE:
            change_status(ticket_id=self.ticket_id, status=Status.OPEN, actor=None, now=now)
            at = self._standing() or at
        if at.status not in DONE:
            if self._fall(at, line):
                at = self._standing() or at
            if line.at_work:
                self._work(at, line)
        self._set_status(at, line)
        self.before = line

    def _open(self, line: LogLine) -> None:
        ticket = self.incident.ticket
        draft = Draft(
            requester=ticket.requester,
            subject=ticket.subject,
            organisation=ticket.organisation,
            service=ticket.service,
            source=Source.AGENT,
            impact=ticket.impact,
            urgency=Urgency.MEDIUM,
            tags=ticket.tags,
        )
        self.ticket_id = open_ticket(draft=draft, actor=None, now=line.at).pk

    def _fall(self, at: _Standing, line: LogLine) -> bool:
        """Lower the shadow where the log falls, to the last step of a tier no higher than the log's."""
        if self.before is None or line.tier >= self.before.tier or at.tier <= line.tier:
            return False
        steps = path_rule(at.version_id).steps
        lower = [step.position for step in steps if step.tier <= line.tier and step.position < at.position]
        deescalate(
            ticket_id=self.ticket_id,
            seen_seq=at.seq,
            to_position=max(lower, default=1),
            actor=None,
            now=line.at,
            reason="The log falls.",
        )
        return True

    def _work(self, at: _Standing, line: LogLine) -> None:
        if line.tier >= at.tier and not at.acknowledged:
            acknowledge(ticket_id=self.ticket_id, seen_seq=at.seq, actor=self.stand_in, now=line.at)
        promised = (Clock.Kind.FIRST_RESPONSE, Clock.Kind.NEXT_RESPONSE, Clock.Kind.STAKEHOLDER_UPDATE)
        waits = Clock.objects.filter(ticket_id=self.ticket_id, kind__in=promised, fires_at__isnull=False)
        if waits.exists():
            post_update(ticket_id=self.ticket_id, body="Somebody is at work.", actor=None, now=line.at)

    def _set_status(self, at: _Standing, line: LogLine) -> None:
        # On hold does not pause here: of the log's waits only those for user and customer do.
        wanted = line.status if line.status in (*DONE, Status.WAITING) else Status.OPEN
        if at.status == wanted or (wanted == Status.OPEN and at.status == Status.NEW):
            return
        change_status(ticket_id=self.ticket_id, status=wanted, actor=None, now=line.at, reason="As logged.")

    def _standing(self) -> _Standing | None:
        current = Escalation.objects.filter(ticket=OuterRef("pk"), seq=OuterRef("standing__seq"))
        row = (
            Ticket.objects.filter(pk=self.ticket_id, standing__isnull=False)
            .annotate(acknowledged_at=Subquery(current.values("acknowledged_at")[:1]))
            .values_list(
                "tier",
                "status",
                "standing__version_id",
                "standing__step__position",
                "standing__seq",
                "acknowledged_at",
            )
            .first()
        )
        return _Standing(*row[:5], row[5] is not None) if row is not None else None
