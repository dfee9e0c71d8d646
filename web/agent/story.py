"""The timeline as people read it: the conversation with its climbs, or every event in words."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db.models import CharField, Value

from accounts.models import Team, User
from core.statements import Statement, is_any
from escalation import kinds as ladder
from notifications.models import Contact
from tickets import kinds
from tickets.models import Attachment, Entry, EntryKind, Event, Ticket
from web.agent.words import Names, climb_words, tell_event

# A text longer than this is folded; the whole of it is one click away.
FOLD_AT = 2_500
FOLD_LINES = 30
ENTRY_KINDS = (kinds.REPLIED, kinds.NOTED, kinds.UPDATED, kinds.HANDED_OFF)
HANDOFF_LABELS = (
    ("impact", "Impact"),
    ("tried", "Tried"),
    ("suspected", "Suspected cause"),
    ("next_action", "Next action"),
)
# Shown between the entries too, in a word; everything else only in the whole timeline.
_PLAIN = (
    kinds.STATUS_CHANGED,
    kinds.SEVERITY_CHANGED,
    kinds.MERGED,
    kinds.DECLARED_MAJOR,
    kinds.LINKED,
    kinds.UNLINKED,
    ladder.RESUMED,
    ladder.INCIDENT_UPDATED,
    ladder.NOBODY,
    ladder.PASSED_ON,
    ladder.FOLLOWED_UP,
    ladder.REQUESTED,
    ladder.REQUEST_ANSWERED,
    ladder.CONSULTED,
    ladder.SENT_BACK,
    ladder.QUESTION_PASSED,
    ladder.QUESTION_UNANSWERED,
    ladder.QUESTION_ANSWERED,
    ladder.SET_ASIDE,
    ladder.DEAD_LETTER,
    ladder.APPLIED,
)


@dataclass(slots=True)
class Said:
    """One contribution to the conversation."""

    event: Event
    entry: Entry
    files: list[Attachment]
    handoff: list[tuple[str, str]]
    is_line: bool = False

    @property
    def head(self) -> str:
        return "\n".join(self.entry.body[:FOLD_AT].split("\n")[:FOLD_LINES])

    @property
    def folded(self) -> bool:
        return len(self.head) < len(self.entry.body)

    @property
    def verb(self) -> str:
        """How the author line goes on."""
        if self.event.kind == kinds.OPENED:
            return "opened the ticket"
        return {
            EntryKind.REPLY: "wrote" if self.entry.from_requester else "replied",
            EntryKind.NOTE: "note, only agents see it",
            EntryKind.UPDATE: "stakeholder update",
            EntryKind.HANDOFF: "handoff to the next tier",
        }[EntryKind(self.entry.kind)]


@dataclass(slots=True)
class Line:
    """One event, or one climb with its tellings and its acknowledgement, in a line."""

    event: Event
    icon: str
    who: str
    text: str
    reason: str = ""
    told: list[str] = field(default_factory=list)
    acknowledged_by: str = ""
    acknowledged_after: float | None = None
    tone: str = ""
    is_line: bool = True


def tell(ticket: Ticket, events: Sequence[Event], names: Names, *, whole: bool) -> list[Said | Line]:
    """Return what the page shows, oldest first; `whole` leaves out nothing."""
    spoken = [event for event in events if event.kind in (*ENTRY_KINDS, kinds.OPENED)]
    files = _files_of(spoken)
    items: list[Said | Line] = []
    climbs = _Climbs(items, names, ticket.opened_at)
    for event in events:
        names.saw(event)
        entry = getattr(event, "entry", None)
        if whole and (entry is None or event.kind == kinds.OPENED):
            items.append(_line(event, names))
        if entry is not None:
            items.append(_said(event, entry, files.get(entry.pk, [])))
        elif not whole and not climbs.took(event) and event.kind in _PLAIN and not _is_noise(event):
            items.append(_line(event, names))
    return items


class _Climbs:
    """Folds a climb, its tellings and its acknowledgement into one line of the conversation."""

    def __init__(self, items: list[Said | Line], names: Names, since: dt.datetime) -> None:
        self._items = items
        self._names = names
        self._since = since
        self._line: Line | None = None
        self._shown = False

    def took(self, event: Event) -> bool:
        """Take the event if it belongs to a climb, and tell whether it does."""
        match event.kind:
            case ladder.ESCALATED | ladder.TOLD_AGAIN | ladder.ENTERED:
                self._line = _climb(event, self._names, event.when - self._since)
                self._since = event.when
                self._shown = False
                if event.kind != ladder.ENTERED:
                    self._show()
            case ladder.TOLD if self._line is not None:
                self._show()
                told = self._names.contacts(event.data.get("contacts", ()))
                self._line.told += [name for name in told if name not in self._line.told]
            # At a queue, which tells nobody, whoever takes the ticket acknowledges it: that much the owner shows.
            case ladder.ACKNOWLEDGED if self._line is not None and self._shown:
                self._line.acknowledged_by = self._names.acknowledger(event)
                self._line.acknowledged_after = event.data.get("after_seconds")
            case ladder.ACKNOWLEDGED | ladder.TOLD:
                pass
            case _:
                return False
        return True

    def _show(self) -> None:
        if self._line is not None and not self._shown:
            self._items.append(self._line)
            self._shown = True


def _is_noise(event: Event) -> bool:
    """Tell whether a change follows so plainly from what stands beside it that only the whole timeline needs it."""
    if event.kind == ladder.APPLIED:
        return not event.data.get("moved")
    return (
        event.kind == kinds.STATUS_CHANGED
        and event.data.get("from") == "new"
        and event.data.get("to") == "open"
    )


def _said(event: Event, entry: Entry, files: list[Attachment]) -> Said:
    handoff = [(label, entry.fields[name]) for name, label in HANDOFF_LABELS if entry.fields.get(name)]
    return Said(event=event, entry=entry, files=files, handoff=handoff)


def _line(event: Event, names: Names) -> Line:
    icon, text, tone = tell_event(event, names)
    return Line(event=event, icon=icon, who=names.actor(event), text=text, reason=reason_of(event), tone=tone)


def _climb(event: Event, names: Names, held: dt.timedelta) -> Line:
    icon, text, tone = climb_words(event, names, held)
    return Line(event=event, icon=icon, who="", text=text, reason=reason_of(event), tone=tone)


def reason_of(event: Event) -> str:
    """Return the reason that somebody gave or what they asked, if it has not been erased."""
    payload = getattr(event, "payload", None)
    text = payload.text if payload is not None else {}
    return str(text.get("reason") or text.get("question") or "")


def _files_of(events: Iterable[Event]) -> dict[int, list[Attachment]]:
    entries = [event.entry.pk for event in events if getattr(event, "entry", None) is not None]
    found: dict[int, list[Attachment]] = {}
    if entries:
        for attachment in Attachment.objects.filter(entry_id__in=entries).order_by("pk"):
            found.setdefault(attachment.entry_id, []).append(attachment)
    return found


def names_for(events: Sequence[Event], *, whole: bool) -> Names:
    """Look up everybody and every team the events name by id, in one query."""
    users: set[int] = set()
    teams: set[int] = set()
    contacts: set[int] = set()
    for event in events:
        data = event.data
        match event.kind:
            case kinds.ASSIGNED if whole:
                users |= _ids(data.get("from"), data.get("to"))
            case kinds.TEAM_CHANGED if whole:
                teams |= _ids(data.get("from"), data.get("to"))
            case kinds.OPENED if whole:
                teams |= _ids(data.get("team"))
            case kinds.FIELD_CHANGED if whole and data.get("field") == "requester":
                users |= _ids(data.get("from"), data.get("to"))
            case ladder.SENT_BACK | ladder.QUESTION_PASSED:
                users |= _ids(data.get("to"))
            case ladder.TOLD | ladder.CONSULTED:
                contacts |= _ids(*data.get("contacts", ()))
            case ladder.ACKNOWLEDGED | ladder.PASSED_ON | ladder.DEAD_LETTER:
                contacts |= _ids(data.get("contact"))
            case _:
                pass
    if not (users or teams or contacts):
        return Names({})
    found = _named().run(users=list(users), teams=list(teams), contacts=list(contacts))
    return Names({(kind, pk): name for kind, pk, name in found})


@cache
def _named() -> Statement:
    """Write the statement for names by kind and id; `users`, `teams` and `contacts` are left blank."""
    return Statement.of(
        _labelled("user", User.objects.filter(is_any("pk", "users"))).union(
            _labelled("team", Team.objects.filter(is_any("pk", "teams"))),
            _labelled("contact", Contact.objects.filter(is_any("pk", "contacts"))),
            all=True,
        )
    )


def _labelled(kind: str, rows: Any) -> Any:
    return rows.values_list(Value(kind, output_field=CharField()), "pk", "name").order_by()


def _ids(*values: object) -> set[int]:
    return {value for value in values if isinstance(value, int)}
