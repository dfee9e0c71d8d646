"""Ask a higher step for help while tier and clocks stay (DESIGN 3, by hand)."""

import datetime as dt
from dataclasses import dataclass

from accounts.models import Team, User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Conflict, Refused
from core.text import storable
from escalation import kinds
from escalation.operations.acknowledging import check_seen, hold_state
from escalation.operations.by_hand import check_open, check_visible
from escalation.operations.groups import consult_group
from escalation.operations.people import admins_as_contacts
from escalation.operations.plan import Plan
from escalation.operations.state import State
from escalation.operations.telling import hour_at
from escalation.paths import CalendarVersions
from escalation.rules.paths import StepRule
from escalation.rules.telling import those_there
from notifications.operations import Message, contacts_for
from notifications.queries import Rung, methods_of, resolve_lists
from tickets.timeline import NewEvent, working

LONGEST_QUESTION = 10_000


@dataclass(frozen=True, slots=True)
class Consultation:
    """What came of asking a higher step: which one, and which contacts were told."""

    ticket_id: int
    seq: int
    to_position: int
    to_name: str
    to_tier: int
    contact_ids: tuple[int, ...]
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Reached:
    contact_id: int
    user_id: int | None
    method: tuple[int, str, str]
    instructions: str = ""


def consult(
    *, ticket_id: int, seen_seq: int, to_position: int, actor: User, now: dt.datetime, question: str
) -> Consultation:
    """Tell everybody who can be reached at the step `to_position`, once, and ask for help; nothing else changes.

    A step that is only a queue is asked through its team's lead. Where nobody can be reached the path's fallback
    contact is told, else the admins. Raises Moved, Refused (no question, no higher step), Conflict (finished, nobody
    can be reached), NotAllowed, NotOnPath.
    """
    permit(actor, Verb.CONSULT)
    question = clean_question(question, mend="Say what you need to know; they read it first.")
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        check_seen(state, seen_seq, state.at(now))
        check_open(state)
        step = _asked_step(state, to_position)
        reached, fallback = _whom(state, step, actor, state.at(now))
        if not reached:
            raise Conflict(
                f"Nobody of {step.name} can be reached, and neither can the fallback contact.",
                field="to_position",
                value=to_position,
                mend="Escalate, or call somebody.",
            )
        seq = state.standing.seq
        facts = {
            "seq": seq,
            "to": step.position,
            "to_name": step.name,
            "to_tier": step.tier,
            "contacts": [one.contact_id for one in reached],
            "fallback": fallback,
        }
        asked = NewEvent(state.ticket, kinds.CONSULTED, facts, text={"question": question})
        (event,) = work.record([asked], actor=actor, now=now)
        plan = Plan(work, now=now, actor=actor)
        state.standing.consulted += 1
        plan.touch(state)
        plan.messages.extend(
            Message(
                kind=kinds.TELL_CONSULT,
                ticket_id=ticket_id,
                group=consult_group(ticket_id, seq),
                seq=seq,
                contact_id=one.contact_id,
                user_id=one.user_id,
                method_id=one.method[0],
                channel=one.method[1],
                address=one.method[2],
                context={"event": event.pk, "instructions": one.instructions},
            )
            for one in reached
        )
        plan.flush()
    return Consultation(
        ticket_id=ticket_id,
        seq=seq,
        to_position=step.position,
        to_name=step.name,
        to_tier=step.tier,
        contact_ids=tuple(one.contact_id for one in reached),
        at=event.at,
    )


def clean_question(question: str, *, mend: str) -> str:
    """Return a question fit to be stored. Raises Refused when it is empty or longer than LONGEST_QUESTION."""
    clean = storable(question).strip()
    if not clean:
        raise Refused("A question needs words.", field="question", value="", mend=mend)
    if len(clean) > LONGEST_QUESTION:
        raise Refused(
            f"The question has {len(clean):,} characters.",
            field="question",
            value=clean[:40] + "…",
            mend=f"Take at most {LONGEST_QUESTION:,}; the rest belongs into a note.",
        )
    return clean


def _asked_step(state: State, to_position: int) -> StepRule:
    last = len(state.path.steps)
    if state.step.position < to_position <= last:
        return state.path.step(to_position)
    raise Refused(
        f"Step {to_position} is not above {state.step.name}.",
        field="to_position",
        value=to_position,
        mend=f"Take a step from {state.step.position + 1} to {last}."
        if state.step.position < last
        else "This is the last step: write a note instead.",
    )


def _whom(state: State, step: StepRule, actor: User, now: dt.datetime) -> tuple[list[_Reached], bool]:
    """Return who is told, never the asker, and whether they stand in for a step that can't be reached."""
    if step.queue_only:
        lead = _lead_of(step.team_id)
        people = contacts_for([lead]) if lead is not None and lead.pk != actor.pk else {}
        found = _reachable([(contact.pk, contact.user_id) for contact in people.values()])
    else:
        found = _listed(state, step, actor, now)
    if found:
        return found, False
    stand_in = _reachable([(state.path.fallback_id, None)])
    return stand_in or _reachable([(c.pk, c.user_id) for c in admins_as_contacts()]), True


def _listed(state: State, step: StepRule, actor: User, now: dt.datetime) -> list[_Reached]:
    """Return those the step would tell first; where conditions keep all of them for later rounds, those."""
    resolved = resolve_lists(step.list_ids, now)
    listed = [rung for list_id in step.list_ids for rung in resolved[list_id]]
    reachable = [rung for rung in listed if rung.reachable and rung.user_id != actor.pk]
    awake, there = those_there(reachable, hour_at(state, CalendarVersions([state.path]), now, step))
    rungs: dict[int, Rung] = {}
    for rung in awake or there:
        rungs.setdefault(rung.contact_id, rung)
    severity = state.ticket.severity
    first = [rung for rung in rungs.values() if rung.wanted(severity, 1)]
    later = [rung for rung in rungs.values() if rung.wanted(severity, rung.from_round)]
    return [
        _Reached(rung.contact_id, rung.user_id, rung.methods[0], rung.instructions) for rung in first or later
    ]


def _reachable(contacts: list[tuple[int, int | None]]) -> list[_Reached]:
    methods = methods_of(pk for pk, _ in contacts)
    return [_Reached(pk, user_id, methods[pk][0]) for pk, user_id in contacts if methods.get(pk)]


def _lead_of(team_id: int | None) -> User | None:
    team = Team.objects.select_related("lead").filter(pk=team_id).first() if team_id is not None else None
    return team.lead if team is not None and team.lead is not None and team.lead.is_active else None
