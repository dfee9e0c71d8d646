"""How one log is laid out: its columns, words, delimiter, encoding and time zone; from flags and a file."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import Refused
from intake.rules import FIELDS, RENAMED, REQUIRED, STATUSES, WORDS, Vocabulary

_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_SETTINGS = ("delimiter", "encoding", "time_zone", "time_format")
_KEYS = (*_SETTINGS, "columns", *WORDS, *RENAMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything needed to read one log."""

    # field -> column; only what was said, the others are looked for under their own names.
    columns: Mapping[str, str]
    words: Vocabulary
    delimiter: str = ","
    encoding: str = "utf-8"


def read_layout(
    *,
    mapping: Path | None = None,
    columns: Sequence[str] = (),
    delimiter: str = "",
    encoding: str = "",
    time_zone: str = "",
    time_format: str = "",
) -> Layout:
    """Combine a mapping file with flags, which win. Raises Refused naming the key, its value and the mend."""
    said = _read_file(mapping) if mapping is not None else {}
    for key, value in said.items():
        if key not in _KEYS:
            raise Refused(
                f"“{key}” is nothing a mapping holds.",
                field=key,
                value=value,
                mend=f"It holds {', '.join(_KEYS)}.",
            )
        if key not in _SETTINGS and not isinstance(value, Mapping):
            raise Refused(
                f"“{key}” must be a table.", field=key, value=value, mend='Write {"theirs": "ours"}.'
            )
    levels = {word: _whole(word, value, 1, 4, "level") for word, value in said.get("level", {}).items()}
    impacts = {word: _whole(word, value, 1, 3, "impact") for word, value in said.get("impact", {}).items()}
    zone = time_zone or str(said.get("time_zone", "UTC"))
    return Layout(
        columns=_columns(columns, said.get("columns", {})),
        words=Vocabulary().with_words(
            status={word: _status(word, value) for word, value in said.get("status", {}).items()},
            level=levels,
            impact=impacts,
            renamed={name: _texts(name, said[name]) for name in RENAMED if name in said},
            zone=_zone(zone),
            time_format=time_format or str(said.get("time_format", "")),
        ),
        delimiter=_delimiter(delimiter or str(said.get("delimiter", ","))),
        encoding=_encoding(encoding or str(said.get("encoding", "utf-8"))),
    )


def places_of(header: Sequence[str], layout: Layout) -> dict[str, int]:
    """Return field -> place in the header; optional fields the log lacks are left out.

    Raises Refused for a required or named column that is not there, or one that is there twice.
    """
    names = [name.strip() for name in header]
    places: dict[str, int] = {}
    for field in FIELDS:
        column = layout.columns.get(field, field)
        if column in names:
            if names.count(column) > 1:
                raise Refused(
                    f"The column “{column}” is there twice.",
                    field=field,
                    value=column,
                    mend="Rename one of them.",
                )
            places[field] = names.index(column)
        elif field in layout.columns or field in REQUIRED:
            raise Refused(
                f"The file has no column “{column}”; it has {', '.join(names)}.",
                field=field,
                value=column,
                mend=_mend(field, names, layout),
            )
    return places


def _mend(field: str, names: Sequence[str], layout: Layout) -> str:
    other = next((mark for mark in ",;\t|" if mark != layout.delimiter and mark in "".join(names)), None)
    if len(names) == 1 and other is not None:
        shown = "tab" if other == "\t" else other
        return f"The columns seem to be parted by another sign: --delimiter '{shown}'."
    return f"Name the column that holds it: --column {field}=NAME."


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        said = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise Refused(
            f"The mapping file can't be read: {error.strerror}.",
            field="mapping",
            value=str(path),
            mend="Give the path of a JSON or TOML file.",
        ) from error
    except ValueError as error:  # what JSON, TOML and UTF-8 raise alike
        raise Refused(
            f"The mapping file makes no sense: {error}.",
            field="mapping",
            value=str(path),
            mend="Write JSON, or TOML in a file that ends with .toml.",
        ) from error
    if not isinstance(said, dict):
        raise Refused(
            "The mapping must be a table.", field="mapping", value=str(path), mend='Begin it with "{".'
        )
    return said


def _columns(flags: Sequence[str], said: Mapping[str, Any]) -> dict[str, str]:
    columns = {field: str(column) for field, column in said.items()}
    for flag in flags:
        field, equals, column = flag.partition("=")
        if not equals or not column.strip():
            raise Refused(
                f"“{flag}” maps no column.", field="column", value=flag, mend="Write --column case=number."
            )
        columns[field.strip()] = column.strip()
    for field, column in columns.items():
        if field not in FIELDS:
            raise Refused(
                f"“{field}” is no field of an incident log.",
                field="column",
                value=f"{field}={column}",
                mend=f"Take one of {', '.join(FIELDS)}.",
            )
    return columns


def _status(word: str, value: Any) -> str:
    if value not in STATUSES:
        raise Refused(
            f"The status “{word}” is mapped to “{value}”.",
            field="status",
            value=value,
            mend=f"Map it to one of {', '.join(sorted(STATUSES))}.",
        )
    return str(value)


def _whole(word: str, value: Any, low: int, high: int, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Refused(
            f"The {field} “{word}” is mapped to “{value}”.",
            field=field,
            value=value,
            mend=f"Map it to a whole number from {low} to {high}.",
        )
    return value


def _texts(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    for word, value in values.items():
        if not isinstance(value, str):
            raise Refused(
                f"The {name} “{word}” is mapped to {value!r}.",
                field=name,
                value=value,
                mend="Map it to text.",
            )
    return dict(values)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refused(
            f"“{name}” is no time zone.",
            field="time_zone",
            value=name,
            mend="Take a name like Europe/Stockholm.",
        ) from error


def _delimiter(text: str) -> str:
    sign = _DELIMITERS.get(text, text)
    if len(sign) != 1 or sign in '"\r\n':
        raise Refused(
            f"“{text}” can't part columns.", field="delimiter", value=text, mend="Take one sign, or tab."
        )
    return sign


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError as error:
        raise Refused(
            f"“{name}” is no encoding.", field="encoding", value=name, mend="Take utf-8, cp1252 or latin-1."
        ) from error
    return "utf-8-sig" if name.lower().replace("_", "-") in ("utf-8", "utf8") else name
