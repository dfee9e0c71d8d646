"""Severity, details, paths and calendars change while tickets are under way: a part of the model (DESIGN 3)."""

import datetime as dt
from typing import Any

from tests.model import world
from tests.model.hours import ZERO, Opening
from tests.model.things import PROMISES, CalendarVersion, Clock, No, PathVersion, Ticket


class Changing:
    """Changes under way; a part of the model."""

    def set_severity(self: Any, ticket: Ticket, severity: int, person: str) -> None:
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        if severity == ticket.severity:
            return
        rose = severity < ticket.severity
        self._event(ticket, "severity_changed", person, to=severity, **{"from": ticket.severity})
        ticket.severity = severity
        self._choose_anew(ticket, rose=rose)

    def set_detail(self: Any, ticket: Ticket, name: str, value: str | None, person: str) -> None:
        if getattr(ticket, name) == value:
            return
        setattr(ticket, name, value)
        self._event(ticket, "field_changed", person, field=name)
        self._choose_anew(ticket, rose=False)

    def _choose_anew(self: Any, ticket: Ticket, *, rose: bool, tier: int = 0) -> None:
        """Map to the first step at the same tier or above; a merge may bring a higher `tier` along."""
        if not ticket.is_open:
            return
        chosen = self.choose(ticket)
        raised, at_least = tier > ticket.tier, max(ticket.tier, tier)
        if chosen.name != ticket.path.name:
            to = self._entry(chosen, ticket, at_least)
            step = chosen.step(to)
            keeps = step.team is None or step.team == ticket.team
            self._move(ticket, to, "remap", "changed", self.now, path=chosen, keep_owner=keeps)
        elif rose:
            to = self._entry(ticket.path, ticket, at_least)
            if to > ticket.position:
                self._move(ticket, to, "climb", "merged" if raised else "changed", self.now)
            elif ticket.current.acknowledged is not None:
                # The acknowledgement that was given stands; the time at the tier is the new severity's.
                self._stop(ticket, "tier_time", "cancelled")
                self._tier_time(ticket, self.now)
            else:
                self._begin(ticket, self.now)
        self._recompute(ticket)

    def _recompute(self: Any, ticket: Ticket) -> None:
        """Count promises anew from their original start less pauses; what fired or was met stays so."""
        ever = {clock.kind for clock in (*ticket.ended, *ticket.clocks.values())}
        for kind in PROMISES:
            clock, budget = ticket.clocks.get(kind), ticket.path.content.promised(ticket.severity, kind)
            if clock is not None and budget is None:
                self._stop(ticket, kind, "cancelled")
            elif clock is not None and budget is not None:
                self._rebase(ticket, clock, budget)
            elif budget is not None and kind not in ever:
                if kind == "stakeholder_update":
                    self._promise(ticket, kind, self.now)
                elif kind == "resolution" or (kind == "first_response" and ticket.last_answer is None):
                    self._promise(ticket, kind, ticket.opened)

    def _rebase(self: Any, ticket: Ticket, clock: Clock, budget: dt.timedelta) -> None:
        calendar = self._for_promise(ticket)
        ran = clock.started
        used = ZERO
        for begin, end in clock.pauses:
            assert begin is not None
            used += calendar.hours.between(ran, begin)
            if end is None:
                break
            ran = end
        clock.budget, clock.calendar, clock.path = budget, calendar, ticket.path
        clock.used, clock.recorded = used, self.now
        if clock.state == "running" and clock.since is not None:
            clock.run_from(clock.since)

    def publish(self: Any, number: int, variant: int) -> None:
        content, current = world.path_variant(number, variant), self.paths[number]
        if content != current.content:
            self.paths[number] = PathVersion(current.number + 1, content)

    def publish_calendar(self: Any, name: str, variant: int) -> None:
        mapping, current = world.CALENDARS[name][variant], self.calendars[name]
        if mapping != current.hours.mapping:
            self.calendars[name] = CalendarVersion(name, current.number + 1, Opening(mapping))
            self.hours[name, current.number + 1] = self.calendars[name].hours

    def switch(self: Any, contact: str) -> None:
        """Switch a contact off, or on again."""
        self.off ^= {contact}
