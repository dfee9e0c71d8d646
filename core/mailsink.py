"""Read the mails that the development mail server kept."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path

from django.conf import settings

_HERE = {"localhost", "127.0.0.1", "::1"}
NAME = re.compile(r"\d{20}-[0-9a-f]{8}\.eml")


@dataclass(frozen=True)
class KeptMail:
    """One line of the list."""

    name: str
    kept_at: datetime
    sender: str
    recipients: str
    subject: str


def sink_in_use() -> bool:
    """Tell whether our mails go to the sink of this installation and not out into the world."""
    smtp = settings.EMAIL_BACKEND.endswith("smtp.EmailBackend")
    return smtp and settings.EMAIL_HOST in _HERE and Path(settings.BELAY_MAIL_DIR).is_dir()


def list_mails(limit: int = 100) -> list[KeptMail]:
    """Return the newest mails, newest first; none where no sink has ever run."""
    folder = Path(settings.BELAY_MAIL_DIR)
    names = sorted((path.name for path in folder.glob("*.eml") if NAME.fullmatch(path.name)), reverse=True)
    parser = BytesHeaderParser(policy=policy.default)
    mails = []
    for name in names[:limit]:
        try:
            head = parser.parsebytes((folder / name).read_bytes())
        except FileNotFoundError:
            continue  # the sink dropped it just now, as one of the oldest
        mails.append(
            KeptMail(
                name=name,
                kept_at=datetime.fromtimestamp(int(name[:20]) / 1e9, UTC),
                sender=str(head.get("From", head.get("X-Envelope-From", ""))),
                recipients=str(head.get("X-Envelope-To", head.get("To", ""))),
                subject=str(head.get("Subject", "")),
            )
        )
    return mails


def read_mail(name: str) -> EmailMessage:
    """Return one mail by the name the list gave it.

    Raises FileNotFoundError for any other name; what is not a name of the sink's own never reaches the disk.
    """
    if not NAME.fullmatch(name):
        raise FileNotFoundError(name)
    raw = (Path(settings.BELAY_MAIL_DIR) / name).read_bytes()
    return BytesParser(policy=policy.default).parsebytes(raw)
