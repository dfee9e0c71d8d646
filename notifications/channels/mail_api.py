"""Email by a provider's HTTP API: every service that django-anymail speaks to (BELAY_MAIL_PROVIDER)."""

from collections.abc import Iterator
from typing import Any

from anymail.exceptions import AnymailError, AnymailInvalidAddress, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from notifications.channels.base import Envelope, Failed, FailedForGood
from notifications.channels.mime import address
from notifications.channels.wire import Wire, watched

BACKENDS = "anymail.backends."
# What is wrong with our own account says nothing about the recipient, and is mended sooner than a dead letter.
_OURS = ("401 ", "402 ", "403 ")


def send_by_api(envelope: Envelope, headers: dict[str, str]) -> str:
    """Send one mail by the provider that the settings name, and return its answer.

    The key is the same at every attempt. A connection is opened for each mail: it is guarded, and over when the mail
    is. Raises FailedForGood where the provider refuses the recipient or the message, Failed for all else.
    """
    try:
        # Header injection, and addresses that can't be encoded.
        address(envelope.address)
    except ValueError as error:
        raise FailedForGood(f"not a message that can be sent: {error}") from None
    mail = EmailMultiAlternatives(
        subject=envelope.subject,
        body=envelope.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[envelope.address],
        # Without the last one, Postmark puts a Message-ID of its own in the place of ours.
        headers=headers | ({"X-PM-KeepID": "true"} if "postmark" in settings.EMAIL_BACKEND else {}),
    )
    if envelope.html:
        mail.attach_alternative(envelope.html, "text/html")
    with watched(*_secrets(settings.ANYMAIL)) as wire:
        connection: Any = get_connection(settings.EMAIL_BACKEND)
        connection.open()
        try:
            # Where the provider knows it, a repetition is not even sent.
            connection.session.headers["Idempotency-Key"] = envelope.key
            return _send(mail, connection, wire)
        finally:
            connection.close()


def _send(mail: EmailMultiAlternatives, connection: Any, wire: Wire) -> str:
    try:
        connection.send_messages([mail])
    except AnymailRecipientsRefused:
        said = wire.said() or "the recipient"
        raise FailedForGood(f"refused: {said}") from None
    except AnymailInvalidAddress:
        raise FailedForGood("not an address that a mail can be sent to") from None
    except AnymailError as error:
        if not wire.met:
            raise FailedForGood(f"the provider can't send this mail ({type(error).__name__})") from None
    else:
        return wire.outcome(sent=True)
    try:
        return wire.outcome(sent=False)
    except FailedForGood as failed:
        if str(failed).startswith(_OURS):
            raise Failed(str(failed)) from None
        raise


def _secrets(values: Any) -> Iterator[str]:
    """Give every text of Anymail's settings that may be a token."""
    for value in values.values():
        if isinstance(value, str) and "://" not in value:
            yield value
