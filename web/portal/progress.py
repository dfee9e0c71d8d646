"""What happens with a request, in words for people who never heard of tiers and clocks."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from accounts.models import Tier
from escalation.models import Clock, Escalation, EscalationRequest, Standing
from escalation.models.clocks import LIVE
from escalation.paths import path_rule
from escalation.queries import escalations_of
from escalation.rules.paths import MANAGEMENT
from tickets.models import Status, Ticket

# What a requester was promised; all other clocks are ours alone.
PROMISES = {
    Clock.Kind.FIRST_RESPONSE: "First answer",
    Clock.Kind.NEXT_RESPONSE: "Next answer",
    Clock.Kind.STAKEHOLDER_UPDATE: "Next update",
    Clock.Kind.RESOLUTION: "Solution",
}
_BECAUSE = {
    Escalation.Trigger.REQUESTER: "as you asked",
    Escalation.Trigger.REQUEST: "as you asked",
    Escalation.Trigger.AGENT: "to bring in specialists",
    Escalation.Trigger.LEAD: "to bring in specialists",
    Escalation.Trigger.TIER_TIME: "because it took longer than planned",
    Escalation.Trigger.ACKNOWLEDGE: "because it had to go on faster",
    Escalation.Trigger.FIRST_RESPONSE: "because our answer was overdue",
    Escalation.Trigger.NEXT_RESPONSE: "because our answer was overdue",
    Escalation.Trigger.RESOLUTION: "because the solution was overdue",
    Escalation.Trigger.STAKEHOLDER_UPDATE: "because our update was overdue",
    Escalation.Trigger.PATH: "because of how serious it is",
    Escalation.Trigger.MERGED: "because we now know more about it",
    Escalation.Trigger.CHANGED: "because we now know more about it",
    Escalation.Trigger.REOPENED: "because it was opened again",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise; `due_at` None while it stands still, `missed` when it is over and not kept."""

    label: str
    due_at: dt.datetime | None
    missed: bool = False
    why_still: str = ""


@dataclass(frozen=True, slots=True)
class Milestone:
    """One thing that happened on the way; the latest one is where it stands now."""

    text: str
    at: dt.datetime
    is_latest: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """Whether escalation can be asked for, and what became of the last time."""

    may_ask: bool
    latest: EscalationRequest | None
    answer_by: dt.datetime | None
    climbs_by_itself: bool
    next_name: str

    @property
    def is_open(self) -> bool:
        return self.latest is not None and self.latest.state == EscalationRequest.State.OPEN


@dataclass(frozen=True, slots=True)
class Progress:
    """All that the page says about where a request stands."""

    headline: str
    detail: str
    level: str
    promises: tuple[Promise, ...]
    milestones: tuple[Milestone, ...]
    wish: Wish | None


def headline(ticket: Ticket) -> str:
    """Return where a request stands in a few words, as lists and pages begin with it."""
    match ticket.status:
        case Status.WAITING:
            return "Waiting for your answer"
        case Status.HOLD:
            return "On hold"
        case Status.RESOLVED:
            return "Solved"
        case Status.CLOSED:
            return "Closed"
    if ticket.assignee_id is not None:
        return "Being worked on"
    return "Received" if ticket.status == Status.NEW else "Waiting for the next free person"


def detail(ticket: Ticket) -> str:
    """Return the sentence that says who has it and what happens next."""
    team = str(ticket.team) if ticket.team else "our service desk"
    match ticket.status:
        case Status.WAITING:
            return f"{team} asked you something and goes on when you answer."
        case Status.HOLD:
            return f"{team} waits for somebody outside, such as a vendor or a planned change."
        case Status.RESOLVED:
            return "Not solved for you? Write below what is still wrong, and it is open again."
        case Status.CLOSED:
            return "This request is closed. If it comes back, write below and it is open again."
    if ticket.assignee_id is not None:
        return f"Somebody at {team} has it."
    return f"It is with {team}; the next free person takes it."


def progress_of(ticket: Ticket, now: dt.datetime) -> Progress:
    """Return the progress of one request; five queries at most, whatever its history."""
    standing = Standing.objects.filter(ticket=ticket).first()
    clocks = list(
        Clock.objects.filter(
            ticket=ticket, kind__in=[*PROMISES, Clock.Kind.REQUEST], state__in=[*LIVE, Clock.State.FIRED]
        ).order_by("pk")
    )
    history = escalations_of(ticket) if standing is not None else []
    return Progress(
        headline=headline(ticket),
        detail=detail(ticket),
        level=_level(ticket, _places(ticket, standing)),
        promises=tuple(_promises(ticket, clocks, now)),
        milestones=tuple(_milestones(ticket, history, _places(ticket, standing))),
        wish=_wish(ticket, standing, clocks) if standing is not None else None,
    )


def next_promises(tickets: Iterable[Ticket]) -> dict[int, Promise]:
    """Return each open ticket's earliest promise that still runs; one query for a whole list."""
    rows = Clock.objects.filter(
        ticket__in=[ticket.pk for ticket in tickets], kind__in=PROMISES, state=Clock.State.RUNNING
    )
    found: dict[int, Promise] = {}
    for clock in rows.order_by("due_at", "pk"):
        found.setdefault(clock.ticket_id, Promise(PROMISES[Clock.Kind(clock.kind)], clock.due_at))
    return found


def _promises(ticket: Ticket, clocks: Sequence[Clock], now: dt.datetime) -> Iterable[Promise]:
    """Return what runs, stands still or was missed; what was kept needs no words."""
    if not ticket.is_open:
        return
    latest: dict[str, Clock] = {clock.kind: clock for clock in clocks}
    for kind, label in PROMISES.items():
        clock = latest.get(kind)
        if clock is None:
            continue
        if clock.state == Clock.State.PAUSED:
            still = (
                "while we wait for your answer" if ticket.status == Status.WAITING else "while it is on hold"
            )
            yield Promise(label, None, why_still=still)
        elif clock.state == Clock.State.RUNNING:
            yield Promise(label, clock.due_at, missed=clock.due_at is not None and clock.due_at < now)
        elif not _kept_late(ticket, clock):
            yield Promise(label, clock.due_at, missed=True)


def _kept_late(ticket: Ticket, clock: Clock) -> bool:
    """Tell whether an answer that was overdue has come since."""
    if clock.kind == Clock.Kind.RESOLUTION:
        return False
    answered = ticket.last_answer_at
    return answered is not None and answered >= clock.started_at


def _places(ticket: Ticket, standing: Standing | None) -> dict[int, int]:
    """Return which level each tier of the ticket's path is, counted from 1; nobody outside knows tiers."""
    if standing is None:
        return {}
    tiers = sorted({step.tier for step in path_rule(standing.version_id).steps} | {ticket.tier})
    return {tier: place for place, tier in enumerate(tiers, start=1)}


def _level(ticket: Ticket, places: Mapping[int, int]) -> str:
    """Return the level in words that need no glossary."""
    if ticket.tier not in places or not ticket.is_open:
        return ""
    if ticket.tier == MANAGEMENT:
        return "Management takes care of it."
    place = places[ticket.tier]
    return f"Level {place} of {len(places)}" + (", where every request starts." if place == 1 else ".")


def _milestones(
    ticket: Ticket, history: Sequence[Escalation], places: Mapping[int, int]
) -> Iterable[Milestone]:
    found = [("Request received", ticket.opened_at)]
    found += [(_moved(row, places), row.at) for row in history if row.kind != Escalation.Kind.ENTERED]
    if ticket.resolved_at is not None:
        found.append(("Solved", ticket.resolved_at))
    for place, (text, at) in enumerate(found, start=1):
        yield Milestone(text, at, is_latest=place == len(found))


def _moved(row: Escalation, places: Mapping[int, int]) -> str:
    """Say one change of step: levels and teams, never who was told or held it."""
    to = row.to_step.name if row.to_step else str(Tier(row.to_tier).label)
    because = _BECAUSE.get(Escalation.Trigger(row.trigger), "")
    reason = f", {because}" if because else ""
    match row.kind:
        case Escalation.Kind.FALL:
            return f"Back with {to}"
        case Escalation.Kind.RETURN:
            return f"Opened again, with {to}"
        case Escalation.Kind.REMAP:
            return f"With {to} now{reason}"
    if row.to_tier == MANAGEMENT:
        return f"Escalated to management{reason}"
    return f"Escalated to level {places.get(row.to_tier, row.to_tier)}, {to}{reason}"


def _wish(ticket: Ticket, standing: Standing, clocks: Sequence[Clock]) -> Wish:
    requests = EscalationRequest.objects.filter(ticket=ticket).select_related("answered_by")
    latest = requests.order_by("-seq").first()
    path = path_rule(standing.version_id)
    step = next(step for step in path.steps if step.id == standing.step_id)
    above = path.after(step)
    asked_here = latest is not None and latest.seq == standing.seq
    clock = next((c for c in clocks if c.kind == Clock.Kind.REQUEST and c.state == Clock.State.RUNNING), None)
    return Wish(
        may_ask=ticket.is_open and above is not None and not asked_here,
        latest=latest,
        answer_by=clock.due_at if clock is not None else None,
        climbs_by_itself=above is not None and above.tier != MANAGEMENT,
        next_name=above.name if above is not None else "",
    )
