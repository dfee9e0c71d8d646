"""What model and engine hold, in the same plain words, so that the two can be laid side by side."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

from escalation.models import Clock, Escalation, EscalationRequest, Standing
from escalation.models.clocks import LIVE
from tests.model.model import Model
from tests.model.plain import Row, outbox
from tests.model.real import Real
from tests.model.things import Message
from tickets.models import Ticket

View = dict[str, Any]


def of_model(model: Model) -> list[View]:
    """Return every ticket of the model in plain words."""
    return [
        {
            "ticket": {
                "status": t.status,
                "severity": t.severity,
                "tier": t.tier,
                "team": t.team,
                "owner": t.owner,
                "last_answer": t.last_answer,
                "last_requester": t.last_requester,
                "next_due": min(
                    (c.due for c in t.clocks.values() if c.due is not None and c.kind != "next_telling"),
                    default=None,
                ),
                "tier_due": t.clocks["tier_time"].due if "tier_time" in t.clocks else None,
                "unacknowledged_since": t.clocks["acknowledge"].started
                if "acknowledge" in t.clocks and t.clocks["acknowledge"].state == "running"
                else None,
                "merged_into": t.merged_into.number if t.merged_into is not None else None,
                "is_major": t.is_major,
                "incident": t.incident.number if t.incident is not None else None,
            },
            "standing": {
                "path": (t.path.name, t.path.number),
                "step": t.position,
                "seq": t.seq,
                "since": t.since,
                "round": t.round,
                "declined": tuple(t.declined),
                "falls": t.falls,
                "suspended": t.suspended,
                "automatic": t.automatic,
                "allowances": t.allowances,
            },
            "clocks": {
                c.kind: {
                    "state": c.state,
                    "seq": c.seq,
                    "round": c.round,
                    "started": c.started,
                    "recorded": c.recorded,
                    "budget": c.budget,
                    "used": c.used,
                    "since": c.since,
                    "due": c.due,
                    "warn": c.warn if c.warned is None else None,
                    "warned": c.warned,
                    "pauses": [tuple(pause) for pause in c.pauses],
                    "fires": c.fires,
                    "calendar": (c.calendar.name, c.calendar.number),
                    "path": (c.path.name, c.path.number),
                }
                for c in t.clocks.values()
            },
            "ended": Counter((c.kind, c.state, c.seq, c.started, c.stopped) for c in t.ended),
            "escalations": [
                {
                    "seq": e.seq,
                    "kind": e.kind,
                    "trigger": e.trigger,
                    "from": e.from_position,
                    "to": e.position,
                    "at": e.at,
                    "due": e.due,
                    "late": e.late,
                    "co_triggers": e.co_triggers,
                    "actor": e.actor,
                    "acknowledged": (e.acknowledged, e.acknowledged_by, e.acknowledged_contact, e.via),
                }
                for e in t.escalations
            ],
            "wishes": [(wish.seq, wish.state) for wish in t.wishes],
        }
        for t in model.tickets
    ]


_OF_AN_ESCALATION = (
    "ticket_id",
    "seq",
    "kind",
    "trigger",
    "at",
    "due_at",
    "late_by",
    "co_triggers",
    "actor_id",
    "acknowledged_at",
    "acknowledged_by_id",
    "acknowledged_contact_id",
    "acknowledged_via",
)


def of_real(real: Real) -> list[View]:
    """Return every ticket of the database in the same words; five queries."""
    names = real.names
    tickets = {t.pk: t for t in Ticket.objects.filter(pk__in=real.tickets)}
    standings = {s.pk: s for s in Standing.objects.filter(pk__in=real.tickets).select_related("step")}
    views: list[View] = []
    for pk in real.tickets:
        t, s = tickets[pk], standings[pk]
        views.append(
            {
                "ticket": {
                    "status": t.status,
                    "severity": t.severity,
                    "tier": t.tier,
                    "team": names.team(t.team_id),
                    "owner": names.person(t.assignee_id),
                    "last_answer": t.last_answer_at,
                    "last_requester": t.last_requester_at,
                    "next_due": t.next_due_at,
                    "tier_due": t.tier_due_at,
                    "unacknowledged_since": t.unacknowledged_since,
                    "merged_into": real.number(t.merged_into_id),
                    "is_major": t.is_major,
                    "incident": real.number(t.incident_id),
                },
                "standing": {
                    "path": names.path(s.version_id),
                    "step": s.step.position,
                    "seq": s.seq,
                    "since": s.since,
                    "round": s.round,
                    "declined": tuple(names.contact(contact) for contact in s.declined),
                    "falls": s.falls,
                    "suspended": s.suspended_at is not None,
                    "automatic": s.automatic_steps,
                    "allowances": s.allowances,
                },
                "clocks": {},
                "ended": Counter(),
                "escalations": [],
                "wishes": [],
            }
        )
    # Plain values: a model instance for each clock ever started would cost more than the query.
    for c in Clock.objects.filter(ticket_id__in=real.tickets).order_by("pk").values_list(named=True):
        view = views[real.tickets.index(c.ticket_id)]
        if c.state not in LIVE:
            view["ended"][c.kind, c.state, c.seq, c.started_at, c.stopped_at] += 1
            continue
        view["clocks"][c.kind] = {
            "state": c.state,
            "seq": c.seq,
            "round": c.round,
            "started": c.started_at,
            "recorded": c.recorded_at,
            "budget": c.budget,
            "used": c.used,
            "since": c.running_since,
            "due": c.due_at,
            "warn": c.warn_at if c.warned_at is None else None,
            "warned": c.warned_at,
            "pauses": [tuple(_instant(end) for end in pause) for pause in c.pauses],
            "fires": c.fires_at,
            "calendar": names.calendar(c.calendar_version_id),
            "path": names.path(c.path_version_id),
        }
    rows = Escalation.objects.filter(ticket_id__in=real.tickets).order_by("ticket", "seq")
    for e in rows.values_list("from_step__position", "to_step__position", *_OF_AN_ESCALATION, named=True):
        views[real.tickets.index(e.ticket_id)]["escalations"].append(
            {
                "seq": e.seq,
                "kind": e.kind,
                "trigger": e.trigger,
                "from": e.from_step__position,
                "to": e.to_step__position,
                "at": e.at,
                "due": e.due_at,
                "late": e.late_by,
                "co_triggers": tuple(cause["kind"] for cause in e.co_triggers),
                "actor": names.person(e.actor_id),
                "acknowledged": (
                    e.acknowledged_at,
                    names.person(e.acknowledged_by_id),
                    _of_nobody(names.contact(e.acknowledged_contact_id), names.person(e.acknowledged_by_id)),
                    e.acknowledged_via,
                ),
            }
        )
    wishes = EscalationRequest.objects.filter(ticket_id__in=real.tickets).order_by("ticket", "seq")
    for ticket_id, seq, state in wishes.values_list("ticket_id", "seq", "state"):
        views[real.tickets.index(ticket_id)]["wishes"].append((seq, state))
    return views


def _of_nobody(contact: str | None, person: str | None) -> str | None:
    """Return the contact of somebody without an account: a person's own says nothing that the person does not."""
    return contact if contact != person else None


def row_of(message: Message) -> Row:
    """Return a message of the model as a row of the outbox reads."""
    return Row(
        message.ticket.number,
        message.kind,
        message.seq,
        message.round,
        message.contact,
        message.user,
        message.address,
        message.state,
        message.at,
        message.state != "dead" or message.handled,
    )


@dataclass
class Look:
    """What the database holds after one verb, and what the timelines gained by it."""

    tickets: list[View]
    outbox: list[Row]
    events: list[tuple[int, Any]]

    @classmethod
    def at(cls, real: Real) -> "Look":
        return cls(of_real(real), outbox(real), real.new_events())

    def events_of(self, number: int) -> list[tuple[str, dict[str, Any]]]:
        """Return (kind, data) of one ticket's new events, in order."""
        return [(event[0], dict(event[3])) for ticket, event in self.events if ticket == number]


def differences(model: Model, look: Look, events_before: list[int]) -> list[str]:
    """Return in words where model and database differ after one verb; `events_before` counts the model's events.

    Events of one verb are compared as a bag: which of them is written first is nobody's promise.
    """
    found: list[str] = []
    for number, (mine, its) in enumerate(zip(of_model(model), look.tickets, strict=True)):
        found += _compare(f"ticket {number}", mine, its)
    expected = Counter(
        (ticket.number, event)
        for ticket, before in zip(model.tickets, events_before, strict=True)
        for event in ticket.events[before:]
    )
    happened = Counter(look.events)
    found += [f"timeline: the model expects {_event(e)}, missing" for e in (expected - happened).elements()]
    found += [f"timeline: the engine wrote {_event(e)}, unexpected" for e in (happened - expected).elements()]
    wanted, there = Counter(row_of(m) for m in model.outbox), Counter(look.outbox)
    found += [f"outbox: the model expects {row}" for row in (wanted - there).elements()]
    found += [f"outbox: the engine has {row}" for row in (there - wanted).elements()]
    return found


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text is not None else None


def _event(item: tuple[int, Any]) -> str:
    number, (kind, actor, at, data) = item
    return f"ticket {number} {kind} by {actor} at {clock_time(at)} {dict(data)}"


def clock_time(at: dt.datetime) -> str:
    return at.strftime("%a %d %H:%M:%S") + (f".{at.microsecond:06d}" if at.microsecond else "")


def _compare(where: str, mine: Any, its: Any) -> list[str]:
    if mine == its:
        return []
    if isinstance(mine, dict) and isinstance(its, dict) and not isinstance(mine, Counter):
        return [
            line
            for key in sorted({*mine, *its}, key=str)
            for line in _compare(f"{where} {key}", mine.get(key, "nothing"), its.get(key, "nothing"))
        ]
    if isinstance(mine, list) and len(mine) == len(its):
        return [
            line
            for n, pair in enumerate(zip(mine, its, strict=True))
            for line in _compare(f"{where} {n}", *pair)
        ]
    if isinstance(mine, Counter):
        return [f"{where}: model only {mine - its}, engine only {its - mine}"]
    return [f"{where}: the model says {_say(mine)}, the engine {_say(its)}"]


def _say(value: Any) -> str:
    return clock_time(value) if isinstance(value, dt.datetime) else repr(value)
