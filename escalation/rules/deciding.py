"""What is due on one ticket, and what follows from it: at most one step per claim (DESIGN 3, deciding). Pure."""

import datetime as dt
from dataclasses import dataclass

from escalation.rules.paths import MANAGEMENT, PathRule, StepRule

# After an outage the next tier has its full time: beyond this a new clock starts at the claim (DESIGN 3, clocks).
PUNCTUAL = dt.timedelta(seconds=60)
PROMISES = ("first_response", "next_response", "resolution")
# What stands still while a major incident goes on for the ticket (DESIGN 3, changes under way).
TAKEN_OVER = frozenset({"tier_time", "acknowledge", "next_telling", "stakeholder_update"})
# Those that warn somebody before they are due; the others page by themselves.
WARNING = frozenset({*PROMISES, "stakeholder_update", "tier_time"})
# When two are due at the same instant, the one that tells most about why.
_RANK = {
    kind: rank
    for rank, kind in enumerate(
        (
            "tier_time",
            "acknowledge",
            "resolution",
            "first_response",
            "next_response",
            "stakeholder_update",
            "request",
        )
    )
}


@dataclass(frozen=True, slots=True)
class Due:
    """One clock that fires: its warning share is reached, or it is due."""

    clock_id: int
    kind: str
    due_at: dt.datetime
    warn_at: dt.datetime | None
    warned: bool
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """A clock that asks for a step: the trigger of it, or one of its co-triggers."""

    kind: str
    due_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows for one ticket; empty fields mean nothing."""

    to: StepRule | None = None
    # True at the top: acknowledgement cleared, told again, clocks anew (DESIGN 3, the top).
    again: bool = False
    trigger: Cause | None = None
    co_triggers: tuple[Cause, ...] = ()
    # When the clocks of the new step begin.
    begin_at: dt.datetime | None = None
    late_by: dt.timedelta | None = None
    tell_next: bool = False
    follow_up: bool = False
    tell_lead: tuple[str, ...] = ()
    tell_owner: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    # Of those, the ones that are recorded only.
    quiet: tuple[str, ...] = ()
    # What a major incident has taken over and should stand still.
    hold: tuple[str, ...] = ()
    # Warnings whose deadline has passed too: recorded, not sent.
    late_warnings: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    request_expired: bool = False
    # A question sent back is unanswered: the next one is asked, nothing moves by it (DESIGN 3, by hand).
    pursue_question: bool = False


def decide(
    path: PathRule, step: StepRule, dues: tuple[Due, ...], now: dt.datetime, *, suspended: bool = False
) -> Decision:
    """Decide about all that is due on one ticket at `now`, together.

    tier_time or acknowledge due: the next step, at the top the same one again. A promise due: what the path says,
    tell the lead or climb. stakeholder_update due: the owner, then the lead, then a step that involves. An
    unanswered wish climbs, but never into management by itself. An unanswered question moves nothing. `suspended`: a
    major incident goes on for the ticket, so no step is taken, and the resolution is only recorded.
    """
    hold = tuple(due.kind for due in dues if suspended and due.kind in TAKEN_OVER)
    dues = tuple(due for due in dues if due.kind not in hold)
    fired = [due for due in dues if due.due_at <= now]
    early = [due for due in dues if due.due_at > now]
    warn = tuple(d.kind for d in early if _warns(d, now))
    late_warnings = tuple(
        d.kind for d in fired if d.kind in WARNING and not d.warned and d.warn_at is not None
    )
    above = path.after(step) if not suspended else None

    causes: list[Cause] = []
    tell_lead: list[str] = []
    tell_owner: list[str] = []
    request_expired = False
    for due in fired:
        cause = Cause(due.kind, due.due_at)
        match due.kind:
            case "tier_time" | "acknowledge":
                causes.append(cause)
            case "first_response" | "next_response" | "resolution":
                # A promise is broken once: at the top there is nowhere to climb, so the lead hears of it.
                if suspended and due.kind == "resolution":
                    continue
                if path.climbs_on.get(due.kind) and above is not None:
                    causes.append(cause)
                else:
                    tell_lead.append(due.kind)
            case "stakeholder_update":
                if due.missed == 0:
                    tell_owner.append(due.kind)
                elif due.missed >= 2 and above is not None and not above.transfers:
                    causes.append(cause)
                else:
                    tell_lead.append(due.kind)
            case "request":
                request_expired = True
                if above is not None and above.tier < MANAGEMENT:
                    causes.append(cause)
                else:
                    tell_lead.append(due.kind)
    causes.sort(key=lambda cause: (cause.due_at, _RANK[cause.kind]))
    common = {
        "warn": warn,
        "quiet": tuple(kind for kind in warn if suspended and kind == "resolution"),
        "hold": hold,
        "late_warnings": late_warnings,
        "tell_lead": tuple(tell_lead),
        "tell_owner": tuple(tell_owner),
        "follow_up": any(due.kind == "follow_up" for due in fired),
        "fired": tuple(due.kind for due in fired),
        "request_expired": request_expired,
        "pursue_question": any(due.kind == "question" for due in fired),
    }
    if not causes:
        return Decision(tell_next=any(due.kind == "next_telling" for due in fired), **common)  # type: ignore[arg-type]
    trigger, *others = causes
    return Decision(
        to=above,
        again=above is None,
        trigger=trigger,
        co_triggers=tuple(others),
        begin_at=begin_at(trigger.due_at, now),
        late_by=max(now - trigger.due_at, dt.timedelta(0)),
        **common,  # type: ignore[arg-type]
    )


def begin_at(due_at: dt.datetime, now: dt.datetime) -> dt.datetime:
    """Return when what follows a deadline begins: at the deadline if the engine was punctual, else now."""
    return due_at if now - due_at <= PUNCTUAL else now


def _warns(due: Due, now: dt.datetime) -> bool:
    return due.kind in WARNING and not due.warned and due.warn_at is not None and due.warn_at <= now
