"""What stands in single cells, read and written. Pure."""

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import phonenumbers

from accounts.rules import clean_email
from notifications.rules.language import MEND, language_code
from notifications.rules.quiet import problem_of

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_ADDRESS = 254
BIGGEST_SMALL = 32_767
_QUIET = re.compile(r"(\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*[-–]\s*(\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)")
_EMAIL = re.compile(r"[^@\s]+@([^@\s.]+\.)*[^@\s.]+")


class Bad(Exception):
    """Say that a cell can't be what it says, and what it could be."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours on the contact's own clock, and days that are quiet all day (0 is Monday)."""

    begins: dt.time | None = None
    ends: dt.time | None = None
    days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach a contact; of a secret only is known that there is one."""

    channel: str
    address: str
    is_active: bool = True
    has_secret: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.channel, self.address.strip()


def text_of(most: int, *, needed: bool = False) -> Callable[[str], str]:
    """Return a reader of plain text up to so many characters."""

    def read(cell: str) -> str:
        if needed and not cell:
            raise Bad("It is empty.", "Fill it in.")
        if len(cell) > most:
            raise Bad(f"It has {len(cell)} characters.", f"Shorten it to {most}.")
        return cell

    return read


def one_of(values: Collection[str]) -> Callable[[str], str]:
    """Return a reader of one of a few words."""

    def read(cell: str) -> str:
        if cell.lower() not in values:
            raise Bad("There is no such word here.", f"Take one of: {', '.join(values)}.")
        return cell.lower()

    return read


def name_among(names: Collection[str], what: str) -> Callable[[str], str]:
    """Return a reader of the name of something there is, or of nothing."""

    def read(cell: str) -> str:
        if cell and cell not in names:
            raise Bad(
                f"There is no {what} of that name.", "Write it as it stands on its page, or leave it empty."
            )
        return cell

    return read


def write_flag(value: bool) -> str:
    return "yes" if value else "no"


def read_flag(cell: str) -> bool:
    if cell.lower() in {"yes", "y", "true", "1"}:
        return True
    if cell.lower() in {"no", "n", "false", "0"}:
        return False
    raise Bad("It is neither yes nor no.", "Write yes or no.")


def number_from(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` on."""

    def read(cell: str) -> int:
        if not (cell.isascii() and cell.isdigit() and len(cell) < 10 and least <= int(cell) <= BIGGEST_SMALL):
            raise Bad("It is no such number.", f"Take a number from {least} to {BIGGEST_SMALL}.")
        return int(cell)

    return read


def read_time_zone(cell: str) -> str:
    try:
        zoneinfo.ZoneInfo(cell)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Bad("It is no time zone.", "Take a name like Europe/Berlin.") from error
    return cell


def read_language(cell: str) -> str:
    if (code := language_code(cell)) is None:
        raise Bad("It is no language.", MEND)
    return code


def write_severities(value: tuple[int, ...]) -> str:
    return " ".join(map(str, value))


def read_severities(cell: str) -> tuple[int, ...]:
    words = cell.upper().replace("SEV", "").replace(",", " ").split()
    if not all(word in {"1", "2", "3", "4"} for word in words):
        raise Bad(
            "These are no severities.", "Write numbers from 1 to 4 with spaces between, or nothing for all."
        )
    return tuple(sorted({int(word) for word in words}))


def write_quiet(value: Quiet) -> str:
    """Return "22:00-07:00 Sat Sun"."""
    # Midnight is no less a time than any other.
    both = value.begins is not None and value.ends is not None
    hours = f"{_time(value.begins)}-{_time(value.ends)}" if both else ""
    return " ".join(filter(None, [hours, *(DAYS[day] for day in value.days)]))


def read_quiet(cell: str) -> Quiet:
    """Read "22:00-07:00 Sat Sun": hours, days that are quiet all day, or both."""
    mend = "Write hours like 22:00-07:00, days like Sat Sun, both or nothing."
    found = _QUIET.match(cell)
    begins = ends = None
    if found is not None:
        try:
            begins, ends = (dt.time.fromisoformat(part.zfill(5)) for part in found.groups())
        except ValueError as error:
            raise Bad("These are no hours.", mend) from error
        cell = cell[found.end() :]
    days = set()
    for word in cell.replace(",", " ").split():
        day = next((place for place, name in enumerate(DAYS) if word[:3].lower() == name.lower()), None)
        if day is None:
            raise Bad(f"“{word[:40]}” is no day.", mend)
        days.add(day)
    if (problem := problem_of(begins, ends, days)) is not None:
        raise Bad(problem.message, problem.mend)
    return Quiet(begins, ends, tuple(sorted(days)))


def write_ways(ways: tuple[Way, ...]) -> str:
    """Return "email:ann@example.org | off sms:+49301234567 | secret slack:#noc", in order."""
    return " | ".join(
        f"{'' if way.is_active else 'off '}{'secret ' if way.has_secret else ''}{way.channel}:{_escaped(way.address)}"
        for way in ways
    )


def read_ways(
    cell: str, known: tuple[Way, ...], channels: Collection[str], closed: Collection[str]
) -> tuple[Way, ...]:
    """Read ways in order; `known` are those the contact has, on channels `closed` a new one would need a secret.

    Known ways that the cell doesn't name stay: one with a secret as it is, the others switched off. Raises Bad.
    """
    by_key: Mapping[tuple[str, str], Way] = {way.key: way for way in known}
    found: dict[tuple[str, str], Way] = {}
    for part in _split(cell):
        way = _read_way(part, by_key, channels, closed)
        if way.key in found:
            raise Bad(f"“{part[:80]}” stands twice.", "Name each once.")
        found[way.key] = way
    rest = [way for way in known if way.key not in found]
    kept = [way if way.has_secret else Way(way.channel, way.address, is_active=False) for way in rest]
    return (*found.values(), *kept)


def _read_way(
    part: str, known: Mapping[tuple[str, str], Way], channels: Collection[str], closed: Collection[str]
) -> Way:
    head, colon, address = part.partition(":")
    *flags, channel = head.lower().split() or [""]
    address = address.strip()
    if not colon or channel not in channels or not set(flags) <= {"off", "secret"}:
        raise Bad(
            f"“{part[:80]}” is no way to reach anybody.",
            f"Write channel:address with | between; the channels are {', '.join(channels)}.",
        )
    there = known.get((channel, address)) or known.get((channel, _checked(channel, address, known)))
    if there is not None and there.has_secret:
        if there.is_active == ("off" in flags):
            raise Bad(f"“{part[:80]}” has a secret and is left alone.", "Switch it on the contact’s page.")
        return there
    if there is None and ("secret" in flags or channel in closed):
        raise Bad(f"“{part[:80]}” needs a secret, which no file brings.", "Add it on the contact’s page.")
    return Way(
        channel, there.address if there else _checked(channel, address, known), is_active="off" not in flags
    )


def _checked(channel: str, address: str, known: Mapping[tuple[str, str], Way]) -> str:
    """Return an address in its one form. Raises Bad."""
    if (channel, address) in known:
        return address
    if not address or len(address) > LONGEST_ADDRESS:
        raise Bad(f"“{address[:80]}” is no address.", f"Write 1 to {LONGEST_ADDRESS} characters.")
    if channel == "email":
        if not _EMAIL.fullmatch(address):
            raise Bad(f"“{address[:80]}” is no email address.", "Write it like ann@example.org.")
        return clean_email(address)
    if channel == "sms":
        try:
            number = phonenumbers.parse(address, None)
        except phonenumbers.NumberParseException as error:
            raise Bad(f"“{address[:80]}” is no phone number.", "Write it like +49 30 1234567.") from error
        if not phonenumbers.is_possible_number(number):
            raise Bad(f"“{address[:80]}” is no phone number.", "Write it like +49 30 1234567.")
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return address


def _split(cell: str) -> list[str]:
    parts = re.findall(r"(?:[^|\\]|\\.)+", cell, re.DOTALL)
    clean = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL).strip() for part in parts)
    return [part for part in clean if part]


def _escaped(address: str) -> str:
    return address.replace("\\", "\\\\").replace("|", "\\|")


def _time(value: Any) -> str:
    return f"{value:%H:%M}" if not (value.second or value.microsecond) else str(value.isoformat())
