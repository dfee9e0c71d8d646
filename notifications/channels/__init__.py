"""How a message leaves: one module per channel, each a `send(envelope) -> answer`."""

from notifications.channels.app import send_app
from notifications.channels.base import Envelope, Failed, FailedForGood, Resting, Sender
from notifications.channels.chat import sender
from notifications.channels.email import send_email
from notifications.channels.hanging import Hanging
from notifications.channels.webhook import send_webhook

_SENDERS: dict[str, Sender] = {
    channel: Hanging().guard(send)
    for channel, send in {
        "email": send_email,
        "sms": sender(short=True),
        "slack": sender(),
        "teams": sender(),
        "mattermost": sender(),
        "telegram": sender(),
        "ntfy": sender(short=True),
        "apprise": sender(),
        "webhook": send_webhook,
        "app": send_app,
    }.items()
}


def sender_for(channel: str) -> Sender:
    """Return the function that sends on `channel`. Raises FailedForGood for one that does not exist."""
    try:
        return _SENDERS[channel]
    except KeyError as error:
        raise FailedForGood(f"there is no channel “{channel}”") from error


__all__ = ["Envelope", "Failed", "FailedForGood", "Resting", "sender_for"]
