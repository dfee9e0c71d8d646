"""Who hears of what; pure.

A browser is only told *that* something changed and asks for the page's part again: permissions and rendering stay
in one place, the pages. Hence no personal text here, nor anything else that isn't needed to look again.

Topics: `ticket-<id>`, `queue` (lists of tickets), `board`, `bell` (what waits for this person and
what they are told), `alarm` (the engine is behind, or no longer).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.rules import Reach, Scope
from escalation import kinds as ladder
from tickets import kinds
from tickets.cursor import Passed

QUEUE = "queue"
BOARD = "board"
BELL = "bell"
# Not of a ticket: the engines' state has changed, or still is an alarm. Who may read it, the page decides.
ALARM = "alarm"
TICKET = "ticket-"

# What a requester may notice of their own ticket; notes, clocks and who was told are not theirs to see.
PUBLIC_KINDS = frozenset(
    {
        kinds.OPENED,
        kinds.REPLIED,
        kinds.UPDATED,
        kinds.STATUS_CHANGED,
        # The portal says which team and level has it, and whether somebody works on it.
        kinds.ASSIGNED,
        kinds.TEAM_CHANGED,
        ladder.ESCALATED,
        ladder.REQUESTED,
        ladder.REQUEST_ANSWERED,
    }
)
# What changes how much waits for a person to take it, or what their bell says.
BELL_KINDS = frozenset(
    {
        kinds.ASSIGNED,
        kinds.STATUS_CHANGED,
        ladder.ENTERED,
        ladder.ESCALATED,
        ladder.TOLD_AGAIN,
        ladder.TOLD,
        ladder.NOBODY,
        ladder.ACKNOWLEDGED,
        ladder.REQUESTED,
        ladder.REQUEST_ANSWERED,
        ladder.SET_ASIDE,
        ladder.DEAD_LETTER,
        # Somebody may have been told of them.
        ladder.WARNED,
        ladder.FOLLOWED_UP,
        ladder.CONSULTED,
        ladder.SENT_BACK,
        ladder.QUESTION_PASSED,
        ladder.QUESTION_UNANSWERED,
        ladder.QUESTION_ANSWERED,
    }
)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a Scope looks at."""

    requester_id: int
    organisation_id: int | None
    team_id: int | None
    assignee_id: int | None


@dataclass(frozen=True, slots=True)
class Happening:
    """One timeline event, reduced to what decides who hears of it."""

    ticket_id: int
    kind: str
    actor_id: int | None
    # The ticket's keys now; where the event changed one, those before it too: a list that loses a ticket must know.
    keys: tuple[Keys, ...]


@dataclass(frozen=True, slots=True)
class Hearer:
    """One person as the stream knows them: resolved at the door and again each minute."""

    user_id: int
    scope: Scope
    reads_notes: bool
    watches_board: bool


def happening(event: Passed) -> Happening:
    """Reduce an event to what the stream needs."""
    now = Keys(event.requester_id, event.organisation_id, event.team_id, event.assignee_id)
    keys = [now]
    field = _CHANGED_KEY.get(event.kind) or _CHANGED_KEY.get(str(event.data.get("field")), "")
    before = event.data.get("from")
    if field and isinstance(before, int):
        same = {name: getattr(now, name) for name in Keys.__slots__}
        keys.append(Keys(**{**same, field: before}))
    return Happening(event.ticket_id, event.kind, event.actor_id, tuple(keys))


_CHANGED_KEY = {
    kinds.TEAM_CHANGED: "team_id",
    kinds.ASSIGNED: "assignee_id",
    "organisation": "organisation_id",
    "requester": "requester_id",
}


def sees(scope: Scope, keys: Keys) -> bool:
    """Tell whether a ticket with these keys is within `scope`; the twin of tickets.querysets.scope_filter."""
    own = scope.user_id is not None and keys.requester_id == scope.user_id
    match scope.reach:
        case Reach.ALL:
            return True
        case Reach.TEAMS:
            return own or keys.assignee_id == scope.user_id or keys.team_id in scope.team_ids
        case Reach.ORGANISATIONS:
            return own or keys.organisation_id in scope.organisation_ids
        case Reach.OWN:
            return own
    return False


def topics_for(hearer: Hearer, event: Happening) -> tuple[str, ...]:
    """Return the topics this person hears of an event; none if it isn't theirs to know."""
    if not hearer.reads_notes and event.kind not in PUBLIC_KINDS:
        return ()
    if not any(sees(hearer.scope, keys) for keys in event.keys):
        return ()
    topics = [f"{TICKET}{event.ticket_id}", QUEUE]
    if hearer.watches_board:
        topics.append(BOARD)
    if _rings_bell(hearer, event):
        topics.append(BELL)
    return tuple(topics)


def _rings_bell(hearer: Hearer, event: Happening) -> bool:
    if not hearer.reads_notes:
        return event.actor_id != hearer.user_id
    if event.kind in BELL_KINDS:
        return True
    return event.actor_id != hearer.user_id and any(k.assignee_id == hearer.user_id for k in event.keys)


def read_topics(names: Iterable[str]) -> frozenset[str]:
    """Return the known topics among `names`; anything else a browser asks for is ignored."""
    return frozenset(
        name
        for name in names
        if name in (QUEUE, BOARD, BELL, ALARM)
        or (name.startswith(TICKET) and name[len(TICKET) :].isdecimal())
    )
