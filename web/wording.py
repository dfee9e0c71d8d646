"""Words for the kinds of notifications: as the outbox names them, and as the bell tells the person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from escalation import kinds as ladder
from notifications import receivers
from notifications.operations.trials import TEST
from notifications.rendering import DIGEST
from notifications.watching import NEWS, ROUND_UP


@dataclass(frozen=True, slots=True)
class Words:
    """How a kind is called, and what it says to whoever gets it."""

    name: str
    told: str


KINDS: Mapping[str, Words] = {
    receivers.OPENED: Words("Receipt to the requester", "Your request has arrived"),
    receivers.ANSWERED: Words("Answer to the requester", "Your request was answered"),
    receivers.UPDATED: Words("Update to the requester", "News of your request"),
    receivers.RESOLVED: Words("Marked as solved, to the requester", "Your request is marked as solved"),
    receivers.MERGED: Words("Merged, to the requester", "Your request goes on as part of another"),
    receivers.REPLIED: Words("The requester’s reply, to the owner", "The requester wrote"),
    receivers.ASSIGNED: Words("Assignment", "This ticket is yours now"),
    ladder.TELL: Words("Call to take it", "You are asked to take it"),
    ladder.TELL_FALLBACK: Words(
        "Call to the fallback", "You are asked to take it: nobody else can be reached"
    ),
    ladder.TELL_LEAD: Words("Missed promise, to the lead", "A promise was missed"),
    ladder.TELL_OWNER: Words("Deadline, to the owner", "A deadline of yours is due"),
    ladder.TELL_REQUEST: Words("Requester’s wish, to the lead", "The requester asks to escalate"),
    ladder.TELL_ANSWER: Words("Answer to the requester’s wish", "Your wish to escalate was answered"),
    ladder.TELL_CONSULT: Words("Call for help", "Your help is asked for"),
    ladder.TELL_QUESTION: Words("Question about a handoff", "You are asked about your handoff"),
    ladder.TELL_QUESTION_ANSWER: Words("Answer about a handoff", "Your question was answered"),
    ladder.TELL_INCIDENT_UPDATE: Words("Update of an incident", "News of the incident"),
    ladder.TELL_SET_ASIDE: Words("Ticket that fails", "Belay can’t work on this ticket by itself"),
    TEST: Words("Test of a way", "A test of how you are reached"),
    NEWS: Words("News to a follower", "News of a ticket that you follow"),
    ROUND_UP: Words("Round-up to a follower", "News of several tickets that you follow"),
    DIGEST: Words("Digest of repetitions", "Several tickets are waiting"),
}
_OWNER = {
    "warning": "A deadline of yours is due soon",
    "follow_up": "Nobody answered: it is open again",
}


def name_of(kind: str) -> str:
    """Return what a kind is called; one that nobody has named reads as well as its own name does."""
    words = KINDS.get(kind)
    return words.name if words is not None else _plain(kind)


def told_as(kind: str, context: Mapping[str, Any]) -> str:
    """Return what a notification says to whoever gets it, in a few words."""
    if kind == ladder.TELL_OWNER:
        return _OWNER.get(str(context.get("what", "")), KINDS[kind].told)
    words = KINDS.get(kind)
    return words.told if words is not None else _plain(kind)


def _plain(kind: str) -> str:
    return kind.rpartition(".")[2].replace("_", " ").capitalize()
