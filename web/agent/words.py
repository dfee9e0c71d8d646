"""Timeline events in words: an icon, a sentence, and whether it is late or good news."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from accounts.models import Tier
from core.durations import spoken
from escalation import kinds as ladder
from escalation.models import Clock, Escalation
from tickets import kinds
from tickets.models import Complexity, Event, Impact, Severity, Source, Status, Urgency

Words = tuple[str, str, str]
# From this lateness on it is worth a word (DESIGN 3: up to a minute counts as on time).
LATE_SECONDS = 60


class Names:
    """The people, teams and contacts that events name by id."""

    def __init__(self, known: Mapping[tuple[str, int], str]) -> None:
        self._known = known
        self._last_person = ""

    def saw(self, event: Event) -> None:
        """Remember who did something last: an acknowledgement by taking or answering follows from that."""
        if event.actor is not None:
            self._last_person = event.actor.name

    def get(self, kind: str, pk: object, default: str) -> str:
        return self._known.get((kind, pk), default) if isinstance(pk, int) else default

    def contacts(self, ids: Iterable[int]) -> list[str]:
        return [self.get("contact", pk, "a contact") for pk in ids]

    @staticmethod
    def actor(event: Event) -> str:
        return event.actor.name if event.actor is not None else "Belay"

    def acknowledger(self, event: Event) -> str:
        """Return who acknowledged: the actor, the contact, or whoever took or answered it just before."""
        if event.actor is not None:
            return event.actor.name
        return self.get("contact", event.data.get("contact"), self._last_person or "somebody")


def tell_event(event: Event, names: Names) -> Words:
    """Return icon, sentence and tone ("", "up", "down", "late" or "good") of one event; the actor stands before it."""
    teller = _TELLERS.get(event.kind)
    if teller is None:
        # A kind that a higher app added: named, not swallowed.
        return "point", event.kind.rpartition(".")[2].replace("_", " "), ""
    return teller(event, names)


def climb_words(event: Event, names: Names, held: dt.timedelta) -> Words:
    """Return the words of a change of step between the entries, where told and acknowledged go with it."""
    data = event.data
    if event.kind == ladder.ENTERED:
        return "ladder", f"Entered its path at {_tier(data.get('tier'))}", ""
    if event.kind == ladder.TOLD_AGAIN:
        return "repeat", f"{_tier(data.get('tier'))} told again: {_trigger(data.get('trigger'))}", "late"
    return _moved(event, held)


def _moved(event: Event, held: dt.timedelta | None = None, *, name_actor: bool = True) -> Words:
    data = event.data
    kind = data.get("kind")
    from_to = f"{_step(data, 'from')} to {_step(data, 'to')}"
    by_person = event.actor is not None
    parts = [from_to]
    if kind == Escalation.Kind.CLIMB and not by_person:
        if held is not None and data.get("trigger") not in (
            Escalation.Trigger.PATH,
            Escalation.Trigger.OPENED,
        ):
            parts.append(f"after {spoken(held)}")
        parts.append(f"because {_trigger(data.get('trigger'))}")
    elif by_person:
        parts.append(f"by {event.actor.name}" if event.actor and name_actor else "")
        if data.get("trigger") == Escalation.Trigger.REQUESTER:
            parts.append("who granted the requester's wish")
    elif kind != Escalation.Kind.CLIMB:
        parts.append(f"because {_trigger(data.get('trigger'))}")
    if data.get("path_changed"):
        parts.append("on another path")
    if (data.get("late_seconds") or 0) > LATE_SECONDS:
        parts.append(f"(decided {spoken(dt.timedelta(seconds=data['late_seconds']))} late)")
    down = (data.get("to") or 0) < (data.get("from") or 0) and kind != Escalation.Kind.REMAP
    return (
        ("arrow-down" if down else "filled/triangle"),
        " ".join(filter(None, parts)),
        ("down" if down else "up"),
    )


def _opened(event: Event, names: Names) -> Words:
    data = event.data
    source = Source(data["source"]).label.lower() if data.get("source") in Source.values else "another way"
    team = names.get("team", data.get("team"), "")
    at = f" for {team}" if team else ""
    return "plus", f"opened the ticket by {source} as {_severity(data.get('severity'))}{at}", ""


def _assigned(event: Event, names: Names) -> Words:
    to, was = event.data.get("to"), event.data.get("from")
    if to is None:
        return "user-off", f"gave it back to the queue, from {names.get('user', was, 'its owner')}", ""
    if event.actor_id == to:
        return "hand-grab", "took the ticket", ""
    before = f", before {names.get('user', was, 'somebody')}" if was else ""
    return "user", f"assigned it to {names.get('user', to, 'somebody')}{before}", ""


def _team(event: Event, names: Names) -> Words:
    was = names.get("team", event.data.get("from"), "no team")
    return "users", f"moved it from {was} to {names.get('team', event.data.get('to'), 'no team')}", ""


def _status(event: Event, names: Names) -> Words:
    to = event.data.get("to", "")
    if event.data.get("reopened"):
        return "arrow-back-up", "reopened the ticket", "late"
    icon, tone = {
        Status.RESOLVED: ("circle-check", "good"),
        Status.CLOSED: ("circle-check", "good"),
        Status.WAITING: ("clock-pause", ""),
        Status.HOLD: ("clock-pause", ""),
    }.get(to, ("message", ""))
    return icon, f"set the status from {_status_label(event.data.get('from'))} to {_status_label(to)}", tone


def _severity_changed(event: Event, names: Names) -> Words:
    how = {"matrix": " as impact and urgency propose", "merge": " as the merged ticket had it"}.get(
        str(event.data.get("by")), ""
    )
    return (
        "flame",
        f"set the severity from {_severity(event.data.get('from'))} to {_severity(event.data.get('to'))}{how}",
        "",
    )


def _merged(event: Event, names: Names) -> Words:
    if "into" in event.data:
        return "git-merge", f"merged it into #{event.data['into']}, where it goes on", ""
    merged = ", ".join(f"#{number}" for number in event.data.get("from", ()))
    return "git-merge", f"merged {merged} into it", ""


def _declared_major(event: Event, names: Names) -> Words:
    return "urgent", "declared it a major incident", "late"


def _linked(event: Event, names: Names) -> Words:
    if "incident" in event.data:
        return "link", f"linked it to major incident #{event.data['incident']}", ""
    tickets = event.data.get("tickets", [])
    shown = ", ".join(f"#{number}" for number in tickets[:5])
    more = f" and {len(tickets) - 5} more" if len(tickets) > 5 else ""
    return "link", f"linked {shown}{more} to it", ""


def _unlinked(event: Event, names: Names) -> Words:
    return "unlink", f"took it off major incident #{event.data.get('incident')}", ""


def _tier_changed(event: Event, names: Names) -> Words:
    return "ladder", f"moved it from {_tier(event.data.get('from'))} to {_tier(event.data.get('to'))}", ""


def _tagged(event: Event, names: Names) -> Words:
    added, removed = event.data.get("added", []), event.data.get("removed", [])
    parts = [f"added {', '.join(added)}"] if added else []
    parts += [f"removed {', '.join(removed)}"] if removed else []
    return "tag", f"changed the tags: {' and '.join(parts)}", ""


def _field(event: Event, names: Names) -> Words:
    data = event.data
    name = str(data.get("field", "a detail"))
    labels: dict[str, type[Impact | Urgency | Complexity]] = {
        "impact": Impact,
        "urgency": Urgency,
        "complexity": Complexity,
    }
    if name in labels:
        was, to = (_label(labels[name], data.get(side)) for side in ("from", "to"))
        return "edit", f"changed the {name} from {was} to {to}", ""
    if name == "subject":
        payload = getattr(event, "payload", None)
        text = payload.text if payload is not None else {}
        return "edit", f"changed the subject from “{text.get('from', '')}” to “{text.get('to', '')}”", ""
    if name == "requester":
        was, to = (names.get("user", data.get(side), "somebody") for side in ("from", "to"))
        return "edit", f"changed the requester from {was} to {to}", ""
    return "edit", f"changed the {name}" if data.get("to") is not None else f"removed the {name}", ""


def _entered(event: Event, names: Names) -> Words:
    return "ladder", f"put it on its escalation path at {_tier(event.data.get('tier'))}", ""


def _escalated(event: Event, names: Names) -> Words:
    icon, text, tone = _moved(event, name_actor=False)
    also = [_clock(kind) for kind in event.data.get("co_triggers", [])]
    extra = f"; due at the same time: {', '.join(also)}" if also else ""
    return icon, f"{'moved it down' if tone == 'down' else 'escalated it'}: {text}{extra}", tone


def _told_again(event: Event, names: Names) -> Words:
    return (
        "repeat",
        f"told {_tier(event.data.get('tier'))} again: {_trigger(event.data.get('trigger'))}",
        "late",
    )


def _told(event: Event, names: Names) -> Words:
    data = event.data
    who = ", ".join(names.contacts(data.get("contacts", ()))) or "nobody"
    fallback = ", as the fallback because nobody on the list can be reached" if data.get("fallback") else ""
    return "bell-ringing", f"told {who} (round {data.get('round', 1)}){fallback}", "late" if fallback else ""


def _nobody(event: Event, names: Names) -> Words:
    return "alert-triangle", "could tell nobody: neither the list nor the fallback can be reached", "late"


def _acknowledged(event: Event, names: Names) -> Words:
    via = {"link": " by the link in the message", "reply": " by answering", "taken": " by taking the ticket"}
    after = event.data.get("after_seconds")
    when = f" after {spoken(dt.timedelta(seconds=after))}" if after is not None else ""
    who = "" if event.actor is not None else f" for {names.acknowledger(event)}"
    return "checks", f"acknowledged{who}{via.get(str(event.data.get('via')), '')}{when}", "good"


def _passed_on(event: Event, names: Names) -> Words:
    return (
        "transfer",
        f"passed it on: {names.get('contact', event.data.get('contact'), 'a contact')} can't take it",
        "",
    )


def _warned(event: Event, names: Names) -> Words:
    sent = "" if event.data.get("sent", True) else " (recorded, not sent: it was due by then)"
    return "clock", f"warned that {_clock(event.data.get('clock'))} runs out soon{sent}", ""


def _due(event: Event, names: Names) -> Words:
    late = event.data.get("late_seconds") or 0
    extra = f", noticed {spoken(dt.timedelta(seconds=late))} late" if late > LATE_SECONDS else ""
    return "clock", f"recorded that {_clock(event.data.get('clock'))} ran out{extra}", "late"


def _followed_up(event: Event, names: Names) -> Words:
    return (
        "clock",
        f"ended the wait ({_status_label(event.data.get('from'))}): somebody must follow up now",
        "late",
    )


def _requested(event: Event, names: Names) -> Words:
    return "hand-stop", "asked for escalation", "up"


def _request_answered(event: Event, names: Names) -> Words:
    state = str(event.data.get("state", ""))
    words = {
        "granted": "granted the wish for escalation",
        "declined": "declined the wish for escalation",
        "expired": "counted the wish for escalation as granted: nobody answered in time",
        "overtaken": "closed the wish for escalation: the ticket moved by itself",
    }
    return "hand-stop", words.get(state, f"answered the wish for escalation ({state})"), ""


def _consulted(event: Event, names: Names) -> Words:
    data = event.data
    who = ", ".join(names.contacts(data.get("contacts", ()))) or "nobody"
    instead = " in their place, since nobody there can be reached" if data.get("fallback") else ""
    return "help", f"asked {_step(data, 'to')} for help: {who} was told{instead}", ""


def _sent_back(event: Event, names: Names) -> Words:
    who = names.get("user", event.data.get("to"), "the sender")
    return "message-question", f"asked {who} about the handoff", ""


def _question_passed(event: Event, names: Names) -> Words:
    who = names.get("user", event.data.get("to"), "the sender's lead")
    return "message-question", f"asked {who} instead: the sender has not answered in time", "late"


def _question_unanswered(event: Event, names: Names) -> Words:
    return "message-question", "recorded that nobody answered the question about the handoff", "late"


def _question_answered(event: Event, names: Names) -> Words:
    return "message-check", "answered the question about the handoff", "good"


def _suspended(event: Event, names: Names) -> Words:
    return "player-pause", f"let its clocks stand still: #{event.data.get('incident')} goes on for it", ""


def _resumed(event: Event, names: Names) -> Words:
    return "player-play", "let its clocks run on with what was left", ""


def _incident_updated(event: Event, names: Names) -> Words:
    incident, clock = event.data.get("incident"), event.data.get("clock")
    if clock is None:
        return "speakerphone", f"passed the update of #{incident} on to the requester", ""
    return "speakerphone", f"counted the update of #{incident} as {_clock(clock)}", "good"


def _set_aside(event: Event, names: Names) -> Words:
    return (
        "alert-triangle",
        "set it aside: its processing failed and is tried again; lead and fallback are told",
        "late",
    )


def _dead_letter(event: Event, names: Names) -> Words:
    who = names.get("contact", event.data.get("contact"), "a contact")
    following = {"method": "their next address is tried", "contact": "the next contact is told"}
    then = following.get(str(event.data.get("next")), "")
    return "mail-x", f"could not reach {who}" + (f"; {then}" if then else ""), "late"


def _applied(event: Event, names: Names) -> Words:
    data = event.data
    what = "its path" if data.get("what") == "path" else "the calendar"
    moves = "; ".join(_clock_move(move) for move in data.get("moved", ())) or "no deadline moves"
    version = f"version {data.get('to')} of {what} “{data.get('name', '')}”, before {data.get('from')}"
    return "refresh", f"put it on {version}: {moves}", ""


def _clock_move(move: Mapping[str, Any]) -> str:
    clock, outcome = _clock(move.get("clock")), move.get("outcome")
    due, was = move.get("to"), move.get("from")
    if outcome == "cancelled":
        return f"{clock} no longer counts"
    if outcome == "started":
        return f"{clock} counts from now"
    if due is None or was is None:
        return f"{clock} has {'less' if outcome == 'earlier' else 'more'} time left"
    by = abs(dt.datetime.fromisoformat(due) - dt.datetime.fromisoformat(was))
    return f"{clock} is due {spoken(by)} {outcome}"


_TELLERS: dict[str, Callable[[Event, Names], Words]] = {
    kinds.OPENED: _opened,
    kinds.ASSIGNED: _assigned,
    kinds.TEAM_CHANGED: _team,
    kinds.STATUS_CHANGED: _status,
    kinds.SEVERITY_CHANGED: _severity_changed,
    kinds.MERGED: _merged,
    kinds.DECLARED_MAJOR: _declared_major,
    kinds.LINKED: _linked,
    kinds.UNLINKED: _unlinked,
    kinds.TIER_CHANGED: _tier_changed,
    kinds.TAGGED: _tagged,
    kinds.FIELD_CHANGED: _field,
    ladder.ENTERED: _entered,
    ladder.ESCALATED: _escalated,
    ladder.TOLD_AGAIN: _told_again,
    ladder.TOLD: _told,
    ladder.NOBODY: _nobody,
    ladder.ACKNOWLEDGED: _acknowledged,
    ladder.PASSED_ON: _passed_on,
    ladder.WARNED: _warned,
    ladder.DUE: _due,
    ladder.FOLLOWED_UP: _followed_up,
    ladder.REQUESTED: _requested,
    ladder.REQUEST_ANSWERED: _request_answered,
    ladder.CONSULTED: _consulted,
    ladder.SENT_BACK: _sent_back,
    ladder.QUESTION_PASSED: _question_passed,
    ladder.QUESTION_UNANSWERED: _question_unanswered,
    ladder.QUESTION_ANSWERED: _question_answered,
    ladder.SUSPENDED: _suspended,
    ladder.RESUMED: _resumed,
    ladder.INCIDENT_UPDATED: _incident_updated,
    ladder.SET_ASIDE: _set_aside,
    ladder.DEAD_LETTER: _dead_letter,
    ladder.APPLIED: _applied,
}

_BECAUSE = {
    Escalation.Trigger.OPENED: "it was opened",
    Escalation.Trigger.PATH: "the path starts there for such tickets",
    Escalation.Trigger.FIRST_RESPONSE: "the first response was overdue",
    Escalation.Trigger.NEXT_RESPONSE: "the next response was overdue",
    Escalation.Trigger.RESOLUTION: "the resolution was overdue",
    Escalation.Trigger.STAKEHOLDER_UPDATE: "the stakeholder update was overdue",
    Escalation.Trigger.TIER_TIME: "the time at the tier ran out",
    Escalation.Trigger.ACKNOWLEDGE: "nobody acknowledged in time",
    Escalation.Trigger.REQUEST: "nobody answered the requester's wish in time",
    Escalation.Trigger.AGENT: "an agent asked for it",
    Escalation.Trigger.LEAD: "a lead decided it",
    Escalation.Trigger.REQUESTER: "the requester asked for it",
    Escalation.Trigger.RULE: "a rule says so",
    Escalation.Trigger.MONITORING: "monitoring raised it",
    Escalation.Trigger.REOPENED: "it was reopened",
    Escalation.Trigger.CHANGED: "what it is about changed",
    Escalation.Trigger.MERGED: "a ticket of that tier was merged into it",
    Escalation.Trigger.HISTORY: "the imported log says so",
}


def _trigger(value: object) -> str:
    return _BECAUSE.get(Escalation.Trigger(value), "") if value in Escalation.Trigger.values else "of a clock"


def _step(data: Mapping[str, Any], side: str) -> str:
    """Return "L2 Network", without saying the tier twice where the step's name begins with it."""
    tier, name = _tier(data.get(f"{side}_tier")), str(data.get(f"{side}_name") or "")
    return name if name.startswith(tier) else f"{tier} {name}".strip()


def _tier(value: object) -> str:
    return str(Tier(value).label) if value in Tier.values else "its tier"


def _severity(value: object) -> str:
    return str(Severity(value).label) if value in Severity.values else "no severity"


def _status_label(value: object) -> str:
    return str(Status(value).label).lower() if value in Status.values else "another status"


def _clock(value: object) -> str:
    names = {
        Clock.Kind.TIER_TIME: "the time at the tier",
        Clock.Kind.ACKNOWLEDGE: "the time to acknowledge",
        Clock.Kind.NEXT_TELLING: "the next telling",
        Clock.Kind.FOLLOW_UP: "the follow-up",
        Clock.Kind.REQUEST: "the requester's wish",
        Clock.Kind.QUESTION: "the answer to the question about the handoff",
    }
    if value not in Clock.Kind.values:
        return "a clock"
    kind = Clock.Kind(value)
    return names.get(kind, f"the {kind.label.lower()}")


def _label(choices: Any, value: object) -> str:
    return str(choices(value).label).lower() if value in choices.values else "none"
