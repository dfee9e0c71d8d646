"""CSV as spreadsheets write it, and without what they would take for a formula. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import Refused
from core.text import storable

MOST_BYTES = 1_000_000
MOST_LINES = 5_000
LONGEST_CELL = 20_000
_DELIMITERS = (",", ";", "\t")
# A cell that begins so is run by spreadsheets; one apostrophe before it and they show it as text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a sheet: in which line of the file it begins, and its cells by column."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet that was read: the columns it has, and its rows."""

    columns: frozenset[str]
    lines: tuple[Line, ...]


def guarded(text: str) -> str:
    """Return a cell's text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return what `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write_sheet(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV: UTF-8 with the mark by which spreadsheets know it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def read_sheet(data: bytes, *, columns: Sequence[str], needed: Sequence[str]) -> Sheet:
    """Read a CSV file with commas, semicolons or tabs, in UTF-8 with or without a mark.

    Columns may stand in any order and be left out, but for those `needed`. Empty rows are passed over. Raises Refused,
    which names the line.
    """
    text = _decoded(data)
    rows = _rows(text, columns)
    if not rows:
        raise Refused("The file is empty.", field="file", mend="Its first line names the columns.")
    (first, names), *body = rows
    header = [name.strip().lower() for name in names]
    _check_header(first, header, columns, needed)
    lines = []
    for number, cells in body:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            raise Refused(
                f"Line {number} has {len(cells)} cells, and there are {len(header)} columns.",
                field="file",
                value=cells[len(header)][:80],
                mend="Put cells with commas into quotes.",
            )
        padded = [*cells, *[""] * (len(header) - len(cells))]
        lines.append(
            Line(number, {name: unguarded(cell) for name, cell in zip(header, padded, strict=False)})
        )
    if len(lines) > MOST_LINES:
        raise Refused(
            f"{len(lines)} rows are too many at once.", field="file", mend=f"Send {MOST_LINES} at most."
        )
    return Sheet(frozenset(header), tuple(lines))


def _decoded(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise Refused(
            f"The file has {len(data):,} bytes.", field="file", mend=f"Send {MOST_BYTES:,} at most, in parts."
        )
    try:
        return storable(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(
            f"The file is not UTF-8: line {line} has a byte that is none.",
            field="file",
            value=f"0x{data[error.start]:02x}",
            mend="Save it as “CSV UTF-8”.",
        ) from error


def _rows(text: str, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return the rows with the line each begins in; the delimiter is the one that finds most of our columns."""
    known = set(columns)
    first = text.partition("\n")[0]

    def found(delimiter: str) -> int:
        return sum(name.strip().strip('"').lower() in known for name in first.split(delimiter))

    delimiter = max(_DELIMITERS, key=found)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    begins = 1
    try:
        for cells in reader:
            long = next((cell for cell in cells if len(cell) > LONGEST_CELL), None)
            if long is not None:
                raise Refused(
                    f"A cell of line {begins} has {len(long):,} characters.",
                    field="file",
                    value=long[:80],
                    mend="Close the quotes before it.",
                )
            rows.append((begins, cells))
            begins = reader.line_num + 1
            if len(rows) > 2 * MOST_LINES:
                break
    except csv.Error as error:
        raise Refused(
            f"Line {begins} can't be read: {error}.", field="file", mend="Close its quotes."
        ) from error
    return rows


def _check_header(line: int, header: list[str], columns: Sequence[str], needed: Sequence[str]) -> None:
    for name in header:
        if name not in columns:
            raise Refused(
                f"Line {line} names a column “{name[:80]}”, which there is none of.",
                field="file",
                value=name[:80],
                mend=f"The columns are: {', '.join(columns)}.",
            )
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise Refused(
            f"The column “{twice}” stands twice.", field="file", value=twice, mend="Name each column once."
        )
    for name in needed:
        if name not in header:
            raise Refused(
                f"The column “{name}” is missing.",
                field="file",
                value=", ".join(header),
                mend="Name it in the first line.",
            )
