"""Read a log row by row into a temporary table, where PostgreSQL brings each case's rows together.

Cases may be scattered over the file and rows out of order; nothing of the file's size is kept in memory.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.db import connection, transaction

from core.errors import Refused
from intake.mapping import Layout, places_of
from intake.rules import Incident, Unreadable, Vocabulary, read_row

COPY_ROWS = 5_000
# What, besides its case and time, tells a row from others; the rest may be mapped differently another time.
_IDENTITY = ("status", "substatus", "level", "team", "resource_id")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read; `lines` are the lines of the file it stands in."""

    lines: str
    field: str
    value: str
    reason: str


@dataclass(slots=True)
class Staged:
    """What reading the file came to."""

    read: int = 0
    good: int = 0
    naive: int = 0
    out_of_order: int = 0
    cases: int = 0
    missing_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A good row in its place: all rows of a case together, by time; cases by their first row."""

    place: int
    line: int
    at: datetime
    # The same for the same row of the same case in whatever file it comes: what a second run knows it by.
    key: str
    values: Mapping[str, str]


def stage(
    path: Path,
    layout: Layout,
    *,
    now: datetime,
    on_bad: Callable[[BadRow], None],
    on_progress: Callable[[int], None] = lambda _: None,
) -> Staged:
    """Read the whole file; bad rows go to `on_bad`, `on_progress` gets the bytes read so far.

    Raises Refused for a file that can't be read, is empty or lacks a column.
    """
    result = Staged()
    try:
        source = path.open("rb")
    except OSError as error:
        raise Refused(
            f"The file can't be read: {error.strerror}.",
            field="file",
            value=str(path),
            mend="Give a CSV file.",
        ) from error
    with source, transaction.atomic():
        _make_table()
        batch: list[str] = []
        for line, values in _rows(source, layout, result, on_bad):
            try:
                incident = read_row(values, layout.words, now)
            except Unreadable as error:
                on_bad(BadRow(str(line), error.field, error.value, error.reason))
                continue
            result.good += 1
            result.naive += incident.naive
            batch.append(_copy_line(line, incident, values))
            if len(batch) >= COPY_ROWS:
                _copy(batch)
                on_progress(source.tell())
        _copy(batch)
        _put_in_order()
        result.cases, result.out_of_order = _count()
    return result


def staged_rows(after: int, limit: int) -> list[StagedRow]:
    """Return the next rows in order, from the place after `after` on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT place, line, at, fingerprint || ':' || copy, told::text FROM intake_ordered"
            " WHERE place > %s ORDER BY place LIMIT %s",
            [after, limit],
        )
        rows = cursor.fetchall()
    return [StagedRow(place, line, at, key, json.loads(told)) for place, line, at, key, told in rows]


def most_frequent_tiers(words: Vocabulary) -> dict[str, dict[int, int]]:
    """Return how many staged rows each team has at each tier."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT told->>'team', told->>'level', count(*) FROM intake_rows"
            " WHERE told ? 'team' GROUP BY 1, 2 ORDER BY 1, 2"
        )
        rows = cursor.fetchall()
    found: dict[str, dict[int, int]] = {}
    for team, level, count in rows:
        name = " ".join(team.split())
        name = words.renamed.get("team", {}).get(name.casefold(), name)
        if name:
            tiers = found.setdefault(name, {})
            tier = words.level[" ".join(level.split()).casefold()]
            tiers[tier] = tiers.get(tier, 0) + count
    return found


def _rows(
    source: BinaryIO, layout: Layout, result: Staged, on_bad: Callable[[BadRow], None]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, field -> text) of every row with the right number of columns, that could be decoded."""
    # Undecodable bytes become lone surrogates, so that one bad row does not end the reading.
    text = io.TextIOWrapper(source, encoding=layout.encoding, errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
    try:
        header = next(reader)
    except StopIteration:
        raise Refused(
            "The file is empty.",
            field="file",
            value="",
            mend="Give a CSV file whose first line names the columns.",
        ) from None
    except csv.Error as error:
        raise Refused(
            f"The first line is no CSV: {error}.", field="file", value="", mend="Mend it."
        ) from error
    places = places_of(header, layout)
    result.missing_fields = tuple(name for name in ("substatus", "team", "impact") if name not in places)
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            result.read += 1
            on_bad(BadRow(_lines(first, reader.line_num), "row", "", f"is no CSV: {error}"))
            continue
        if not row:  # a line with nothing in it is no row
            continue
        result.read += 1
        lines = _lines(first, reader.line_num)
        if len(row) != len(header):
            reason = f"has {len(row)} columns, the header {len(header)}"
            on_bad(BadRow(lines, "row", layout.delimiter.join(row)[:80], reason))
            continue
        values = {name: row[place] for name, place in places.items()}
        broken = next((name for name, value in values.items() if not _is_text(value)), None)
        if broken is not None:
            shown = values[broken].encode(errors="surrogateescape").decode(errors="backslashreplace")
            on_bad(BadRow(lines, broken, shown[:80], f"is no {layout.encoding.removesuffix('-sig')} text"))
            continue
        yield first, values
    text.detach()


def _lines(first: int, last: int) -> str:
    return str(first) if last <= first else f"{first}-{last}"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _copy_line(line: int, incident: Incident, values: Mapping[str, str]) -> str:
    at = incident.at.isoformat()
    canonical = json.dumps([at, *(values.get(name, "").strip() for name in _IDENTITY)], ensure_ascii=False)
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:20]
    return "\t".join(
        (
            str(line),
            _escaped(incident.case),
            at,
            digest,
            _escaped(json.dumps({**values, "case": incident.case})),
        )
    )


def _escaped(text: str) -> str:
    """Escape text for COPY's text format; line breaks inside JSON are escaped already, and in no case's name."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _copy(batch: list[str]) -> None:
    if not batch:
        return
    with connection.cursor() as cursor:
        lines = io.StringIO("\n".join(batch) + "\n")
        cursor.copy_expert("COPY intake_rows (line, case_key, at, fingerprint, told) FROM STDIN", lines)
    batch.clear()


def _make_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.intake_rows, pg_temp.intake_ordered")
        cursor.execute(
            'CREATE TEMPORARY TABLE intake_rows (line bigint, case_key text COLLATE "C", at timestamptz,'
            " fingerprint text, told jsonb)"
        )


def _put_in_order() -> None:
    """Give every row its place, and number the copies of equal rows of a case."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TEMPORARY TABLE intake_ordered AS
            SELECT row_number() OVER (ORDER BY began, case_key, at, line) AS place, *
            FROM (
                SELECT line, case_key, at, fingerprint, told,
                       row_number() OVER (PARTITION BY case_key, fingerprint ORDER BY line) AS copy,
                       min(at) OVER (PARTITION BY case_key) AS began
                FROM intake_rows
            ) AS counted
            """
        )
        cursor.execute("CREATE INDEX ON intake_ordered (place)")
        cursor.execute("ANALYZE intake_ordered")


def _count() -> tuple[int, int]:
    """Return how many cases there are, and how many rows stood in the file before an earlier one of their case."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(DISTINCT case_key), count(*) FILTER (WHERE at < latest)
            FROM (
                SELECT case_key, at, max(at) OVER (
                    PARTITION BY case_key ORDER BY line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS latest
                FROM intake_rows
            ) AS before
            """
        )
        cases, out_of_order = cursor.fetchone()
    return cases, out_of_order
