"""Run incidents of the past against escalation paths as if live: what would Belay have done?

The real operations and the real engine do it, at the log's own times, in a transaction per incident that is always
taken back: nothing is written, nobody is told. Severity comes from the log's impact with medium urgency. Belay
climbs a tier of its own, the shadow: a row that shows somebody at work at the shadow's tier or above acknowledges,
a fall in the log lowers it, waiting for the user or customer pauses, other waits don't. The log holds no words to
the customer: a row that shows somebody at work counts as an answer.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Min, OuterRef, Subquery

from accounts.models import Role, User
from accounts.operations import create_user
from core.errors import Refused
from escalation.engine import tick
from escalation.models import Clock, Escalation, EscalationPath
from escalation.operations import acknowledge, deescalate
from escalation.paths import path_rule
from insights.history import LoggedIncident
from insights.outcome import Outcome, observe
from insights.rules import DONE, LogLine
from tickets.models import Source, Status, Ticket, Urgency
from tickets.operations import Draft, change_status, open_ticket, post_update

_INSTANT = dt.timedelta(microseconds=1)


class Stuck(RuntimeError):
    """Say that the engine leaves a due clock alone."""


def find_path(name: str) -> EscalationPath:
    """Return the path of this name that is in force. Raises Refused naming those there are."""
    path = EscalationPath.objects.filter(name__iexact=name.strip(), current__isnull=False).first()
    if path is None:
        names = EscalationPath.objects.filter(current__isnull=False).order_by("position", "name")
        there = ", ".join(f"“{path.name}”" for path in names) or "none yet"
        raise Refused(f"There is no path “{name}”.", field="path", value=name, mend=f"There are: {there}.")
    return path


def replay(incident: LoggedIncident, path: EscalationPath | None = None) -> Outcome:
    """Replay one incident, on `path` or on whichever of the paths in force matches it, and take it all back."""
    with _taken_back():
        if path is not None:
            _leave_only(path)
        shadow = _Shadow(incident, _stand_in())
        for line in incident.lines:
            shadow.follow(line)
        return observe(incident, shadow.ticket_id, failures=shadow.failures)


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


class _Shadow:
    """The ticket as Belay would have had it."""

    def __init__(self, incident: LoggedIncident, stand_in: User) -> None:
        self.incident = incident
        self.stand_in = stand_in
        self.ticket_id = 0
        self.failures = 0
        self.before: LogLine | None = None

    def follow(self, line: LogLine) -> None:
        """Let clocks run until `line`, then do what it shows. Who acts at the very instant of a deadline is in time."""
        if self.before is None:
            self._open(line)
        else:
            self._run_until(line.at)
        at, now = self._standing(), line.at
        if at is None:
            return
        if at.status in DONE and line.status not in DONE:
            change_status(ticket_id=self.ticket_id, status=Status.OPEN, actor=None, now=now)
            at = self._standing() or at
        if at.status not in DONE:
            self._fall(at, line)
            at = self._standing() or at
            if line.at_work:
                self._work(at, line)
        self._set_status(line)
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

    def _run_until(self, until: dt.datetime) -> None:
        """Tick at each instant at which something is due before `until`."""
        while True:
            due = Clock.objects.filter(ticket_id=self.ticket_id, fires_at__lt=until)
            fires_at = due.aggregate(next=Min("fires_at"))["next"]
            if fires_at is None:
                return
            report = tick(now=fires_at, only=[self.ticket_id])
            if not report.tickets:
                # Due in the instant it was written, and a tick leaves alone what is as young as itself.
                report = tick(now=fires_at + _INSTANT, only=[self.ticket_id])
            if not report.tickets:
                raise Stuck(f"{self.incident.ticket.source_key}: nothing happens at {fires_at}")
            self.failures += report.set_aside

    def _fall(self, at: _Standing, line: LogLine) -> None:
        """Lower the shadow where the log falls, to the last step of a tier no higher than the log's."""
        if self.before is None or line.tier >= self.before.tier or at.tier <= line.tier:
            return
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

    def _work(self, at: _Standing, line: LogLine) -> None:
        if line.tier >= at.tier and not at.acknowledged:
            acknowledge(ticket_id=self.ticket_id, seen_seq=at.seq, actor=self.stand_in, now=line.at)
        promised = (Clock.Kind.FIRST_RESPONSE, Clock.Kind.NEXT_RESPONSE, Clock.Kind.STAKEHOLDER_UPDATE)
        waits = Clock.objects.filter(ticket_id=self.ticket_id, kind__in=promised, fires_at__isnull=False)
        if waits.exists():
            post_update(ticket_id=self.ticket_id, body="Somebody is at work.", actor=None, now=line.at)

    def _set_status(self, line: LogLine) -> None:
        # On hold does not pause here: of the log's waits only those for user and customer do.
        wanted = line.status if line.status in (*DONE, Status.WAITING) else Status.OPEN
        at = self._standing()
        if at is None or at.status == wanted or (wanted == Status.OPEN and at.status == Status.NEW):
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
