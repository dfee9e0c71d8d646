"""Email through Django's mail backend: SMTP by default, or a provider's API (see mail_api)."""

import smtplib
import threading
import time
from email import message_from_bytes
from email.message import Message

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import MIMEMixin

from notifications.channels.base import Envelope, Failed, FailedForGood
from notifications.channels.mail_api import BACKENDS, send_by_api
from notifications.channels.mime import address, write_mail
from notifications.channels.punctual import PunctualBackend

# One open connection per worker thread: opening one per message is what makes mail slow.
_local = threading.local()
# Mail servers hang up on idle clients after minutes; a fresh connection is cheaper than a failed attempt at 03:00.
_IDLE_SECONDS = 20.0
_DJANGOS = f"{EmailBackend.__module__}.{EmailBackend.__name__}"
_PUNCTUAL = f"{PunctualBackend.__module__}.{PunctualBackend.__name__}"


def send_email(envelope: Envelope) -> str:
    """Send one mail and return the server's answer; the Message-ID is the same at every attempt.

    Raises FailedForGood when the server refuses the recipient or the message (5xx), Failed for all else that may
    pass by itself.
    """
    if settings.EMAIL_BACKEND.startswith(BACKENDS):
        return send_by_api(envelope, _headers(envelope))
    try:
        mail = _Mail(envelope)
    except ValueError as error:
        # Header injection, and addresses that can't be encoded.
        raise FailedForGood(f"not a message that can be sent: {error}") from error
    connection = _connection()
    try:
        if isinstance(connection, PunctualBackend):
            connection.send_ready(mail.sender, mail.recipient, mail.content)
        else:
            connection.send_messages([mail])
    except smtplib.SMTPRecipientsRefused as error:
        _hang_up()
        code, answer = next(iter(error.recipients.values()))
        raise _failure(code, answer) from error
    except smtplib.SMTPResponseException as error:
        _hang_up()
        raise _failure(error.smtp_code, error.smtp_error) from error
    except (OSError, smtplib.SMTPException) as error:
        _hang_up()
        raise Failed(f"{type(error).__name__}: {error}") from error
    return "accepted"


class _Mail(EmailMessage):
    """A mail that is written down already; what Django's backends ask of one."""

    def __init__(self, envelope: Envelope) -> None:
        super().__init__(
            subject=envelope.subject, from_email=settings.DEFAULT_FROM_EMAIL, to=[envelope.address]
        )
        sender, self.recipient = address(settings.DEFAULT_FROM_EMAIL), address(envelope.address)
        headers = {
            "From": sender,
            "To": self.recipient,
            "Subject": envelope.subject,
            **_headers(envelope),
        }
        self.sender = sender
        self.content = write_mail(headers=headers, text=envelope.text, html=envelope.html)

    def message(self) -> Message:  # type: ignore[override]
        """Return it for a backend that prints or stores it."""
        return message_from_bytes(self.content, _Parsed)


class _Parsed(MIMEMixin, Message):  # type: ignore[misc]  # as Django mixes it into its own
    """A mail as Django's backends write it out."""


def _headers(envelope: Envelope) -> dict[str, str]:
    """Return what a mail says about itself to programs."""
    headers = {
        "Message-ID": envelope.key,
        "Auto-Submitted": "auto-generated",
        "X-Belay-Key": envelope.key,
    }
    if envelope.thread:
        headers["References"] = headers["In-Reply-To"] = envelope.thread
    if envelope.unsubscribe:
        # Mail programs show a button for it, and it is one click (RFC 8058).
        headers["List-Unsubscribe"] = f"<{envelope.unsubscribe}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def _connection() -> BaseEmailBackend:
    if time.monotonic() - getattr(_local, "used_at", 0.0) > _IDLE_SECONDS:
        _hang_up()
    _local.used_at = time.monotonic()
    connection: BaseEmailBackend | None = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = get_connection(_backend(), timeout=settings.EMAIL_TIMEOUT)
        try:
            connection.open()
        except (OSError, smtplib.SMTPException) as error:
            _hang_up()
            raise Failed(f"{type(error).__name__}: {error}") from error
    return connection


def _backend() -> str:
    return _PUNCTUAL if settings.EMAIL_BACKEND == _DJANGOS else settings.EMAIL_BACKEND


def _hang_up() -> None:
    """Drop the connection after any failure: its state is not known, the next message opens a new one."""
    connection: BaseEmailBackend | None = getattr(_local, "connection", None)
    _local.connection = None
    if isinstance(connection, EmailBackend) and connection.connection is not None:
        # No goodbye: a server that hangs would keep us waiting for its answer once more.
        connection.connection.close()
        connection.connection = None
    elif connection is not None:
        try:
            connection.close()
        except (OSError, smtplib.SMTPException):
            # It was broken already; there is nothing left to close.
            return


def _failure(code: int, answer: bytes | str) -> Failed:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
    kind = FailedForGood if 500 <= code < 600 else Failed
    return kind(f"{code} {text}")
