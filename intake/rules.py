"""How the words of an incident log are read; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from calendars.rules import instant_of

V = TypeVar("V")

# What a log may tell, by the names Belay gives it; a log's own column names are mapped onto these.
REQUIRED = ("case", "ts", "status", "level")
OPTIONAL = (
    *("substatus", "team", "org_line", "impact", "product", "country", "resource_id"),
    *("subject", "requester"),
)
FIELDS = REQUIRED + OPTIONAL

# Fields whose words are mapped onto what Belay has, and fields whose values may be renamed on the way in.
WORDS = ("status", "level", "impact")
RENAMED = ("team", "product", "country", "org_line", "resource_id", "requester")

KEEP = "keep"
STATUSES = frozenset({"new", "open", "waiting", "hold", "resolved", "closed", KEEP})

# "status/substatus" before "status". KEEP: the word says nothing about the state of the work.
_STATUS: Mapping[str, str] = {
    "accepted": "open",
    "accepted/wait": "hold",
    "accepted/wait - customer": "waiting",
    "accepted/wait - implementation": "hold",
    "accepted/wait - user": "waiting",
    "accepted/wait - vendor": "hold",
    "queued": "new",
    "completed": "resolved",
    "completed/cancelled": "closed",
    "completed/closed": "closed",
    "unmatched": KEEP,
    # Other helpdesks' words.
    "new": "new",
    "open": "open",
    "assigned": "open",
    "in progress": "open",
    "active": "open",
    "reopened": "open",
    "pending": "waiting",
    "waiting": "waiting",
    "awaiting user info": "waiting",
    "awaiting vendor": "hold",
    "awaiting problem": "hold",
    "awaiting evidence": "hold",
    "on hold": "hold",
    "hold": "hold",
    "resolved": "resolved",
    "solved": "resolved",
    "closed": "closed",
    "cancelled": "closed",
}
# Words that say nobody is at work: the case waits in a team's queue.
QUEUE_WORDS = frozenset({"queued", "new", "awaiting assignment"})
_LEVEL: Mapping[str, int] = {
    "management": 4,
    "l4": 4,
    **{form.format(n): n for n in (1, 2, 3) for form in ("l{}", "{}", "level {}", "tier {}", "t{}")},
    "1st": 1,
    "2nd": 2,
    "3rd": 3,
    "1st line": 1,
    "2nd line": 2,
    "3rd line": 3,
}
_IMPACT: Mapping[str, int] = {
    "high": 1,
    "medium": 2,
    "low": 3,
    "1": 1,
    "2": 2,
    "3": 3,
    "1 - high": 1,
    "2 - medium": 2,
    "3 - low": 3,
    "critical": 1,
    "normal": 2,
    "minor": 3,
}


class Unreadable(Exception):
    """Say that a value of a row makes no sense: the field, the value and why."""

    def __init__(self, field: str, value: str, reason: str) -> None:
        super().__init__(f"{field} “{value}”: {reason}")
        self.field = field
        self.value = value
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the words of one log mean; keys in lower case."""

    status: Mapping[str, str] = field(default_factory=lambda: _STATUS)
    level: Mapping[str, int] = field(default_factory=lambda: _LEVEL)
    impact: Mapping[str, int] = field(default_factory=lambda: _IMPACT)
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    time_format: str = ""

    def with_words(
        self,
        *,
        status: Mapping[str, str],
        level: Mapping[str, int],
        impact: Mapping[str, int],
        renamed: Mapping[str, Mapping[str, str]],
        zone: ZoneInfo,
        time_format: str,
    ) -> "Vocabulary":
        """Return a vocabulary in which the given words come before the ones that ship."""
        return Vocabulary(
            status={**self.status, **_lowered(status)},
            level={**self.level, **_lowered(level)},
            impact={**self.impact, **_lowered(impact)},
            renamed={name: _lowered(values) for name, values in renamed.items()},
            zone=zone,
            time_format=time_format,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One row as Belay reads it; None where the log says nothing."""

    case: str
    at: datetime
    naive: bool
    # A Belay status, or KEEP.
    status: str
    # Nobody is at work: the row puts the case into a queue.
    queued: bool
    tier: int
    impact: int | None
    team: str | None
    org_line: str | None
    product: str | None
    country: str | None
    resource: str | None
    subject: str | None
    requester: str | None


def read_row(values: Mapping[str, str], words: Vocabulary, now: datetime) -> Incident:
    """Read one row, given as field -> text (only fields the log has). Raises Unreadable."""
    text = {name: " ".join(value.split()) for name, value in values.items()}
    for name, value in text.items():
        if "\x00" in value:
            raise Unreadable(name, value.replace("\x00", "␀"), "holds a NUL character")
    case = text["case"]
    if not case:
        raise Unreadable("case", "", "is empty: the row belongs to no case")
    if len(case) > 200:
        raise Unreadable("case", case[:60] + "…", f"has {len(case)} characters, at most 200 fit")
    at, naive = read_time(text["ts"], words, now)
    status, substatus = text["status"].casefold(), text.get("substatus", "").casefold()
    meaning = words.status.get(f"{status}/{substatus}") or words.status.get(status)
    if meaning is None:
        raise Unreadable("status", text["status"], "is a status nobody mapped")
    impact = None
    if text.get("impact"):
        impact = words.impact.get(text["impact"].casefold())
        if impact is None:
            raise Unreadable("impact", text["impact"], "is an impact nobody mapped")
    tier = words.level.get(text["level"].casefold())
    if tier is None:
        raise Unreadable("level", text["level"], "is a support level nobody mapped")

    def named(name: str, longest: int) -> str | None:
        value = text.get(name, "")
        value = words.renamed.get(name, {}).get(value.casefold(), value)
        if len(value) > longest:
            raise Unreadable(name, value[:60] + "…", f"has {len(value)} characters, at most {longest} fit")
        return value or None

    return Incident(
        case=case,
        at=at,
        naive=naive,
        status=meaning,
        queued=status in QUEUE_WORDS or substatus in QUEUE_WORDS,
        tier=tier,
        impact=impact,
        team=named("team", 100),
        org_line=named("org_line", 100),
        product=named("product", 100),
        country=named("country", 200),
        resource=named("resource_id", 200),
        subject=named("subject", 10_000),
        requester=named("requester", 200),
    )


def read_time(text: str, words: Vocabulary, now: datetime) -> tuple[datetime, bool]:
    """Return the UTC instant of a timestamp, and whether it named no zone and was read in the log's own.

    Raises Unreadable for what is no time, lies in the future or before 1970.
    """
    try:
        form = words.time_format
        # strptime may give a time without zone, as fromisoformat may: the zone follows.
        at = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007
        naive = at.tzinfo is None
        at = instant_of(words.zone, at) if naive else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        wanted = f"of the form {words.time_format}" if words.time_format else "like 2024-05-31T14:05:00+02:00"
        raise Unreadable("ts", text, f"is no time {wanted}") from error
    if at > now:
        raise Unreadable("ts", text, "lies in the future")
    if at.year < 1970:
        raise Unreadable("ts", text, "lies before 1970")
    return at, naive


def tag_of(text: str) -> str:
    """Return text as a tag: lower case, hyphens for blanks and commas, at most 50 characters."""
    return re.sub(r"[\s,]+", "-", text.strip().lower()).strip("-")[:50]


def local_part(name: str) -> str:
    """Return a name in a form fit for the left side of an address; "" when nothing of it is."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48]


def _lowered(words: Mapping[str, V]) -> dict[str, V]:
    return {" ".join(word.split()).casefold(): meaning for word, meaning in words.items()}
