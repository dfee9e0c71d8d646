"""How the mails read in which one step asks another: for help, or for what a handoff leaves out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import Tier
from core.db import database_now
from core.durations import spoken
from escalation import kinds
from escalation.models import Clock, HandoffQuestion, Standing
from escalation.models.clocks import LIVE
from escalation.wording import mark, reader_zone, situation
from notifications.letters import Action, Letter, Passage, compose, desk_url, moment
from notifications.models import Contact, Notification
from notifications.rendering import KnownTickets, Rendered, register_renderer, tickets_of
from tickets.models import Event, Ticket

WHY_CONSULTED = "You get this mail because you are on the contact list of the step that was asked."
WHY_STAND_IN = "You get this mail because nobody of the step that was asked can be reached."
WHY_SENDER = "You get this mail because you escalated the ticket, or lead whoever did."
WHY_ASKER = "You get this mail because you asked, or lead the people who hold the ticket."
ERASED = "(These words have been erased.)"


@dataclass(frozen=True, slots=True)
class Known(KnownTickets):
    """What the mails of a batch are rendered from, by id; `now` is when it was read (UTC)."""

    standings: dict[int, Standing]
    events: dict[int, Event]
    questions: dict[int, HandoffQuestion]
    # When the open question of a ticket is to be answered.
    due: dict[int, dt.datetime]

    def question(self, row: Notification) -> HandoffQuestion:
        """Return the question that the mail is about. Raises LookupError."""
        question = self.questions[row.context["question"]]
        if question.ticket_id != row.ticket_id:
            raise LookupError(f"notification {row.pk} is about another ticket's question")
        return question


def register() -> None:
    """Register how each kind of these mails reads; called from `ready()`."""
    for kind, render in (
        (kinds.TELL_CONSULT, _consulted),
        (kinds.TELL_QUESTION, _asked),
        (kinds.TELL_QUESTION_ANSWER, _answered),
    ):
        register_renderer(kind, render, load=_load)


def _load(rows: Sequence[Notification]) -> Known:
    """Read all that these mails say; six queries at most, however many they are."""
    ids = {row.ticket_id for row in rows if row.ticket_id is not None}
    standings = Standing.objects.filter(ticket_id__in=ids).select_related("step")
    events = Event.objects.select_related("actor", "payload")
    questions = HandoffQuestion.objects.select_related("asked_by", "asked_to", "answered_by", "answer")
    clocks = Clock.objects.filter(ticket_id__in=ids, kind=Clock.Kind.QUESTION, state__in=LIVE)
    return Known(
        now=database_now(),
        tickets=tickets_of(rows),
        standings={row.ticket_id: row for row in standings},
        events=events.in_bulk({row.context["event"] for row in rows if "event" in row.context}),
        questions=questions.in_bulk({row.context["question"] for row in rows if "question" in row.context}),
        due={ticket_id: due for ticket_id, due in clocks.values_list("ticket_id", "due_at") if due},
    )


def _consulted(row: Notification, known: Known) -> Rendered:
    """Render a call for help: who asks what, and that the ticket stays where it is."""
    ticket, now = known.ticket(row), known.now
    event, standing = known.events[row.context["event"]], known.standings[ticket.pk]
    asker = str(event.actor or "An agent")
    instructions = str(row.context.get("instructions", ""))
    room = row.contact is not None and row.contact.kind == Contact.Kind.ROOM
    return compose(
        Letter(
            subject=f"{mark(ticket)} — {asker} asks {event.data['to_name']} for help",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(
                f"{asker} asks for your help. The ticket stays with {standing.step.name}.",
                f"When to reach out: {instructions}" if instructions else "",
            ),
            passages=(Passage(f"{asker} asks", _question(event)),),
            action=Action(
                "Answer on the ticket",
                desk_url(ticket.pk),
                "Opens a page that asks for your sign-in: this mail went to a room."
                if room
                else "A note is enough; or call them.",
            ),
            facts=(
                *situation(ticket),
                ("Time so far", _time_so_far(ticket, standing, now)),
            ),
            footer=WHY_STAND_IN if event.data.get("fallback") else WHY_CONSULTED,
        )
    )


def _asked(row: Notification, known: Known) -> Rendered:
    """Render a question about a handoff, for its sender or, when they don't answer, for their lead."""
    ticket, question = known.ticket(row), known.question(row)
    due = known.due.get(ticket.pk)
    until = f"Please answer by {moment(due, reader_zone(row), known.now)}." if due is not None else ""
    passed = row.context.get("what") == "still_open"
    lead = (
        f"{question.asked_to} escalated this ticket and has not answered. Can you?"
        if passed
        else f"{question.asked_by} has a question about your handoff. The ticket stays where it is."
    )
    return compose(
        Letter(
            subject=f"{mark(ticket)} — {question.asked_by} asks about the handoff",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(lead, until),
            passages=(Passage(f"{question.asked_by} asks", question.question),),
            action=Action("Answer on the ticket", desk_url(ticket.pk), "A note is enough."),
            facts=situation(ticket),
            footer=WHY_SENDER,
        )
    )


def _answered(row: Notification, known: Known) -> Rendered:
    """Render what came of a question: the answer for whoever asked, or that there is none for the step's lead."""
    ticket, question = known.ticket(row), known.question(row)
    entry = question.answer
    if entry is None:
        ending = "nobody answers about the handoff"
        lead = f"{question.asked_by} asked {question.asked_to} about the handoff. Neither they nor their lead answered."
        passage = Passage(f"{question.asked_by} asks", question.question)
    else:
        ending = f"{question.answered_by} answered about the handoff"
        lead = f"{question.answered_by} answered your question."
        words = ERASED if entry.erased_at else "\n\n".join(filter(None, (entry.body, *entry.fields.values())))
        passage = Passage(f"{question.answered_by} wrote", words)
    return compose(
        Letter(
            subject=f"{mark(ticket)} — {ending}",
            title=ticket.subject,
            number=ticket.pk,
            severity=ticket.severity,
            lead=(lead,),
            passages=(passage,),
            action=Action("Open the ticket", desk_url(ticket.pk)),
            facts=situation(ticket),
            footer=WHY_ASKER,
        )
    )


def _time_so_far(ticket: Ticket, standing: Standing, now: dt.datetime) -> str:
    here, open_for = spoken(now - standing.since), spoken(now - ticket.opened_at)
    return f"{here} at {Tier(ticket.tier).label}, open for {open_for}"


def _question(event: Event) -> str:
    payload = getattr(event, "payload", None)
    if payload is None or payload.erased_at is not None:
        return ERASED
    return str(payload.text.get("question", ""))
