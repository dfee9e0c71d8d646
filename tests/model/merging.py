"""Merge tickets that are about the same thing: a part of the model (DESIGN 3, changes under way)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.model import world
from tests.model.hours import ZERO
from tests.model.things import OPEN, PROMISES, Clock, No, Ticket


class Merging:
    """The verb that merges; a part of the model."""

    # What the rest of the model brings.
    now: dt.datetime

    def merge(self: Any, losers: Sequence[Ticket], survivor: Ticket, person: str) -> None:
        """End tickets in favour of another one, which takes the highest severity and tier and the earliest promises."""
        if survivor in losers:
            raise No("Refused")
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        if survivor.merged_into is not None:
            raise No("Conflict")
        self._check_open(survivor)
        losers = [ticket for ticket in losers if ticket.merged_into is not survivor]
        if any(ticket.merged_into is not None or ticket.is_major for ticket in losers):
            raise No("Conflict")
        if not losers:
            return
        # A ticket that was solved says nothing about how bad it is now.
        open_ones = [ticket for ticket in losers if ticket.is_open]
        severity = min((ticket.severity for ticket in open_ones), default=survivor.severity)
        tier = max((ticket.tier for ticket in open_ones), default=0)
        offers = [
            replace(clock, pauses=[list(pause) for pause in clock.pauses])
            for ticket in losers
            for kind, clock in ticket.clocks.items()
            if kind in PROMISES
        ]
        self._event(survivor, "merged", person, **{"from": tuple(sorted(t.number for t in losers))})
        for ticket in losers:
            self._end_merged(ticket, survivor, person)
        if severity < survivor.severity:
            self._event(survivor, "severity_changed", person, to=severity, **{"from": survivor.severity})
            survivor.severity = severity
            self._choose_anew(survivor, rose=True, tier=tier)
        elif tier > survivor.tier:
            to = self._entry(survivor.path, survivor, tier)
            if to > survivor.position:
                self._move(survivor, to, "climb", "merged", self.now)
        for kind in PROMISES:
            self._take_over(survivor, kind, [clock for clock in offers if clock.kind == kind])

    def _end_merged(self: Any, ticket: Ticket, survivor: Ticket, person: str) -> None:
        """Close a ticket; all that it had under way ends, and nobody is told of it any more."""
        self._event(ticket, "merged", person, into=survivor.number, was_open=ticket.status in OPEN)
        if ticket.status != "closed":
            change = {"from": ticket.status}
            self._event(ticket, "status_changed", person, to="closed", reopened=False, **change)
            self._mail(ticket, "ticket.merged", ticket.requester)
        ticket.status, ticket.merged_into = "closed", survivor
        self._end_asking(ticket)
        for kind in list(ticket.clocks):
            self._stop(ticket, kind, "cancelled")
        self._answer_wishes(ticket, "overtaken")
        for message in self.messages(ticket):
            if message.seq is not None and message.state == "pending":
                message.state = "withdrawn"

    def _take_over(self: Any, survivor: Ticket, kind: str, offers: Sequence[Clock]) -> None:
        """Let the earliest of one promise win; one that stands still counts as if it ran on from now."""
        own = survivor.clocks.get(kind)
        best = min(offers, key=self._would_be_due, default=None)
        if best is None:
            return
        if own is None and self._is_over(survivor, kind):
            return
        if own is not None and self._would_be_due(best) >= self._would_be_due(own):
            return
        clock = self._start(
            survivor, kind, best.budget, best.started, best.calendar, round=best.round, used=best.used
        )
        clock.path, clock.warned = best.path, best.warned
        clock.pauses = [[begin, end or self.now] for begin, end in best.pauses]
        clock.run_from(best.since or self.now)
        if survivor.stands_still(kind):
            self._pause(survivor, kind)

    @staticmethod
    def _is_over(ticket: Ticket, kind: str) -> bool:
        """Tell whether the ticket has kept or missed what is promised once in its life."""
        if kind == "first_response" and ticket.last_answer is not None:
            return True
        once = kind in ("first_response", "resolution")
        return once and any(c.kind == kind and c.state in ("met", "fired") for c in ticket.ended)

    def _would_be_due(self: Any, clock: Clock) -> dt.datetime:
        if clock.due is not None:
            return clock.due
        return clock.calendar.hours.after(self.now, max(clock.budget - clock.used, ZERO))

    @staticmethod
    def surviving(ticket: Ticket) -> Ticket:
        """Return the ticket that goes on in this one's place."""
        while ticket.merged_into is not None:
            ticket = ticket.merged_into
        return ticket
