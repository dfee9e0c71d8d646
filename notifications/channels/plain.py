"""Words for chats, of which nothing becomes markup, a mention or a disguised link, whatever the chat makes of text.

Escaping depends on the service and is shown as it stands by the next one. So the few signs that would act are replaced
by others that look alike, only where they would act; an invisible space keeps the others apart.
"""

import re

_APART = "\u200b"
_ALIKE = str.maketrans({"<": "‹", ">": "›", "*": "∗", "`": "ˋ", "~": "∼", "|": "¦"})
_MENTION = re.compile(r"@(?=\S)")
# Emphasis begins and ends at the edges of words: db_01_x is none.
_EDGE = re.compile(r"(?<!\w)_+|_+(?!\w)")
_LINK = re.compile(r"\](?=[(\[:])")
_EMOJI = re.compile(r":(?=[A-Za-z+\-][\w+\-]*:)")
# Headings, quotes, lists, rules and, further in, code.
_LINE_START = re.compile(r"^[ \t]*(?=[#=+\-]|\d+[.)])|^[ \t]+", re.MULTILINE)


def plain(text: str, *keep: str) -> str:
    """Return `text` so that no chat finds markup in it; the addresses of `keep` stay as they are."""
    kept = [re.escape(address) for address in keep if address]
    if not kept:
        return _harmless(text)
    parts = re.split(f"({'|'.join(kept)})", text)
    return "".join(part if place % 2 else _harmless(part) for place, part in enumerate(parts))


def _harmless(text: str) -> str:
    text = text.translate(_ALIKE)
    text = _MENTION.sub(f"@{_APART}", text)
    text = _EDGE.sub(lambda edge: "＿" * len(edge[0]), text)
    text = _LINK.sub(f"]{_APART}", text)
    text = _EMOJI.sub(f":{_APART}", text)
    return _LINE_START.sub(lambda start: _APART if start.end() < len(text) else "", text)
