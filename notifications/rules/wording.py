"""Words with names in them: “{{ severity }}: {{ title }}”, and lines that stand for a whole part of a letter. Pure.

No logic, on purpose: what an admin writes can fail while it is edited, never at 03:00 while it is sent. A name that
nobody knows is refused when it is saved, and empty should it ever be met.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}")


@dataclass(frozen=True, slots=True)
class Unknown:
    """What will not do in a wording, and how to mend it."""

    value: str
    message: str
    mend: str


def names_in(text: str) -> list[str]:
    """Return the names in a wording, in order."""
    return _NAME.findall(text)


def problems_of(text: str, known: Collection[str]) -> list[Unknown]:
    """Return what is wrong with a wording: unknown names, and braces that enclose none."""
    found = []
    for name in dict.fromkeys(names_in(text)):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            mend = f"Is it {near[0]}?" if near else f"Take one of: {', '.join(sorted(known))}."
            found.append(Unknown(name, f"Nothing is called “{name}” here.", mend))
    if _BRACES.search(_NAME.sub("", text)):
        found.append(
            Unknown(
                text[:80],
                "There are braces that enclose no name.",
                "Write names like {{ title }}, without spaces in them.",
            )
        )
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a wording with its names replaced; what is not known is empty."""
    return _NAME.sub(lambda match: values.get(match.group(1), ""), text)


def filled_lines(text: str, values: Mapping[str, str]) -> str:
    """Return a wording with its names replaced; a line all of whose names are empty is left out."""
    lines = []
    for line in text.splitlines():
        names = names_in(line)
        if names and not any(values.get(name) for name in names):
            continue
        lines.append(filled(line, values))
    return "\n".join(lines)


def laid_out(
    text: str,
    *,
    parts: Mapping[str, str],
    paragraph: Callable[[str], str],
) -> list[str]:
    """Return a body block by block: a block that is one part's name is that part, any other is given to `paragraph`.

    Blocks are separated by empty lines; those that come to nothing are left out.
    """
    blocks = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        alone = _NAME.fullmatch(block.strip())
        if alone is not None and alone.group(1) in parts:
            blocks.append(parts[alone.group(1)])
        else:
            blocks.append(paragraph(block))
    return [block for block in blocks if block]
