"""Events and outbox rows in plain words, without ids: so the real ones compare with the model's."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from notifications.models import Notification


@dataclass(frozen=True)
class Row:
    """A row of the outbox in plain words."""

    ticket: int
    kind: str
    seq: int | None
    round: int | None
    contact: str | None
    user: str | None
    address: str
    state: str
    at: dt.datetime
    handled: bool


_INSTANTS = ("due_at",)
_KEPT: dict[str, tuple[str, ...]] = {
    "opened": ("severity", "team"),
    "replied": ("from_requester",),
    "noted": ("from_requester",),
    "updated": ("from_requester",),
    "assigned": ("from", "to"),
    "team_changed": ("from", "to"),
    "status_changed": ("from", "to", "reopened"),
    "severity_changed": ("from", "to"),
    "tier_changed": ("from", "to"),
    "field_changed": ("field",),
    "escalation.entered": ("seq", "to", "tier", "path", "version"),
    "escalation.escalated": (
        "seq",
        "kind",
        "trigger",
        "from",
        "to",
        "from_tier",
        "to_tier",
        "path_changed",
        "due_at",
        "late_seconds",
        "co_triggers",
    ),
    "escalation.told_again": ("seq", "trigger", "step", "late_seconds"),
    "escalation.told": ("seq", "round", "step", "contacts", "fallback"),
    "escalation.nobody": ("seq", "round", "step"),
    "escalation.acknowledged": ("seq", "via", "contact", "step", "after_seconds"),
    "escalation.passed_on": ("seq", "contact"),
    "escalation.warned": ("clock", "due_at", "sent"),
    "escalation.due": ("clock", "due_at", "late_seconds"),
    "escalation.followed_up": ("from",),
    "escalation.requested": ("seq",),
    "escalation.request_answered": ("seq", "state"),
    "escalation.consulted": ("seq", "to", "contacts", "fallback"),
    "escalation.sent_back": ("seq", "to"),
    "escalation.question_passed": ("seq", "to"),
    "escalation.question_unanswered": ("seq",),
    "escalation.question_answered": ("seq",),
    "declared_major": (),
    "escalation.suspended": ("incident",),
    "escalation.resumed": ("incident",),
    "escalation.incident_updated": ("incident", "clock"),
    "escalation.dead_letter": ("contact", "next", "seq"),
}


JOINING = (
    "merged",
    "linked",
    "unlinked",
    "escalation.suspended",
    "escalation.resumed",
    "escalation.incident_updated",
)


def facts_of(real: Any, kind: str, data: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    names = real.names
    facts = {key: data[key] for key in _KEPT.get(kind, sorted(data))}
    if kind in JOINING:
        return tuple(sorted((key, _numbers(real, value)) for key, value in facts.items()))
    if kind == "opened":
        facts["team"] = names.team(facts["team"])
    elif kind == "team_changed":
        facts = {key: names.team(value) for key, value in facts.items()}
    elif kind in ("escalation.sent_back", "escalation.question_passed"):
        facts["to"] = names.person(facts["to"])
    elif kind == "assigned":
        facts = {key: names.person(value) for key, value in facts.items()}
    if "path" in facts:
        facts["path"], facts["version"] = names.path(facts["version"])
    if "contact" in facts:
        facts["contact"] = names.contact(facts["contact"])
        if kind == "escalation.acknowledged" and facts["contact"] in names.people:
            facts["contact"] = None
    if "contacts" in facts:
        facts["contacts"] = tuple(names.contact(pk) for pk in facts["contacts"])
    if "co_triggers" in facts:
        facts["co_triggers"] = tuple(facts["co_triggers"])
    instants = {key: dt.datetime.fromisoformat(facts[key]) for key in _INSTANTS if facts.get(key) is not None}
    return tuple(sorted({**facts, **instants}.items()))


def _numbers(real: Any, value: Any) -> Any:
    """Return what is said about other tickets with their numbers in place of their ids."""
    if isinstance(value, list):
        return tuple(real.number(pk) for pk in value)
    return value if isinstance(value, bool | str) else real.number(value)


def outbox(real: Any, key: str = "") -> list[Row]:
    """Return the outbox rows of all tickets (or the one with this key), the oldest first."""
    rows = Notification.objects.filter(ticket_id__in=real.tickets)
    if key:
        rows = rows.filter(message_id=key)
    return [
        Row(
            real.tickets.index(ticket),
            kind,
            seq,
            number,
            contact,
            real.names.person(user),
            address,
            state,
            at,
            state != "dead" or handled is not None,
        )
        for ticket, kind, seq, number, contact, user, address, state, at, handled in rows.order_by(
            "pk"
        ).values_list(
            "ticket_id",
            "kind",
            "seq",
            "round",
            "contact__name",
            "user_id",
            "address",
            "state",
            "created_at",
            "handled_at",
        )
    ]
