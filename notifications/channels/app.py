"""In Belay itself: the bell shows the outbox, so nothing has to leave."""

from notifications.channels.base import Envelope


def send_app(_envelope: Envelope) -> str:
    """Take a message for sent: its row is what the bell shows."""
    return "shown in Belay"
