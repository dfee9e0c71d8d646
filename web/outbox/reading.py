"""How a message of the outbox would read now, without what gives its reader power to act."""

import logging
import re
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError

from notifications.models import Notification
from notifications.rendering import DIGEST, UnknownKind, render
from notifications.wording import templates_for, worded

log = logging.getLogger("belay.web")

# What django.core.signing writes, with an instant or without: a link with it acts in somebody's name.
_TOKEN = re.compile(r"[A-Za-z0-9_\-.=]+(?::[A-Za-z0-9]{5,})?:[A-Za-z0-9_\-=]{20,}")


@dataclass(frozen=True, slots=True)
class Reading:
    """A message's words, or why there are none."""

    subject: str = ""
    text: str = ""
    short: str = ""
    trouble: str = ""


def read_message(row: Notification) -> Reading:
    """Return the words of a message, an admin's where there are any; personal links are left out."""
    if row.kind == DIGEST:
        return Reading(trouble="A digest is written when it is sent; what it carried stands beside.")
    try:
        rendered = worded(row, render(row), templates_for([row]))
    except (DatabaseError, InterfaceError):
        raise
    except UnknownKind:
        return Reading(trouble="This version of Belay no longer knows how such a message reads.")
    except Exception:
        # What it tells of may be gone or moved on: for this page that is no failure.
        log.info("notification %s can't be shown", row.pk, exc_info=True)
        return Reading(trouble="What it tells of isn’t there any more, so it can’t be read anew.")
    return Reading(
        subject=without_tokens(rendered.subject),
        text=without_tokens(rendered.text),
        short=without_tokens(rendered.short),
    )


def without_tokens(text: str) -> str:
    """Return a text whose signed links lead nowhere."""
    return _TOKEN.sub("…", text)
