"""How a message leaves: one module per channel, each a `send(envelope) -> answer`."""

from notifications.channels.base import Envelope, Failed, FailedForGood, Sender
from notifications.channels.email import send_email
from notifications.channels.hanging import Hanging

_SENDERS: dict[str, Sender] = {"email": Hanging().guard(send_email)}


def sender_for(channel: str) -> Sender:
    """Return the function that sends on `channel`. Raises FailedForGood for one that does not exist."""
    try:
        return _SENDERS[channel]
    except KeyError as error:
        raise FailedForGood(f"there is no channel “{channel}”") from error


__all__ = ["Envelope", "Failed", "FailedForGood", "sender_for"]
