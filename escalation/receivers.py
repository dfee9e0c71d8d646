"""Reactions to what happens on tickets."""

from typing import Any

from escalation.operations.reactions import react
from tickets.models import Event
from tickets.timeline import Work


def on_ticket_events(sender: Any, *, events: list[Event], work: Work, **_: Any) -> None:
    """Let clocks, paths and acknowledgements follow from ticket events."""
    react(work, events)
