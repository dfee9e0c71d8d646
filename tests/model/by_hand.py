"""Escalate, de-escalate, and the requester's wish: a part of the model (DESIGN 3, by hand)."""

from typing import Any

from tests.model import world
from tests.model.things import No, Ticket, Wish


class ByHand:
    """The verbs that move a ticket by hand; a part of the model."""

    def escalate(self: Any, ticket: Ticket, seq: int, person: str, to: int | None) -> None:
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        self._check_not_suspended(ticket)
        if ticket.at_top or (to is not None and not ticket.position < to <= ticket.path.top):
            raise No("Refused")
        trigger = "lead" if person in world.LEADS else "agent"
        self._move(ticket, to or ticket.position + 1, "climb", trigger, self.now, actor=person)

    def deescalate(self: Any, ticket: Ticket, seq: int, person: str, to: int) -> None:
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        self._check_not_suspended(ticket)
        if not 1 <= to < ticket.position:
            raise No("Refused")
        if person not in world.LEADS:
            _, teams, _ = world.PEOPLE[person]
            if not {ticket.step.team, ticket.team} & set(teams):
                raise No("NotAllowed")
            if ticket.falls:
                raise No("NotAllowed")  # from the second fall on a lead confirms
        trigger = "lead" if person in world.LEADS else "agent"
        self._move(ticket, to, "fall", trigger, self.now, actor=person)

    def wish(self: Any, ticket: Ticket) -> None:
        self._check_open(ticket)
        self._check_not_suspended(ticket)
        if ticket.at_top or any(wish.seq == ticket.seq for wish in ticket.wishes):
            raise No("Conflict")
        ticket.wishes.append(Wish(ticket.seq))
        within = ticket.step.acknowledge(ticket.severity) or 30 * world.MIN
        self._start(ticket, "request", within, self.now, self._for_step(ticket), seq=ticket.seq)
        self._event(ticket, "escalation.requested", ticket.requester, seq=ticket.seq)
        self._page(ticket, "escalation.requested", self.lead_of(ticket))

    def answer_wish(self: Any, ticket: Ticket, person: str, *, grant: bool) -> None:
        if person not in world.LEADS:
            raise No("NotAllowed")
        wish = ticket.wishes[-1]
        if wish.state != "open":
            raise No("Conflict")
        if grant:
            self._check_not_suspended(ticket)
        wish.state = "granted" if grant else "declined"
        self._event(ticket, "escalation.request_answered", person, seq=wish.seq, state=wish.state)
        self._mail(ticket, "escalation.answered", ticket.requester)
        if grant:
            self._move(ticket, ticket.position + 1, "climb", "requester", self.now, actor=person)
        else:
            self._stop(ticket, "request", "met")

    def _answer_wishes(self: Any, ticket: Ticket, state: str) -> None:
        for wish in ticket.wishes:
            if wish.state == "open":
                wish.state = state
