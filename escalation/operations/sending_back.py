"""Send a question back to whoever sent the ticket; nothing moves by it (DESIGN 3, by hand)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.db.models import Q

from accounts.models import Team, User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Conflict, NotAllowed, Refused
from escalation import kinds
from escalation.models import Clock, Escalation, HandoffQuestion
from escalation.operations.acknowledging import check_seen, hold_state
from escalation.operations.by_hand import ANSWER_WITHIN, check_open, check_visible
from escalation.operations.consulting import clean_question
from escalation.operations.groups import question_group
from escalation.operations.people import leads_of, may_acknowledge_many, reach_users
from escalation.operations.plan import Plan
from escalation.operations.state import State
from escalation.rules.deciding import begin_at
from escalation.rules.paths import StepRule
from tickets.models import Entry, EntryKind, Event
from tickets.operations import add_entry
from tickets.timeline import working

# Why a message about a question goes out.
ASKED, STILL_OPEN, UNANSWERED, ANSWERED = "asked", "still_open", "unanswered", "answered"


def send_back(
    *, ticket_id: int, seen_seq: int, actor: User, now: dt.datetime, question: str
) -> HandoffQuestion:
    """Ask the sender of the current handoff what is missing; once per handoff.

    Those of the current step or a lead ask. The sender has the acknowledge time of the step the ticket came from
    (else the current one's, else 30 minutes), counted in the calendar of the step it came from; then their lead has it
    once more. Raises Moved, Refused (no question, nobody sent it, one's own handoff), Conflict (asked already,
    finished), NotAllowed, NotOnPath.
    """
    permit(actor, Verb.SEND_BACK)
    question = clean_question(question, mend="Say what is missing from the handoff.")
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        check_seen(state, seen_seq, state.at(now))
        check_open(state)
        if not may_acknowledge_many([state], actor, state.at(now)):
            raise NotAllowed(
                f"Only {state.step.name}, its contacts or a lead ask the sender of #{ticket_id}.",
                field="actor",
                value=actor.email,
                mend="Write a note, or consult a step.",
            )
        sender = _sender_of(state, actor)
        seq = state.standing.seq
        if HandoffQuestion.objects.filter(ticket_id=ticket_id, seq=seq).exists():
            raise Conflict(
                f"{sender} was asked about this handoff already.",
                field="seq",
                value=seen_seq,
                mend="Write a note, or hand the ticket back.",
            )
        at = state.at(now)
        lead = leads_of_senders([(state, sender)])[ticket_id]
        row = HandoffQuestion.objects.create(
            ticket_id=ticket_id,
            seq=seq,
            asked_by=actor,
            asked_to=sender,
            lead=lead,
            question=question,
            asked_at=at,
        )
        plan = Plan(work, now=now, actor=actor)
        plan.event(
            state,
            kinds.SENT_BACK,
            {"seq": seq, "question": row.pk, "to": sender.pk},
            text={"question": question},
        )
        # Whoever has left answers nothing: their lead is asked at once.
        asked, rounds = (sender, 0) if sender.is_active else (lead, 1)
        _start_clock(plan, state, since=at, round_number=rounds)
        _tell(plan, [(state, row, asked, kinds.TELL_QUESTION, ASKED)])
        plan.flush()
        return row


def answer_question(
    *, ticket_id: int, seen_seq: int, actor: User, now: dt.datetime, text: str
) -> HandoffQuestion:
    """Answer what was sent back: a note on the ticket; the clock is met, and whoever asked is told.

    The sender, their lead, or any lead; also after its time has run out. Raises Moved, Refused (no words), Conflict
    (nothing was asked, or it is answered), NotAllowed, NotOnPath.
    """
    permit(actor, Verb.SEND_BACK)
    with working() as work:
        state = hold_state(work, ticket_id)
        check_visible(state, actor)
        check_seen(state, seen_seq, state.at(now))
        check_open(state)
        row = HandoffQuestion.objects.filter(ticket_id=ticket_id, seq=state.standing.seq).first()
        if row is None or row.state not in (HandoffQuestion.State.OPEN, HandoffQuestion.State.UNANSWERED):
            answered = row is not None
            raise Conflict(
                f"The question about #{ticket_id} is answered."
                if answered
                else f"Nothing was asked about this handoff of #{ticket_id}.",
                field="ticket",
                value=ticket_id,
                mend="Write a note.",
            )
        if actor.pk not in (row.asked_to_id, row.lead_id) and not actor.may(Verb.LEAD):
            raise NotAllowed(
                f"{row.asked_to} was asked.",
                field="actor",
                value=actor.email,
                mend="Write a note if you know the answer.",
            )
        if not text.strip():
            raise Refused("An answer needs words.", field="text", value="", mend="Write a few words first.")
        # The fact keeps the note from acknowledging the step it is written for.
        entry = add_entry(
            ticket_id=ticket_id,
            kind=EntryKind.NOTE,
            body=text,
            actor=actor,
            now=now,
            facts={"answers": row.pk},
        )
        plan = Plan(work, now=now, actor=actor)
        apply_answers(plan, [(state, row, actor, entry)])
        plan.flush()
        return row


def answer_by_speaking(plan: Plan, spoken: Sequence[tuple[Event, State]]) -> None:
    """Take what the sender or their lead says on the ticket for the answer to an open question; one query."""
    asked = {state.ticket.pk: state.standing.seq for _, state in spoken}
    rows = {row.ticket_id: row for row in open_questions(asked)}
    answers: list[tuple[State, HandoffQuestion, User, Entry]] = []
    for event, state in spoken:
        row = rows.get(state.ticket.pk)
        if row is None or event.actor is None or event.actor_id not in (row.asked_to_id, row.lead_id):
            continue
        del rows[state.ticket.pk]
        answers.append((state, row, event.actor, event.entry))
    apply_answers(plan, answers)


def apply_answers(plan: Plan, answers: Sequence[tuple[State, HandoffQuestion, User, Entry]]) -> None:
    """Meet the clocks of answered questions and tell those who asked."""
    told = []
    for state, row, user, entry in answers:
        row.state = HandoffQuestion.State.ANSWERED
        row.answered_at = state.at(plan.now)
        row.answered_by = user
        row.answer = entry
        plan.stop(state, Clock.Kind.QUESTION, Clock.State.MET)
        plan.withdrawn.add(question_group(state.ticket.pk, row.seq))
        plan.touch(state)
        plan.event(state, kinds.QUESTION_ANSWERED, {"seq": row.seq, "question": row.pk}, actor=user)
        if row.asked_by_id != user.pk:
            told.append((state, row, row.asked_by, kinds.TELL_QUESTION_ANSWER, ANSWERED))
    HandoffQuestion.objects.bulk_update(
        [row for _, row, _, _ in answers], ["state", "answered_at", "answered_by", "answer"]
    )
    _tell(plan, told)


def pursue_questions(plan: Plan, states: Iterable[State]) -> None:
    """Ask the senders' leads what the senders did not answer in time, and tell the step when they don't either.

    For held tickets whose question clock is due; a constant number of queries however many.
    """
    due = {state.ticket.pk: state for state in states}
    rows = open_questions({pk: state.standing.seq for pk, state in due.items()})
    first = [row for row in rows if due[row.ticket_id].clocks[Clock.Kind.QUESTION].round == 0]
    # Looked up anew: whoever led when it was asked may be gone.
    leads = leads_of_senders([(due[row.ticket_id], row.asked_to) for row in first])
    messages: list[_Tale] = []
    given_up: list[State] = []
    for row in rows:
        state = due[row.ticket_id]
        clock = state.clocks[Clock.Kind.QUESTION]
        begin = begin_at(clock.due_at, plan.now) if clock.due_at is not None else plan.now
        plan.stop(state, Clock.Kind.QUESTION, Clock.State.FIRED)
        facts = {"seq": row.seq, "question": row.pk}
        lead = leads.get(row.ticket_id)
        if lead is not None:
            row.lead = lead
            _start_clock(plan, state, since=begin, round_number=1)
            plan.event(state, kinds.QUESTION_PASSED, {**facts, "to": lead.pk})
            messages.append((state, row, lead, kinds.TELL_QUESTION, STILL_OPEN))
        else:
            row.state = HandoffQuestion.State.UNANSWERED
            row.answered_at = state.at(plan.now)
            plan.event(state, kinds.QUESTION_UNANSWERED, facts)
            given_up.append(state)
    step_leads = leads_of(given_up)
    unanswered = {row.ticket_id: row for row in rows if row.state == HandoffQuestion.State.UNANSWERED}
    messages += [
        (state, unanswered[pk], step_leads.get(pk), kinds.TELL_QUESTION_ANSWER, UNANSWERED)
        for pk, state in ((state.ticket.pk, state) for state in given_up)
    ]
    HandoffQuestion.objects.bulk_update(rows, ["state", "lead", "answered_at"])
    _tell(plan, messages)


def open_questions(seqs: dict[int, int]) -> list[HandoffQuestion]:
    """Return the open questions of tickets at their current seqs, with people; one query."""
    if not seqs:
        return []
    wanted = Q()
    for ticket_id, seq in seqs.items():
        wanted |= Q(ticket_id=ticket_id, seq=seq)
    rows = HandoffQuestion.objects.filter(wanted, state=HandoffQuestion.State.OPEN)
    return list(rows.select_related("asked_to", "asked_by", "lead"))


def leads_of_senders(senders: Sequence[tuple[State, User]]) -> dict[int, User | None]:
    """Return, per ticket, who leads its sender; nobody where the sender leads, two queries for all.

    The lead of the team that held the ticket if the sender belongs to it, else of a team of the sender's, else of the
    team that held it.
    """
    if not senders:
        return {}
    held = {state.ticket.pk: team_id for state, _ in senders if (team_id := _team_before(state)) is not None}
    people = {user.pk for _, user in senders}
    teams = list(
        Team.objects.filter(Q(pk__in=held.values()) | Q(members__in=people), lead__is_active=True)
        .select_related("lead")
        .prefetch_related("members")
        .distinct()
        .order_by("pk")
    )
    found: dict[int, User | None] = {}
    for state, sender in senders:
        before = [team for team in teams if team.pk == held.get(state.ticket.pk)]
        own = [team for team in teams if sender.pk in {member.pk for member in team.members.all()}]
        ranked = [team for team in before if team in own] + own + before
        leads = [team.lead for team in ranked if team.lead is not None and team.lead.pk != sender.pk]
        found[state.ticket.pk] = leads[0] if leads else None
    return found


_Tale = tuple[State, HandoffQuestion, User | None, str, str]


def _tell(plan: Plan, tales: Sequence[_Tale]) -> None:
    """Put messages about questions into the plan; a missing person is stood in for by the fallback contact."""
    messages = reach_users(
        [(state, user, kind, {"question": row.pk, "what": what}) for state, row, user, kind, what in tales]
    )
    seqs = {row.ticket_id: row.seq for _, row, _, _, _ in tales}
    for message in messages:
        assert message.ticket_id is not None
        group = question_group(message.ticket_id, seqs[message.ticket_id])
        plan.messages.append(replace(message, group=group))


def _sender_of(state: State, actor: User) -> User:
    current = state.current
    if current.kind != Escalation.Kind.CLIMB or current.actor is None:
        raise Refused(
            f"Nobody sent #{state.ticket.pk} to {state.step.name}: it came by itself.",
            field="seq",
            value=state.standing.seq,
            mend="Write a note, consult a step, or hand the ticket back.",
        )
    if current.actor_id == actor.pk:
        raise Refused(
            f"You sent #{state.ticket.pk} here yourself.",
            field="actor",
            value=actor.email,
            mend="Write a note instead.",
        )
    return current.actor


def _step_before(state: State) -> StepRule | None:
    return next((step for step in state.path.steps if step.id == state.current.from_step_id), None)


def _team_before(state: State) -> int | None:
    before = _step_before(state)
    return before.team_id if before is not None else None


def _start_clock(plan: Plan, state: State, *, since: dt.datetime, round_number: int) -> None:
    before, severity = _step_before(state), state.ticket.severity
    budget = (before.acknowledge_within(severity) if before is not None else None) or (
        state.step.acknowledge_within(severity) or ANSWER_WITHIN
    )
    plan.calendars.learn([state.path])
    plan.start(
        state,
        Clock.Kind.QUESTION,
        budget,
        since=since,
        calendar_version_id=plan.calendars.for_step(state.path, before or state.step, severity),
        step_bound=True,
        round_number=round_number,
    )
