"""Who is told now at a step: in order, in rounds, and never nobody (DESIGN 3, telling; nobody there)."""

import datetime as dt
from typing import Any

from tests.model import world
from tests.model.hours import ZERO
from tests.model.things import ADMINS, Message, Ticket
from tests.model.world import EntryDef, StepDef


class Telling:
    """A part of the model; what `self` offers besides stands in model.py."""

    @staticmethod
    def _entries(step: StepDef) -> list[EntryDef]:
        return [entry for name in step.lists for entry in world.LISTS[name]]

    def _listed(self: Any, ticket: Ticket) -> list[tuple[str, EntryDef]]:
        """Return who stands on the step's lists and can be reached, in order, each once, less who said they can't."""
        found: dict[str, EntryDef] = {}
        for entry in self._entries(ticket.step):
            contact = world.LEAD_OF[entry.lead_of] if entry.lead_of else entry.contact
            if contact not in ticket.declined and contact not in found:
                found[contact] = entry
        return [(c, e) for c, e in found.items() if c not in self.off and self.addresses(c)]

    def _tell(
        self: Any,
        ticket: Ticket,
        *,
        since: dt.datetime,
        begins: bool = False,
        after_dead: bool = False,
        round_dead: bool = False,
        fallback_dead: bool = False,
    ) -> None:
        """Tell whoever is next at the present step; `since` is when what follows is counted from."""
        if not ticket.step.lists:
            return
        listed = [
            (contact, entry)
            for contact, entry in self._listed(ticket)
            if not entry.severities or ticket.severity in entry.severities
        ]
        following = ticket.round if after_dead else ticket.round + 1
        if not listed:
            self._tell_fallback(ticket, following, since, begins, fallback_dead)
            return
        number, contacts = self._whom(ticket, listed, begins)
        if after_dead and number > ticket.round:
            # A dead letter never starts the next round (decision 0006).
            if round_dead:
                self._tell_fallback(ticket, ticket.round, since, begins, fallback_dead)
            return
        if not contacts:
            self._stop(ticket, "next_telling", "cancelled")
            return
        self._say(ticket, number, contacts, since, begins, "escalation.told")

    def _whom(
        self: Any, ticket: Ticket, listed: list[tuple[str, EntryDef]], begins: bool
    ) -> tuple[int, list[str]]:
        step, wants_answer = ticket.step, "acknowledge" in ticket.clocks
        clock = ticket.clocks.get("next_telling")
        # Conditions count rounds from when this telling began; the numbers themselves only rise (decision 0004).
        before = ticket.round - (0 if begins or clock is None else clock.round)

        def still_to_hear(number: int) -> list[str]:
            heard = {
                m.contact
                for m in self.messages(ticket)
                if m.is_telling and m.seq == ticket.seq and m.round == number
            }
            counted = min(number - before, step.rounds)
            return [c for c, e in listed if counted >= e.from_round and not (step.in_turn and c in heard)]

        def some(contacts: list[str]) -> list[str]:
            return contacts[:1] if step.in_turn else contacts

        if step.in_turn and not begins:
            rest = still_to_hear(max(ticket.round, 1))
            if rest:
                return max(ticket.round, 1), rest[:1]
        number = ticket.round + 1
        while number - before <= step.rounds or wants_answer:
            if contacts := still_to_hear(number):
                return number, some(contacts)
            if number - before > max(e.from_round for _, e in listed):
                # All of them wait for a round that this step does not have: better too early than never.
                return ticket.round + 1, some([c for c, _ in listed])
            number += 1
        return number, []

    def _say(
        self: Any,
        ticket: Ticket,
        number: int,
        contacts: list[str],
        since: dt.datetime,
        begins: bool,
        kind: str,
    ) -> None:
        clock = ticket.clocks.get("next_telling")
        if clock is not None:
            clock.round = 1 if begins else clock.round + number - ticket.round
            clock.budget = ticket.step.wait * world.MIN
            clock.started, clock.recorded = since, self.now
            # The next wait is a whole one, however long an incident let the last one stand still.
            clock.used, clock.pauses = ZERO, []
            clock.run_from(since)
        ticket.round = number
        for contact in contacts:
            self._tell_by(ticket, number, contact, self.addresses(contact)[0], kind)
        self._event(
            ticket,
            "escalation.told",
            seq=ticket.seq,
            round=number,
            step=ticket.position,
            contacts=tuple(contacts),
            fallback=kind == "escalation.fallback",
        )

    def _tell_by(self: Any, ticket: Ticket, number: int, contact: str, address: str, kind: str) -> None:
        """Write one telling; unique on (ticket, seq, round, contact, method)."""
        same = (ticket.seq, number, contact, address)
        if all((m.seq, m.round, m.contact, m.address) != same for m in self.messages(ticket)):
            user = contact if contact in world.PEOPLE else None
            self.outbox.append(
                Message(
                    kind, ticket, address, self.now, seq=ticket.seq, round=number, contact=contact, user=user
                )
            )

    def _tell_fallback(
        self: Any, ticket: Ticket, number: int, since: dt.datetime, begins: bool, fallback_dead: bool
    ) -> None:
        fallback = [world.FALLBACK] if world.FALLBACK not in self.off else []
        recipients = [contact for contact in fallback if contact not in ticket.declined]
        if ticket.at_top or fallback_dead or not recipients:
            recipients += [admin for admin in ADMINS if admin not in ticket.declined]
        if not recipients:
            # All have said they can't: better to ask again than silence.
            recipients = fallback + (ADMINS if ticket.at_top or fallback_dead or not fallback else [])
        self._say(ticket, number, recipients, since, begins, "escalation.fallback")
