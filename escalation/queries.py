"""Reads about paths, clocks and escalations, for pages, API and the watchdog."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.core import signing
from django.db.models import BigIntegerField

from accounts.models import Team, Tier
from calendars.queries import hours_of, hours_of_many
from core.statements import Statement, blank
from escalation.models import Clock, Escalation, EscalationRequest, Standing
from escalation.models.clocks import LIVE
from escalation.paths import path_rule, path_rules
from escalation.rules.clocks import share_used, used_until
from escalation.rules.paths import PathRule
from escalation.rules.recounting import counterpart
from notifications.models import Contact
from tickets.models import Ticket
from tickets.queries import surviving_id

_SALT = "belay.acknowledge"
# Links end with their seq anyway; this only bounds how long a forgotten mail can be replayed.
_LINK_AGE = dt.timedelta(days=14)


@dataclass(frozen=True, slots=True)
class RungView:
    """One step of a ticket's path as the ladder shows it; `held` is how long the ticket has been or was there."""

    position: int
    name: str
    tier: int
    tier_label: str
    team_name: str
    transfers: bool
    state: str
    since: dt.datetime | None
    held: dt.timedelta | None
    list_ids: tuple[int, ...]
    acknowledge_within: dt.timedelta | None
    work_within: dt.timedelta | None

    @property
    def is_management(self) -> bool:
        return self.tier == Tier.MANAGEMENT


@dataclass(frozen=True, slots=True)
class LadderView:
    """Where a ticket stands on its path."""

    path_name: str
    version: int
    seq: int
    step_position: int
    step_name: str
    since: dt.datetime
    acknowledged_at: dt.datetime | None
    acknowledged_by: str
    unacknowledged_since: dt.datetime | None
    open_request: EscalationRequest | None
    set_aside_because: str
    steps: tuple[RungView, ...]


@dataclass(frozen=True, slots=True)
class ClockView:
    """One live clock with what is left of it; `left` is negative when it is overdue, None when it stands still."""

    kind: str
    label: str
    state: str
    started_at: dt.datetime
    due_at: dt.datetime | None
    left: dt.timedelta | None
    used: dt.timedelta
    budget: dt.timedelta
    share: float
    calendar_version_id: int
    pauses: tuple[tuple[str, str | None], ...]

    @property
    def paused(self) -> bool:
        return self.state == Clock.State.PAUSED


@dataclass(frozen=True, slots=True)
class AcknowledgeLink:
    """What a link in a mail is bound to."""

    ticket_id: int
    seq: int
    contact_id: int
    # The ticket that the mail was about, where that was merged into `ticket_id` since.
    merged_from: int | None = None


class BadLink(LookupError):
    """Say that an acknowledge link is forged, damaged or too old."""


def ladder_of(ticket: Ticket, now: dt.datetime) -> LadderView | None:
    """Return the ladder of a ticket, None for one that stands on no path; five queries."""
    # Not first(), which sorts.
    standing = next(iter(Standing.objects.filter(ticket=ticket)[:1]), None)
    if standing is None:
        return None
    path = path_rule(standing.version_id)
    history = [_Change(*row) for row in _changes().run(ticket=ticket.pk)]
    current = next(row for row in history if row.seq == standing.seq)
    teams = dict(
        Team.objects.filter(pk__in=[s.team_id for s in path.steps if s.team_id]).values_list("pk", "name")
    )
    rungs = _rungs_of(history, path)
    held: dict[int, dt.timedelta] = {}
    since: dict[int, dt.datetime] = {}
    end_of_life = ticket.resolved_at or now
    for row, following in zip(history, [*history[1:], None], strict=True):
        if row.to_step_id is None:
            continue
        until = following.at if following is not None else end_of_life
        # What began under an older version counts for the same rung of this one.
        rung = standing.step_id if row is current else rungs.get(row.to_step_id, row.to_step_id)
        held[rung] = held.get(rung, dt.timedelta(0)) + max(until - row.at, dt.timedelta(0))
        since[rung] = row.at
    position = next(step.position for step in path.steps if step.id == standing.step_id)
    request = EscalationRequest.objects.filter(
        ticket=ticket, seq=standing.seq, state=EscalationRequest.State.OPEN
    ).first()
    return LadderView(
        path_name=path.name,
        version=path.number,
        seq=standing.seq,
        step_position=position,
        step_name=path.step(position).name,
        since=standing.since,
        acknowledged_at=current.acknowledged_at,
        acknowledged_by=current.acknowledged_by
        or current.acknowledged_email
        or current.acknowledged_contact
        or "",
        unacknowledged_since=ticket.unacknowledged_since,
        open_request=request,
        set_aside_because=standing.set_aside_because,
        steps=tuple(
            RungView(
                position=step.position,
                name=step.name,
                tier=step.tier,
                tier_label=Tier(step.tier).label,
                team_name=teams.get(step.team_id or 0, ""),
                transfers=step.transfers,
                state="now" if step.position == position else "past" if step.position < position else "ahead",
                since=since.get(step.id),
                held=held.get(step.id),
                list_ids=step.list_ids,
                acknowledge_within=step.acknowledge_within(ticket.severity),
                work_within=step.work_within(ticket.severity),
            )
            for step in path.steps
        ),
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """Of one change of step what the ladder shows."""

    seq: int
    at: dt.datetime
    path_version_id: int | None
    to_step_id: int | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str | None
    acknowledged_email: str | None
    acknowledged_contact: str | None


@cache
def _changes() -> Statement:
    """Write the statement for a ticket's changes of step in order; `ticket` is left blank."""
    rows = Escalation.objects.filter(ticket_id=blank("ticket", BigIntegerField())).order_by("seq")
    return Statement.of(
        rows.values_list(
            "seq",
            "at",
            "path_version_id",
            "to_step_id",
            "acknowledged_at",
            "acknowledged_by__name",
            "acknowledged_by__email",
            "acknowledged_contact__name",
        )
    )


def _rungs_of(history: Iterable[_Change], path: PathRule) -> dict[int, int]:
    """Return, for steps of other versions of this path, the step of this version that is the same rung."""
    ids = {row.path_version_id for row in history if row.path_version_id is not None}
    found = {}
    for other in path_rules(ids - {path.version_id}).values():
        if other.path_id == path.path_id:
            for step in other.steps:
                if (same := counterpart(other, step, path)) is not None:
                    found[step.id] = same.id
    return found


def clocks_of(ticket: Ticket, now: dt.datetime) -> tuple[ClockView, ...]:
    """Return a ticket's live clocks, the most urgent first and those that stand still last; two queries at most."""
    clocks = list(Clock.objects.filter(ticket=ticket, state__in=LIVE))
    hours_of_many({clock.calendar_version_id for clock in clocks})
    views = [clock_view(clock, now) for clock in clocks]
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    return tuple(sorted(views, key=lambda view: (view.due_at or far, view.kind)))


def clock_view(clock: Clock, now: dt.datetime) -> ClockView:
    """Return one clock as pages and API show it at `now`."""
    used = used_until(hours_of(clock.calendar_version_id), since=clock.running_since, used=clock.used, at=now)
    return ClockView(
        kind=clock.kind,
        label=clock.get_kind_display(),
        state=clock.state,
        started_at=clock.started_at,
        due_at=clock.due_at,
        left=clock.due_at - now if clock.due_at is not None else None,
        used=used,
        budget=clock.budget,
        share=share_used(used, clock.budget),
        calendar_version_id=clock.calendar_version_id,
        pauses=tuple((start, end) for start, end in clock.pauses),
    )


def escalations_of(ticket: Ticket) -> list[Escalation]:
    """Return a ticket's changes of step in order, with people; one query."""
    rows = Escalation.objects.filter(ticket=ticket).order_by("seq")
    return list(
        rows.select_related(
            "actor", "acknowledged_by", "acknowledged_contact", "from_step", "to_step", "handoff"
        )
    )


def acknowledge_url(ticket_id: int, seq: int, contact_id: int) -> str:
    """Return the signed, single-purpose link by which one contact acknowledges one seq (DESIGN 3)."""
    token = signing.dumps([ticket_id, seq, contact_id], salt=_SALT)
    return f"{settings.BELAY_URL.rstrip('/')}/a/{token}/"


def read_acknowledge_link(token: str) -> AcknowledgeLink:
    """Return what a link is bound to. Raises BadLink; whether it still holds is the operation's matter."""
    try:
        ticket_id, seq, contact_id = signing.loads(token, salt=_SALT, max_age=_LINK_AGE)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadLink("not one of our links, or too old") from error
    if not Contact.objects.filter(pk=contact_id).exists():
        raise BadLink("nobody is behind this link")
    return AcknowledgeLink(ticket_id=ticket_id, seq=seq, contact_id=contact_id)


def follow_merge(link: AcknowledgeLink, seen_seq: int | None = None) -> AcknowledgeLink:
    """Return where a link leads now: that of a merged ticket to its survivor's current step, or the one seen.

    Whether its contact may acknowledge there is the operation's matter. One query for a ticket that was not merged.
    """
    survivor_id = surviving_id(link.ticket_id)
    if survivor_id == link.ticket_id:
        return link
    seq = Standing.objects.filter(ticket_id=survivor_id).values_list("seq", flat=True).first()
    if seq is None:
        return link
    return AcknowledgeLink(
        ticket_id=survivor_id,
        seq=seq if seen_seq is None else seen_seq,
        contact_id=link.contact_id,
        merged_from=link.ticket_id,
    )
