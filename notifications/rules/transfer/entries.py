"""The sheet of contact lists: one row per entry. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from notifications.rules.transfer import cells
from notifications.rules.transfer.plan import Change, Column, Plan, Problem, fields_changed, read_onto, twice
from notifications.rules.transfer.sheets import Line, Sheet, write_sheet

NAMES = (
    "list",
    "position",
    "contact",
    "when to reach out",
    "severities",
    "hours",
    "from round",
    "business hours",
)
NEEDED = ("list", "contact")
HOURS = ("always", "inside", "outside")
_NUMBERED = re.compile(r"(.*) #(\d{1,18})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EntryCard:
    """All that the sheet says of an entry; the calendar is its whole list's."""

    list_name: str
    contact: str
    contact_id: int
    position: int = 1
    words: str = ""
    severities: tuple[int, ...] = ()
    hours: str = "always"
    from_round: int = 1
    calendar: str = ""


@dataclass(frozen=True, slots=True)
class EntryWorld:
    """Everything that decides what a sheet of lists would change, in order, so that it can be digested."""

    entries: tuple[EntryCard, ...]
    # (name, calendar) of every list, (id, name) of every contact, names of calendars.
    lists: tuple[tuple[str, str], ...]
    contacts: tuple[tuple[int, str], ...]
    calendars: tuple[str, ...]


def labels_of(contacts: Sequence[tuple[int, str]]) -> dict[int, str]:
    """Return what the sheet calls each contact: the name, with its number where that alone could be another's."""
    counts = Counter(name.strip() for _, name in contacts)
    names = dict(contacts)

    def label(pk: int, name: str) -> str:
        numbered = _NUMBERED.fullmatch(name.strip())
        if numbered is not None and names.get(int(numbered[2]), "").strip() == numbered[1]:
            return f"{name} #{pk}"
        return name if counts[name.strip()] == 1 else f"{name} #{pk}"

    return {pk: label(pk, name) for pk, name in contacts}


def write_entries(world: EntryWorld) -> bytes:
    """Return entries as CSV."""
    columns = _columns(world)
    return write_sheet(
        NAMES, ([column.write(getattr(card, column.field)) for column in columns] for card in world.entries)
    )


def plan_entries(sheet: Sheet, world: EntryWorld) -> Plan[EntryCard]:
    """Say what a sheet would change; nobody is taken off a list by being left out."""
    columns = _columns(world)
    known = {(card.list_name.strip(), card.contact_id): card for card in world.entries}
    calendars = {name.strip(): calendar for name, calendar in world.lists}
    lists = {name.strip(): name for name, _ in world.lists}
    finder = _Finder(world)
    problems: list[Problem] = []
    changes: list[Change[EntryCard]] = []
    unchanged = 0
    seen: dict[tuple[str, int], int] = {}
    said: dict[str, tuple[int, str]] = {}
    for line in sheet.lines:
        name = line.cells["list"].strip()
        contact, problem = finder.find(line)
        problem = problem or _named(line, name) or _other_calendar(line, name, said)
        if problem is not None or contact is None:
            problems += [problem] if problem else []
            continue
        key = (name, contact[0])
        if key in seen:
            problems.append(twice("contact", line, seen[key]))
            continue
        seen[key] = line.number
        before = known.get(key)
        base = before or EntryCard(
            lists.get(name, name), contact[1], contact[0], calendar=calendars.get(name, "")
        )
        after, found = read_onto(base, line, columns, is_new=before is None)
        if "business hours" in line.cells and not line.cells["business hours"].strip():
            after = replace(after, calendar="")
        problems += found
        fields = fields_changed(before, after, columns)
        if found:
            continue
        if before is None or fields:
            changes.append(
                Change(line.number, f"{after.contact} on {after.list_name}", before, after, fields)
            )
        else:
            unchanged += 1
    return Plan(
        added=tuple(change for change in changes if change.before is None),
        changed=tuple(change for change in changes if change.before is not None),
        unchanged=unchanged,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
    )


class _Finder:
    """Finds the contact that a line names, by a name that only one has, or by name and number."""

    def __init__(self, world: EntryWorld) -> None:
        self._labels = labels_of(world.contacts)
        self._names = {pk: name.strip() for pk, name in world.contacts}
        self._by_name: dict[str, list[int]] = {}
        for pk, name in self._names.items():
            self._by_name.setdefault(name, []).append(pk)

    def find(self, line: Line) -> tuple[tuple[int, str] | None, Problem | None]:
        """Return (id, label), or the problem."""
        text = line.cells["contact"].strip()
        numbered = _NUMBERED.fullmatch(text)
        if numbered is not None and self._names.get(int(numbered[2])) == numbered[1].strip():
            pk = int(numbered[2])
            return (pk, self._labels[pk]), None
        found = self._by_name.get(text, [])
        if len(found) == 1:
            return (found[0], self._labels[found[0]]), None
        if found:
            numbers = ", ".join(f"#{pk}" for pk in found)
            problem = (
                f"{len(found)} contacts are called so.",
                f"Write one of their numbers behind the name: {numbers}.",
            )
        else:
            problem = ("There is no contact of that name.", "Add the contact first.")
        return None, Problem(line.number, "contact", text[:120], *problem)


def _columns(world: EntryWorld) -> tuple[Column, ...]:
    return (
        Column("list", "list_name", str, None),
        Column("position", "position", str, cells.number_from(0)),
        Column("contact", "contact", str, None),
        Column("when to reach out", "words", str, cells.text_of(300)),
        Column("severities", "severities", cells.write_severities, cells.read_severities),
        Column("hours", "hours", str, cells.one_of(HOURS)),
        Column("from round", "from_round", str, cells.number_from(1)),
        Column("business hours", "calendar", str, cells.name_among(world.calendars, "calendar")),
    )


def _named(line: Line, name: str) -> Problem | None:
    if 0 < len(name) <= 100:
        return None
    return Problem(
        line.number, "list", name[:120], "A list has a name of up to 100 characters.", "Name it so."
    )


def _other_calendar(line: Line, name: str, said: dict[str, tuple[int, str]]) -> Problem | None:
    """Return the problem of two lines that give one list different calendars."""
    if "business hours" not in line.cells:
        return None
    calendar = line.cells["business hours"].strip()
    first, value = said.setdefault(name, (line.number, calendar))
    if value == calendar:
        return None
    return Problem(
        line.number,
        "business hours",
        calendar[:120],
        f"Line {first} gives the same list “{value}”.",
        "A list has one calendar: write the same in all its lines.",
    )
