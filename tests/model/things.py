"""What the model knows: calendars, paths, clocks, messages, escalations, tickets; no verbs."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from tests.model import world
from tests.model.hours import ZERO, Opening
from tests.model.world import PathDef, StepDef

SECONDS = dt.timedelta(seconds=1)
PUNCTUAL = 60 * SECONDS
STEP_CLOCKS = ("tier_time", "acknowledge", "next_telling")
# What a major incident takes over from a ticket that is linked to it.
TAKEN_OVER = (*STEP_CLOCKS, "stakeholder_update")
PROMISES = world.PROMISES
WARNING = (*PROMISES, "tier_time")
# When clocks are due at the same instant, the one that says most about why.
ORDER = (
    "tier_time",
    "acknowledge",
    "resolution",
    "first_response",
    "next_response",
    "stakeholder_update",
    "request",
)
OPEN = ("new", "open", "waiting", "hold")
NEXT_STATUS = {
    "new": ("open", "waiting", "hold", "resolved", "closed"),
    "open": ("waiting", "hold", "resolved", "closed"),
    "waiting": ("open", "hold", "resolved", "closed"),
    "hold": ("open", "waiting", "resolved", "closed"),
    "resolved": ("open", "closed"),
    "closed": ("open",),
}
ATTEMPTS = 8
ADMINS = [person for person, (role, _, _) in world.PEOPLE.items() if role == "admin"]

Event = tuple[str, str | None, dt.datetime, tuple[tuple[str, Any], ...]]


@dataclass(eq=False)
class CalendarVersion:
    """Hours under a number; immutable."""

    name: str
    number: int
    hours: Opening


@dataclass(eq=False)
class PathVersion:
    """A path's content under a number; immutable."""

    number: int
    content: PathDef

    @property
    def name(self) -> str:
        return self.content.name

    def step(self, position: int) -> StepDef:
        return self.content.steps[position - 1]

    @property
    def top(self) -> int:
        return len(self.content.steps)


@dataclass(eq=False)
class Clock:
    """One deadline: budget, what is used of it, and since when it runs (None: it stands still)."""

    kind: str
    ticket: "Ticket"
    calendar: CalendarVersion
    path: PathVersion
    budget: dt.timedelta
    started: dt.datetime
    recorded: dt.datetime
    since: dt.datetime | None
    seq: int | None = None
    round: int = 0
    used: dt.timedelta = ZERO
    due: dt.datetime | None = None
    warn: dt.datetime | None = None
    warned: dt.datetime | None = None
    pauses: list[list[dt.datetime | None]] = field(default_factory=list)
    state: str = "running"
    stopped: dt.datetime | None = None
    verb: int = 0

    @property
    def fires(self) -> dt.datetime | None:
        return self.due if self.warn is None or self.warned is not None else self.warn

    def run_from(self, at: dt.datetime) -> None:
        """Let it run from `at` with what is left."""
        hours = self.calendar.hours
        self.state, self.since = "running", at
        self.due = hours.after(at, max(self.budget - self.used, ZERO))
        self.warn = None
        share = self.budget * (self.ticket.path.content.warn_percent / 100) - self.used
        if self.kind in WARNING and self.warned is None and share > ZERO:
            warn = hours.after(at, share)
            self.warn = warn if warn < self.due else None

    def use_until(self, at: dt.datetime) -> None:
        if self.since is not None and at > self.since:
            self.used += self.calendar.hours.between(self.since, at)
        self.since = None


@dataclass(eq=False)
class Message:
    """A row of the outbox."""

    kind: str
    ticket: "Ticket"
    address: str
    at: dt.datetime
    seq: int | None = None
    round: int | None = None
    contact: str | None = None
    user: str | None = None
    state: str = "pending"
    attempts: int = 0
    handled: bool = False
    # Which letter it carries: the same one may go on to somebody else.
    letter: int = 0

    @property
    def is_telling(self) -> bool:
        return self.round is not None


@dataclass(eq=False)
class Escalation:
    """One change of step, by its seq."""

    seq: int
    kind: str
    trigger: str
    from_position: int | None
    position: int
    at: dt.datetime
    due: dt.datetime | None = None
    late: dt.timedelta | None = None
    co_triggers: tuple[str, ...] = ()
    actor: str | None = None
    acknowledged: dt.datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_contact: str | None = None
    via: str = ""


@dataclass(eq=False)
class Wish:
    """The requester's wish at one seq."""

    seq: int
    state: str = "open"


@dataclass(frozen=True)
class News:
    """What happened on a major incident, and when: the engine carries it to the tickets that are linked."""

    incident: "Ticket"
    what: str
    at: dt.datetime
    author: str | None


class No(Exception):
    """Say that a verb is declined, by the name of the refusal."""


@dataclass
class Question:
    """What the people of one seq asked whoever sent the ticket there."""

    seq: int
    asked_by: str
    asked_to: str
    lead: str | None
    state: str = "open"


@dataclass(eq=False)
class Ticket:
    """One ticket with all that is known of it."""

    number: int
    severity: int
    service: str | None
    category: str | None
    opened: dt.datetime
    status: str = "new"
    tier: int = 1
    team: str | None = None
    owner: str | None = None
    requester: str = ""
    merged_into: "Ticket | None" = None
    is_major: bool = False
    incident: "Ticket | None" = None
    linked: dt.datetime | None = None
    # The incident goes on for it.
    suspended: bool = False
    last_answer: dt.datetime | None = None
    last_requester: dt.datetime | None = None
    path: PathVersion = None  # type: ignore[assignment]
    position: int = 1
    seq: int = 0
    since: dt.datetime | None = None
    round: int = 0
    declined: list[str] = field(default_factory=list)
    falls: int = 0
    automatic: int = 0
    allowances: int = 0
    clocks: dict[str, Clock] = field(default_factory=dict)
    ended: list[Clock] = field(default_factory=list)
    escalations: list[Escalation] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def step(self) -> StepDef:
        return self.path.step(self.position)

    @property
    def current(self) -> Escalation:
        return self.escalations[-1]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def is_waiting(self) -> bool:
        return self.status in ("waiting", "hold")

    def stands_still(self, kind: str) -> bool:
        """Tell whether a clock of this kind is paused, by the status or by the incident that goes on for the ticket."""
        if kind in TAKEN_OVER and self.suspended:
            return True
        waits = self.status == "waiting" or (self.status == "hold" and self.path.content.hold_pauses)
        return waits and kind in ("resolution", "tier_time")

    @property
    def at_top(self) -> bool:
        return self.position == self.path.top
