"""What reading a sheet would change, said field by field before anything is written. Pure."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from notifications.rules.transfer.cells import Bad
from notifications.rules.transfer.sheets import Line

Card = TypeVar("Card")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: which field of a card it is, how that is written, and how a cell that says otherwise is read."""

    name: str
    field: str
    write: Callable[[Any], str]
    # Raises Bad. None: it tells which card is meant, and is never changed.
    read: Callable[[str], Any] | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line can't be taken: where, what stands there, and the mend."""

    line: int
    column: str
    value: str
    message: str
    mend: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after, as the sheet writes them."""

    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change(Generic[Card]):
    """A card that is added (nothing before) or becomes another."""

    line: int
    title: str
    before: Card | None
    after: Card
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Plan(Generic[Card]):
    """All that a sheet would do; with problems it does nothing."""

    added: tuple[Change[Card], ...]
    changed: tuple[Change[Card], ...]
    unchanged: int
    problems: tuple[Problem, ...]

    @property
    def does_something(self) -> bool:
        return not self.problems and bool(self.added or self.changed)


def digest_of(world: Any) -> str:
    """Return what tells one state of everything that a plan looked at from another; `world` is of dataclasses."""
    return hashlib.sha256(repr(world).encode()).hexdigest()


def read_onto(
    card: Card, line: Line, columns: Sequence[Column], *, is_new: bool
) -> tuple[Card, list[Problem]]:
    """Return a card with what a line says; only cells that say otherwise are read and judged."""
    problems = []
    values: dict[str, Any] = {}
    for column in columns:
        cell = line.cells.get(column.name)
        if cell is None or column.read is None:
            continue
        text = cell.strip()
        # As it was written: whatever stands there already may stay, even what nobody could enter any more.
        if not is_new and text == column.write(getattr(card, column.field)).strip():
            continue
        if is_new and not text and column.write(getattr(card, column.field)):
            continue  # an empty cell of a new card is its usual value
        try:
            values[column.field] = column.read(text)
        except Bad as bad:
            problems.append(Problem(line.number, column.name, cell[:120], bad.message, bad.mend))
    return replace(card, **values), problems  # type: ignore[type-var]


def fields_changed(before: Card | None, after: Card, columns: Sequence[Column]) -> tuple[FieldChange, ...]:
    """Return the fields in which two cards differ; of a new card those that hold anything."""
    changes = []
    for column in columns:
        old = column.write(getattr(before, column.field)) if before is not None else ""
        new = column.write(getattr(after, column.field))
        if old != new and column.read is not None:
            changes.append(FieldChange(column.name, old, new))
    return tuple(changes)


def twice(problems_column: str, line: Line, first: int) -> Problem:
    """Return the problem of a line that is about the same as an earlier one."""
    return Problem(
        line.number,
        problems_column,
        line.cells.get(problems_column, "")[:120],
        f"Line {first} is about the same.",
        "Write each once.",
    )
