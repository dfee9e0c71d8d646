"""Whether the engines are alive and in time, and what to say where they are not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# Older than this, what is due is late for everybody: /readyz turns red, leads read it on every page, no heartbeat.
LATE = 30.0
# The engine ticks every second and the pacemaker steps in after three: beyond this neither has helped.
SLOW = 5.0
# A last tick older than this is no chance any more, though nothing may be due yet.
STILL = 10.0

ENGINES = ("escalation", "notifications")


class Overdue(StrEnum):
    """What waits longer than it should."""

    CLOCK = "clock"
    OUTBOX = "outbox"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Ticked:
    """The last completed tick of an engine: how many seconds ago, by whom, and how many there were."""

    age: float
    by: str
    runs: int = 0
    pacemaker_runs: int = 0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one look at the database says; ages in seconds, 0 where nothing waits."""

    clock: float = 0.0
    outbox: float = 0.0
    dead_letter: float = 0.0
    ticks: Mapping[str, Ticked] = field(default_factory=dict)

    @property
    def ages(self) -> dict[Overdue, float]:
        """How long the oldest due row of each kind has been waiting."""
        return {
            Overdue.CLOCK: self.clock,
            Overdue.OUTBOX: self.outbox,
            Overdue.DEAD_LETTER: self.dead_letter,
        }

    @property
    def lag(self) -> float:
        """How far the engine is behind."""
        return max(self.clock, self.dead_letter)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What leads and admins have to know, in words; `what` is stable, for scripts and tests."""

    what: str
    seconds: float


def overdue(vitals: Vitals) -> dict[Overdue, float]:
    """Return what has been waiting too long, with its age in seconds."""
    return {what: age for what, age in vitals.ages.items() if age > LATE}


def silent(vitals: Vitals) -> dict[str, float | None]:
    """Return the engines that have not completed a tick lately, with its age; None for one that never did."""
    found: dict[str, float | None] = {}
    for engine in ENGINES:
        last = vitals.ticks.get(engine)
        # Below zero: the clock was set back. The next tick mends it, so that one is missing.
        if last is None:
            found[engine] = None
        elif last.age > LATE or last.age < -SLOW:
            found[engine] = max(last.age, 0.0)
    return found


def well(vitals: Vitals) -> bool:
    """Tell whether everything that is due is taken up in time and both engines tick."""
    return not overdue(vitals) and not silent(vitals)


def alarm(vitals: Vitals) -> Alarm | None:
    """Return the one thing that matters most, None while all is well."""
    late = overdue(vitals)
    if Overdue.CLOCK in late or Overdue.DEAD_LETTER in late:
        return Alarm("behind", vitals.lag)
    quiet = silent(vitals)
    if "escalation" in quiet:
        age = quiet["escalation"]
        return Alarm("never" if age is None else "still", age or 0.0)
    if Overdue.OUTBOX in late:
        return Alarm("outbox", vitals.outbox)
    if "notifications" in quiet:
        age = quiet["notifications"]
        return Alarm("delivery_never" if age is None else "delivery_still", age or 0.0)
    return None
