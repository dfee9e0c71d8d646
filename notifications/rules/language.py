"""Codes of languages, as templates and contacts carry them. Pure."""

import re

LONGEST = 12
MEND = "Take a code such as en, de or pt-br."
_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


def language_code(text: str) -> str | None:
    """Return a language's code in small letters, None where it is none."""
    code = text.strip().lower()
    return code if _CODE.fullmatch(code) and len(code) <= LONGEST else None
