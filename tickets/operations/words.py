"""What people write into a ticket's fields, checked and made fit to be stored."""

import re

from django.conf import settings

from core.errors import Refused
from core.text import storable

MAX_SUBJECT = 300
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


def clean_subject(subject: str) -> str:
    """Return a subject in one line. Raises Refused when nothing is left or it is longer than MAX_SUBJECT."""
    line = "".join(char if char.isprintable() else " " for char in subject)
    line = " ".join(line.split())
    if not line:
        raise Refused("A ticket needs a subject.", field="subject", value=subject, mend="Say it in a line.")
    if len(line) > MAX_SUBJECT:
        raise Refused(
            f"The subject has {len(line)} characters.",
            field="subject",
            value=line[:60] + "…",
            mend=f"Take at most {MAX_SUBJECT}; the rest belongs into the message.",
        )
    return line


def clean_body(body: str) -> str:
    """Return a message without blanks around it. Raises Refused when it is longer than BELAY_MAX_BODY."""
    body = storable(body).strip()
    if len(body) > settings.BELAY_MAX_BODY:
        raise Refused(
            f"The text has {len(body):,} characters.",
            field="body",
            value=body[:40] + "…",
            mend=f"Take at most {settings.BELAY_MAX_BODY:,}, or attach it as a file.",
        )
    return body


def clean_tag(tag: str) -> str:
    """Return a tag: small letters, hyphens for blanks. Raises Refused (empty, a comma, longer than 50)."""
    clean = "-".join(storable(tag).lower().split())
    if not clean or len(clean) > 50 or "," in clean:
        raise Refused(
            f"“{tag}” is no tag.", field="tags", value=tag, mend="Take 1 to 50 characters without commas."
        )
    return clean


def reason_text(reason: str) -> dict[str, str] | None:
    """Return a reason as an event's personal text, None where none was given."""
    reason = storable(reason).strip()
    return {"reason": reason} if reason else None


def safe_name(name: str) -> str:
    """Return a file name fit to be shown and downloaded: no path, no control characters, at most 255 long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if char.isprintable())
    # The end holds the extension; a leading dot would hide the file.
    return shown.strip(". ")[-255:].strip(". ") or "file"


def safe_media_type(content_type: str) -> str:
    """Return a media type fit for a header, without parameters; what is none becomes a stream of bytes."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind if len(kind) <= 100 and _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"
