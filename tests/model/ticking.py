"""The engine's part of the model: all that is due on a ticket is decided together, dead letters have consequences."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from tests.model.hours import ZERO
from tests.model.things import ORDER, PUNCTUAL, Clock, Message, Ticket
from tests.model.world import StepDef


class Ticking:
    """A part of the model; what `self` offers besides stands in model.py."""

    def tick(self: Any) -> None:
        """Carry news of incidents, then draw the consequences of dead letters, then decide all that is due."""
        self._carry_news()
        self._dead_letters()
        for ticket in self.tickets:
            dues = [
                clock
                for clock in ticket.clocks.values()
                if clock.fires is not None
                and clock.state == "running"
                and clock.fires <= self.now
                and clock.recorded < self.now
            ]
            if dues:
                self._claim(ticket, dues)

    def _claim(self: Any, ticket: Ticket, dues: list[Clock]) -> None:
        # While an incident goes on for the ticket there is nowhere to climb: the incident climbs.
        still = ticket.at_top or ticket.suspended
        above = ticket.path.step(ticket.position + 1) if not still else None
        owner = ticket.owner
        over = [clock for clock in dues if clock.due is not None and clock.due <= self.now]
        causes: list[Clock] = []
        pages: list[tuple[str, str | None]] = []
        pages += self._warn(ticket, dues, owner)
        tell_next, follow_up = None, False
        for clock in over:
            if clock.kind in ("tier_time", "acknowledge"):
                causes.append(clock)
                continue
            if clock.kind == "next_telling":
                tell_next = clock
                continue
            late = (self.now - clock.due).total_seconds()
            self._event(ticket, "escalation.due", clock=clock.kind, due_at=clock.due, late_seconds=late)
            if clock.kind == "question":
                continue
            if clock.kind == "follow_up":
                follow_up = True
                self._stop(ticket, "follow_up", "fired")
                self._event(ticket, "escalation.followed_up", **{"from": ticket.status})
                pages.append(("escalation.owner", owner or "lead"))
                continue
            if clock.kind == "resolution" and ticket.suspended:
                self._stop(ticket, clock.kind, "fired")
                continue
            page = self._overdue(ticket, clock, above, owner)
            if page is None:
                causes.append(clock)
            else:
                pages.append(page)
        self._climb_or_tell(ticket, over, causes, tell_next)
        if ticket.clocks.get("question") in over:
            self._pursue(ticket, ticket.clocks["question"])
        for kind, to in pages:
            self._page(ticket, kind, self.lead_of(ticket) if to == "lead" else to)
        if follow_up:
            old = ticket.status
            self._write_status(ticket, "open", None)
            self._status_changed(ticket, old)

    def _overdue(
        self: Any, ticket: Ticket, clock: Clock, above: StepDef | None, owner: str | None
    ) -> tuple[str, str] | None:
        """Spend a promise or a wish that is overdue; return who is told of it, None where the ticket climbs for it."""
        assert clock.due is not None
        if clock.kind == "request":
            # Never into management by itself: the lead is told again every interval (decision 0008).
            return None if above is not None and above.tier < 4 else ("escalation.requested", "lead")
        self._stop(ticket, clock.kind, "fired")
        if clock.kind == "stakeholder_update":
            self._promise(ticket, clock.kind, self._begin_at(clock.due), missed=clock.round + 1)
            if clock.round == 0:
                return "escalation.owner", owner or "lead"
            climbs = clock.round >= 2 and above is not None and not above.transfers
        else:
            climbs = clock.kind in ticket.path.content.climbs_on and above is not None
        return None if climbs else ("escalation.lead", "lead")

    def _climb_or_tell(
        self: Any, ticket: Ticket, over: list[Clock], causes: list[Clock], tell_next: Clock | None
    ) -> None:
        request = next((clock for clock in over if clock.kind == "request"), None)
        if causes:
            causes.sort(key=lambda clock: (clock.due, ORDER.index(clock.kind)))
            trigger, *others = causes
            assert trigger.due is not None
            begin = self._begin_at(trigger.due)
            if ticket.at_top:
                if request is not None:
                    self._ask_again(request)
                self._again(ticket, trigger.kind, begin, trigger.due)
                return
            self._move(
                ticket,
                ticket.position + 1,
                "climb",
                trigger.kind,
                begin,
                due=trigger.due,
                late=self.now - trigger.due,
                co_triggers=tuple(clock.kind for clock in others),
                automatic=True,
                wish="expired" if request is not None else "overtaken",
            )
            return
        if request is not None:
            self._ask_again(request)
        if tell_next is not None and tell_next.due is not None:
            self._tell(ticket, since=self._begin_at(tell_next.due))

    def _ask_again(self: Any, clock: Clock) -> None:
        assert clock.due is not None
        clock.round += 1
        clock.used = ZERO
        clock.recorded = self.now
        clock.run_from(self._begin_at(clock.due))

    def _warn(
        self: Any, ticket: Ticket, dues: list[Clock], owner: str | None
    ) -> Iterator[tuple[str, str | None]]:
        """Warn once at the share; a warning whose due has passed is recorded, not sent."""
        for clock in dues:
            if clock.warn is None or clock.warned is not None or clock.warn > self.now or clock.due is None:
                continue
            for_the_record = clock.kind == "resolution" and ticket.suspended
            sent = clock.due > self.now and owner is not None and not for_the_record
            clock.warned = self.now
            self._event(ticket, "escalation.warned", clock=clock.kind, due_at=clock.due, sent=sent)
            if sent:
                yield "escalation.owner", owner

    def _begin_at(self: Any, due: dt.datetime) -> dt.datetime:
        return due if self.now - due <= PUNCTUAL else self.now

    def _dead_letters(self: Any) -> None:
        letters = [m for m in self.outbox if m.state == "dead" and not m.handled]
        rows = list(self.outbox)

        def tried(letter: Message) -> set[str]:
            mine = (letter.ticket, letter.seq, letter.round, letter.contact)
            return {m.address for m in rows if m.is_telling and (m.ticket, m.seq, m.round, m.contact) == mine}

        def anybody_left(letter: Message) -> bool:
            mine = (letter.ticket, letter.seq, letter.round)
            return any(
                m.state not in ("dead", "withdrawn")
                for m in rows
                if m.is_telling and (m.ticket, m.seq, m.round) == mine
            )

        for letter in letters:
            if not letter.is_telling:
                letter.handled = True
                self._stand_in(letter)
        letters = [letter for letter in letters if letter.is_telling]
        ways_on: dict[int, tuple[Message, bool]] = {}
        for letter in letters:
            letter.handled = True
            ticket = letter.ticket
            if letter.seq != ticket.seq or ticket.current.acknowledged is not None or not ticket.is_open:
                continue
            if ticket.suspended:
                continue
            assert letter.contact is not None
            assert letter.round is not None
            ways = [] if letter.contact in self.off else self.addresses(letter.contact)
            others = [address for address in ways if address not in tried(letter)]
            self._event(
                ticket,
                "escalation.dead_letter",
                contact=letter.contact,
                seq=letter.seq,
                next="method" if others else "contact",
            )
            if others:
                self._tell_by(ticket, letter.round, letter.contact, others[0], letter.kind)
            else:
                ways_on.setdefault(ticket.number, (letter, not anybody_left(letter)))
        for letter, round_dead in ways_on.values():
            self._tell(
                letter.ticket,
                since=self.now,
                after_dead=True,
                round_dead=round_dead,
                fallback_dead=letter.kind == "escalation.fallback",
            )
