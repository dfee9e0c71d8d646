"""Ask without moving anything: consult a higher step, send a question back to whoever sent the ticket (DESIGN 3)."""

import datetime as dt
from typing import Any

from tests.model import world
from tests.model.things import Clock, Message, No, Question, Ticket

ASKED = ("escalation.consulted", "escalation.question", "escalation.question_answer")


class Asking:
    """The verbs that ask; a part of the model."""

    # What the rest of the model brings.
    now: dt.datetime
    off: set[str]
    outbox: list[Any]

    def consult(self: Any, ticket: Ticket, seq: int, person: str, to: int) -> None:
        """Tell everybody who can be reached at a higher step once; tier and clocks stay."""
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        if not ticket.position < to <= ticket.path.top:
            raise No("Refused")
        contacts = self._to_consult(ticket, ticket.path.step(to), person)
        fallback = not contacts
        if fallback:
            contacts = [world.FALLBACK] if world.FALLBACK not in self.off else ["ada"]
        self._event(
            ticket,
            "escalation.consulted",
            person,
            seq=ticket.seq,
            to=to,
            contacts=tuple(contacts),
            fallback=fallback,
        )
        for contact in contacts:
            self._letter(ticket, "escalation.consulted", contact)

    def _to_consult(self: Any, ticket: Ticket, step: world.StepDef, asker: str) -> list[str]:
        """Return those the step would tell first; a queue is asked through its lead, never the asker themselves."""
        if not step.lists:
            lead = world.LEAD_OF.get(step.team or "")
            return [lead] if lead is not None and lead not in (asker, *self.off) else []
        entries: dict[str, world.EntryDef] = {}
        for entry in self._entries(step):
            contact = world.LEAD_OF[entry.lead_of] if entry.lead_of else entry.contact
            if contact not in (asker, *self.off) and self.addresses(contact):
                entries.setdefault(contact, entry)
        wanted = {c: e for c, e in entries.items() if not e.severities or ticket.severity in e.severities}
        return [c for c, e in wanted.items() if e.from_round == 1] or list(wanted)

    def send_back(self: Any, ticket: Ticket, seq: int, person: str) -> None:
        """Ask the sender of the handoff, once; they have an acknowledge time for it, then their lead has."""
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        if not self.may_acknowledge(ticket, person):
            raise No("NotAllowed")
        sender = ticket.current.actor
        if ticket.current.kind != "climb" or sender in (None, person):
            raise No("Refused")
        if any(question.seq == ticket.seq for question in ticket.questions):
            raise No("Conflict")
        ticket.questions.append(Question(ticket.seq, person, sender, self._lead_over(ticket, sender)))
        self._event(ticket, "escalation.sent_back", person, seq=ticket.seq, to=sender)
        self._ask(ticket, self.now, 0)
        self._page(ticket, "escalation.question", sender)

    def _ask(self: Any, ticket: Ticket, since: dt.datetime, asked: int) -> None:
        before = ticket.path.step(ticket.current.from_position)
        budget = before.acknowledge(ticket.severity) or ticket.step.acknowledge(ticket.severity)
        calendar = self._for_step(ticket, before)
        budget = budget or 30 * world.MIN
        self._start(ticket, "question", budget, since, calendar, seq=ticket.seq, round=asked)

    @staticmethod
    def _lead_over(ticket: Ticket, sender: str) -> str | None:
        """Return the lead of the team that held the ticket if the sender is of it, else of their own, else of that."""
        before = ticket.path.step(ticket.current.from_position or 1).team
        own = [team for team in world.TEAMS if team in world.PEOPLE[sender][1]]
        ranked = [team for team in (before,) if team in own] + own + [before]
        leads = [world.LEAD_OF[team] for team in ranked if team is not None]
        return next((lead for lead in leads if lead != sender), None)

    def answer_question(self: Any, ticket: Ticket, seq: int, person: str) -> None:
        """Answer by a note, which acknowledges nothing."""
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        question = self._question(ticket)
        if question is None or question.state not in ("open", "unanswered"):
            raise No("Conflict")
        if person not in (question.asked_to, question.lead, *world.LEADS):
            raise No("NotAllowed")
        self._event(ticket, "noted", person, from_requester=False)
        self._answered(ticket, question, person)

    @staticmethod
    def _question(ticket: Ticket) -> Question | None:
        return next((q for q in ticket.questions if q.seq == ticket.seq), None)

    def _answered(self: Any, ticket: Ticket, question: Question, person: str) -> None:
        question.state = "answered"
        self._stop(ticket, "question", "met")
        self._withdraw_asked(ticket, ASKED[1:])
        self._event(ticket, "escalation.question_answered", person, seq=question.seq)
        if question.asked_by != person:
            self._page(ticket, "escalation.question_answer", question.asked_by)

    def _speaks_to(self: Any, ticket: Ticket, person: str) -> Question | None:
        """Return the open question that somebody's words on the ticket answer."""
        question = self._question(ticket)
        if "question" not in ticket.clocks or question is None or question.state != "open":
            return None
        return question if person in (question.asked_to, question.lead) else None

    def _pursue(self: Any, ticket: Ticket, clock: Clock) -> None:
        """Ask the sender's lead when the sender does not answer; tell the step's lead when nobody does."""
        question = self._question(ticket)
        assert question is not None
        assert clock.due is not None
        self._stop(ticket, "question", "fired")
        lead = self._lead_over(ticket, question.asked_to) if clock.round == 0 else None
        if lead is None:
            question.state = "unanswered"
            self._event(ticket, "escalation.question_unanswered", seq=question.seq)
            self._page(ticket, "escalation.question_answer", self.lead_of(ticket))
            return
        question.lead = lead
        self._event(ticket, "escalation.question_passed", seq=question.seq, to=lead)
        self._ask(ticket, self._begin_at(clock.due), 1)
        self._page(ticket, "escalation.question", lead)

    def _end_asking(self: Any, ticket: Ticket) -> None:
        """End what was asked at a seq, with the seq."""
        self._stop(ticket, "question", "cancelled")
        question = self._question(ticket)
        if question is not None and question.state == "open":
            question.state = "overtaken"
        self._withdraw_asked(ticket, ASKED)

    def _withdraw_asked(self: Any, ticket: Ticket, kinds: tuple[str, ...]) -> None:
        for message in self.messages(ticket):
            if message.kind in kinds and message.seq == ticket.seq and message.state == "pending":
                message.state = "withdrawn"

    # --- letters that reach nobody ----------------------------------------------------------------------------------

    def _stand_in(self: Any, letter: Message) -> None:
        """Send on a dead letter to one person: by their next way, else to the fallback contact, else to the admins."""
        ticket = letter.ticket
        if letter.contact is None or letter.seq != ticket.seq or not ticket.is_open:
            return
        same = [m for m in self.messages(ticket) if m.letter == letter.letter]
        ways = [] if letter.contact in self.off else self.addresses(letter.contact)
        ways = [address for address in ways if address not in {m.address for m in same}]
        heard = {m.contact for m in same}
        others = [c for c in (world.FALLBACK, "ada") if c not in heard and c not in self.off]
        alive = any(m.state not in ("dead", "withdrawn") for m in same)
        contact = letter.contact if ways else None if alive else next(iter(others), None)
        going = "method" if ways else "contact" if contact is not None else "nobody"
        self._event(ticket, "escalation.dead_letter", contact=letter.contact, seq=letter.seq, next=going)
        if contact is not None:
            self._letter(
                ticket,
                letter.kind,
                contact,
                address=ways[0] if ways else None,
                user=letter.user if ways else "",
            )
            self.outbox[-1].letter = letter.letter
