"""What the board shows, as plain values; made by web.board.queries, drawn by templates/board/."""

import datetime as dt
from dataclasses import dataclass, field
from functools import cached_property

from accounts.models import Tier
from accounts.rules import initials_of
from core.durations import spoken
from escalation.rules.alive import LATE, SLOW, STILL, Vitals
from tickets.models import Severity
from web.board.axis import HORIZON, column, place, rows_of
from web.board.counting import ZERO, Tally

# More chips than this in one lane are told apart by nobody: the rest is a density strip.
MOST_CHIPS = 60
# The share of a track that a chip covers at the width the sketch was drawn for; board.js measures instead.
CHIP_SHARE = 0.215
FEWEST_ROWS, MOST_ROWS = 4, 12

DAY = dt.timedelta(days=1)
SOON = dt.timedelta(minutes=15)
# What the rest column tells apart: its name, and how a ticket with that much time left belongs to it.
BINS = (
    ("near", "within 8 h, not drawn"),
    ("day", "8 to 24 h"),
    ("days", "1 to 3 days"),
    ("later", "later"),
    ("still", "waiting, or no deadline"),
)


@dataclass(frozen=True)
class Chip:
    """One ticket on the board."""

    id: int
    subject: str
    severity: int
    tier: int
    status: str
    tier_due_at: dt.datetime | None
    # By when somebody must acknowledge, for a step that still waits for it.
    answer_by: dt.datetime | None
    unacknowledged_since: dt.datetime | None
    set_aside_at: dt.datetime | None
    team: str
    assignee: str
    # What the person sees and every verb carries; None for a ticket that stands on no path.
    seq: int | None
    # How many contacts have been told of the step that waits for a person.
    told: int
    may_take: bool
    now: dt.datetime

    @cached_property
    def due_at(self) -> dt.datetime | None:
        """When the ticket moves: as soon as either of its two times runs out."""
        return min((at for at in (self.tier_due_at, self.answer_by) if at is not None), default=None)

    @cached_property
    def left(self) -> dt.timedelta | None:
        return None if self.due_at is None else self.due_at - self.now

    @property
    def untaken(self) -> bool:
        return self.unacknowledged_since is not None

    @property
    def column(self) -> int:
        return 0 if self.left is None else column(self.left)

    @property
    def due_ms(self) -> int | None:
        """The deadline as scripts count: milliseconds since 1970."""
        return None if self.due_at is None else round(self.due_at.timestamp() * 1000)

    @property
    def severity_label(self) -> str:
        return str(Severity(self.severity).label)

    @property
    def tier_label(self) -> str:
        return str(Tier(self.tier).label)

    @property
    def time_text(self) -> str:
        """The time left in this tier, as the chip says it."""
        if self.left is None:
            return "paused" if self.status in ("waiting", "hold") else "no limit"
        return spoken(self.left) if self.left > dt.timedelta(0) else "due"

    @property
    def label(self) -> str:
        """The word at the chip's right end."""
        if self.untaken:
            return f"told {self.told}" if self.told else "untaken"
        return self.time_text

    @property
    def words(self) -> str:
        """What stands on the chip, for those who hear it."""
        parts = [self.severity_label, self.tier_label]
        if self.untaken:
            since = self.now - (self.unacknowledged_since or self.now)
            parts.append(f"not acknowledged for {spoken(since)}")
        if self.set_aside_at is not None:
            parts.append("set aside")
        if self.left is not None:
            top = self.tier == Tier.MANAGEMENT
            verb = "is told again" if top else "climbs"
            parts.append(f"{verb} in {spoken(self.left)}" if self.left > dt.timedelta(0) else f"{verb} now")
        else:
            parts.append(self.time_text)
        parts.append(self.assignee or "nobody owns it")
        return ", ".join(parts)

    @property
    def bin(self) -> str:
        """Which bar of the rest column it would be part of."""
        return bin_of(None if self.tier_due_at is None else self.tier_due_at - self.now)

    @property
    def heat(self) -> str:
        """How near the edge is, as a class."""
        if self.left is None or self.left > SOON:
            return ""
        return "soon" if self.left > dt.timedelta(0) else "late"


def bin_of(left: dt.timedelta | None) -> str:
    """Return the name of the bin of a ticket with that much time left."""
    if left is None:
        return "still"
    if left < HORIZON:
        return "near"
    if left < DAY:
        return "day"
    return "days" if left < 3 * DAY else "later"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the density strip; `height` in percent of the strip."""

    label: str
    count: Tally
    height: int
    x: int

    @property
    def y(self) -> int:
        return 100 - self.height


@dataclass(frozen=True, slots=True)
class TeamLoad:
    """How full one team is."""

    id: int
    name: str
    tier: int
    capacity: int
    lead: str
    open: Tally

    @property
    def percent(self) -> int:
        return percent(self.open.number, self.capacity)


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call at a tier on a schedule, until when, and who then; without a schedule, who is told first."""

    tier: int
    where: str
    name: str
    then: str
    until: dt.datetime | None = None
    schedule_id: int | None = None
    is_gap: bool = False

    @property
    def initials(self) -> str:
        return "–" if self.is_gap else initials_of(self.name.partition(" and ")[0])

    @property
    def sub(self) -> str:
        then = f"{self.where}, then {self.then}" if self.then else self.where
        return then if self.schedule_id is not None else f"{then} (told first)"


@dataclass(frozen=True)
class Lane:
    """One tier of the ladder."""

    tier: int
    chips: tuple[Chip, ...]
    counts: dict[str, Tally]
    teams: tuple[TeamLoad, ...]
    on_call: tuple[OnCall, ...]

    @property
    def name(self) -> str:
        label = str(Tier(self.tier).label)
        if self.tier == Tier.MANAGEMENT:
            return label
        if len(self.teams) == 1:
            return f"{label} {self.teams[0].name}"
        return f"{label} teams" if self.teams else label

    @property
    def is_top(self) -> bool:
        return self.tier == Tier.MANAGEMENT

    @cached_property
    def open(self) -> Tally:
        return sum(self.counts.values(), start=ZERO)

    @property
    def capacity(self) -> int:
        return sum(team.capacity for team in self.teams)

    @property
    def percent(self) -> int:
        return percent(sum(team.open.number for team in self.teams), self.capacity)

    @property
    def percent_text(self) -> str:
        return percent_text(self.percent)

    @cached_property
    def rest(self) -> Tally:
        """How many are open but not drawn."""
        return sum((bar.count for bar in self.bars), start=ZERO)

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        drawn = dict.fromkeys((name for name, _ in BINS), 0)
        for chip in self.chips:
            drawn[chip.bin] += 1
        left = [(label, self.counts.get(name, ZERO).less(drawn[name])) for name, label in BINS]
        most = max(count.number for _, count in left) or 1
        return tuple(
            # A single ticket is still seen beside a thousand.
            Bar(label, count, max(10, round(100 * count.number / most)) if count else 2, 7 * number)
            for number, (label, count) in enumerate(left)
        )

    @property
    def rest_words(self) -> str:
        """The strip in words."""
        said = [f"{bar.count} {bar.label}" for bar in self.bars if bar.count]
        return "; ".join(said) or "nothing besides"

    @property
    def rows(self) -> int:
        return min(MOST_ROWS, max(FEWEST_ROWS, -(-len(self.chips) // 4)))

    @cached_property
    def placed(self) -> list[tuple[Chip, int]]:
        """The chips, the most urgent first, each with the row it stands in where no script moves it."""
        ordered = sorted(
            self.chips, key=lambda chip: (-(place(chip.left) if chip.left is not None else 0), chip.id)
        )
        places = [place(chip.left) if chip.left is not None else 0.0 for chip in ordered]
        return list(zip(ordered, rows_of(places, width=CHIP_SHARE, rows=self.rows), strict=True))


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person: an escalation nobody took, a ticket set aside, an update overdue."""

    chip: Chip
    why: str
    missed: int = 0

    @property
    def text(self) -> str:
        if self.why == "aside":
            return f"set aside since {spoken(self.chip.now - (self.chip.set_aside_at or self.chip.now))}"
        if self.why == "update":
            return "update overdue" if self.missed < 2 else f"update overdue, {self.missed} times"
        return f"waits {spoken(self.chip.now - (self.chip.unacknowledged_since or self.chip.now))}"


@dataclass(frozen=True, slots=True)
class Facts:
    """The row of figures on top."""

    open: Tally = ZERO
    climbing: Tally = ZERO
    untaken: Tally = ZERO
    updates: Tally = ZERO
    aside: Tally = ZERO
    vitals: Vitals = field(default_factory=Vitals)
    # About the paths in force, for those who lead; the grave ones are among the doubts.
    doubts: Tally = ZERO
    grave_doubts: Tally = ZERO

    @property
    def engine(self) -> tuple[str, str, str]:
        """How the engine is: a figure, what it says, and its colour as a class; "" while all is well.

        While it ticks that is its lag; when it doesn't, nothing due yet is no comfort.
        """
        lag, last = self.vitals.lag, self.vitals.ticks.get("escalation")
        if last is None:
            return "never", "ticked: the engine doesn't run", "hot"
        if lag <= SLOW and abs(last.age) > STILL:
            return _seconds(last.age), "since the engine's last tick", "hot" if last.age > LATE else "soon"
        if lag > SLOW:
            return _seconds(lag), "behind: escalations are late", "hot" if lag > LATE else "soon"
        return _seconds(lag), "engine lag", ""


def _seconds(age: float) -> str:
    """Return an age as people read it; tenths of a second while it is small."""
    return f"{age:.1f} s" if age < 10 else spoken(dt.timedelta(seconds=age))


@dataclass(frozen=True)
class Board:
    """All of it."""

    now: dt.datetime
    lanes: tuple[Lane, ...]
    facts: Facts
    needs: tuple[Need, ...]
    teams: tuple[TeamLoad, ...]
    on_call: tuple[OnCall, ...]
    more_needs: Tally = ZERO

    @cached_property
    def chips(self) -> list[Chip]:
        """Every drawn ticket, the one that climbs first on top: the table's rows."""
        drawn = [chip for lane in self.lanes for chip in lane.chips]
        far = self.now + dt.timedelta(days=36500)
        return sorted(drawn, key=lambda chip: (chip.due_at or far, chip.id))

    @property
    def rest(self) -> Tally:
        return sum((lane.rest for lane in self.lanes), start=ZERO)

    @property
    def is_empty(self) -> bool:
        return not self.facts.open


def percent_text(share: int) -> str:
    """Return a share as text; beyond tenfold the figure says nothing any more."""
    return f"{share} %" if share < 1000 else "over 999 %"


def percent(part: int, whole: int) -> int:
    """Return a share in whole percent; of nothing it is 0."""
    return round(100 * part / whole) if whole else 0
