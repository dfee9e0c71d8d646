"""What each role may do, and how far it sees; pure."""

import enum
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field


class Verb(enum.StrEnum):
    """What a person may want to do with tickets and with Belay itself."""

    VIEW = "view"  # see a ticket and its public conversation
    READ_NOTES = "read_notes"  # see internal notes, clocks, handoffs and the timeline
    REPLY = "reply"  # write publicly
    WORK = "work"  # note, assign, status, severity, tags
    OPEN_FOR_OTHERS = "open_for_others"
    REQUEST_ESCALATION = "request_escalation"
    ESCALATE = "escalate"
    DEESCALATE = "deescalate"
    ACKNOWLEDGE = "acknowledge"
    CONSULT = "consult"  # ask a higher step for help
    SEND_BACK = "send_back"  # ask the sender of a handoff what is missing, and answer
    MERGE = "merge"
    LINK = "link"  # declare a major incident, link tickets to it
    LEAD = "lead"  # grant and decline requests, confirm falls, act for any team
    WATCH = "watch"  # the escalation board
    ADMINISTER = "administer"


class Reach(enum.IntEnum):
    """How far a verb reaches; ordered, so that the smaller of two can be taken."""

    NOTHING = 0
    OWN = 1
    ORGANISATIONS = 2
    TEAMS = 3
    ALL = 4


_REQUESTER = {
    Verb.VIEW: Reach.OWN,
    Verb.REPLY: Reach.OWN,
    Verb.REQUEST_ESCALATION: Reach.OWN,
}
# Agents see every ticket unless an admin narrows them: whoever picks up the phone must find the ticket.
_AGENT = dict.fromkeys(
    (
        Verb.VIEW,
        Verb.READ_NOTES,
        Verb.REPLY,
        Verb.WORK,
        Verb.OPEN_FOR_OTHERS,
        Verb.REQUEST_ESCALATION,
        Verb.ESCALATE,
        Verb.DEESCALATE,
        Verb.ACKNOWLEDGE,
        Verb.CONSULT,
        Verb.SEND_BACK,
        Verb.MERGE,
        Verb.LINK,
        Verb.WATCH,
    ),
    Reach.ALL,
)
_LEAD = {**_AGENT, Verb.LEAD: Reach.ALL}
_ADMIN = dict.fromkeys(Verb, Reach.ALL)

_TABLE: dict[str, dict[Verb, Reach]] = {
    "requester": _REQUESTER,
    "agent": _AGENT,
    "lead": _LEAD,
    "manager": _LEAD,
    "admin": _ADMIN,
}


def reach(role: str, verb: Verb) -> Reach:
    """Return how far `role` may carry out `verb`; what is not listed is NOTHING (deny by default)."""
    return _TABLE.get(role, {}).get(verb, Reach.NOTHING)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one person may reach with one verb; each app's queryset turns it into a filter (DESIGN 2)."""

    user_id: int | None
    reach: Reach
    team_ids: frozenset[int] = field(default_factory=frozenset)
    organisation_ids: frozenset[int] = field(default_factory=frozenset)


NOBODY = Scope(user_id=None, reach=Reach.NOTHING)


def initials_of(name: str) -> str:
    """Return the first letters of somebody's first and last name, in capitals."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


def clean_email(address: str) -> str:
    """Return an email address as it is stored and looked up: in small letters, each in its one form."""
    return unicodedata.normalize("NFKC", address.strip()).lower()


def clean_domains(domains: Iterable[str]) -> list[str]:
    """Return mail domains as they are stored: small letters, nothing before an @, each once, in order."""
    clean = (text.rpartition("@")[2].strip().lower() for text in domains)
    return sorted({domain for domain in clean if domain})
