"""Major incidents: declared, linked to, updated, over, back: a part of the model (DESIGN 3, changes under way)."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from tests.model import world
from tests.model.things import TAKEN_OVER, News, No, Ticket


class Incidents:
    """The verbs of major incidents, and what the engine carries from them to the tickets that are linked."""

    # What the rest of the model brings.
    now: dt.datetime
    tickets: list[Ticket]
    news: list[News]

    def declare(self: Any, ticket: Ticket, person: str) -> None:
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        if ticket.is_major:
            return
        self._check_open(ticket)
        if ticket.incident is not None:
            raise No("Conflict")
        ticket.is_major = True
        self._event(ticket, "declared_major", person)

    def link(self: Any, tickets: Sequence[Ticket], incident: Ticket, person: str) -> None:
        """Link tickets to an incident, all or none; what it takes over stands still at once."""
        if incident in tickets:
            raise No("Refused")
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        if not incident.is_major:
            raise No("Refused")
        self._check_open(incident)
        fresh = [ticket for ticket in tickets if ticket.incident is not incident]
        for ticket in fresh:
            self._check_open(ticket)
            if ticket.is_major or ticket.incident is not None:
                raise No("Conflict")
        if not fresh:
            return
        for ticket in fresh:
            ticket.incident, ticket.linked = incident, self.now
            self._event(ticket, "linked", person, incident=incident.number)
            self._suspend(ticket)
        self._event(incident, "linked", person, tickets=tuple(sorted(ticket.number for ticket in fresh)))

    def unlink(self: Any, tickets: Sequence[Ticket], person: str) -> None:
        """Take tickets off their incident: they go on with what was left."""
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        for ticket in tickets:
            if ticket.incident is None:
                continue
            self._event(ticket, "unlinked", person, incident=ticket.incident.number)
            ticket.incident = ticket.linked = None
            self._let_go_on(ticket)

    def resolve_linked(self: Any, incident: Ticket, person: str) -> None:
        """Resolve what is linked to an incident that is over."""
        if person in world.OUTSIDE:
            raise No("NotAllowed")
        if not incident.is_major:
            raise No("Refused")
        if incident.is_open:
            raise No("Conflict")
        for ticket in self.tickets:
            if ticket.incident is incident and ticket.is_open:
                old = ticket.status
                self._write_status(ticket, "resolved", person)
                self._status_changed(ticket, old)

    # --- what stands still ------------------------------------------------------------------------------------------

    def _suspend(self: Any, ticket: Ticket) -> None:
        """Let the incident go on for the ticket: its clocks stand still, due or not, and nobody is told of it."""
        if ticket.suspended:
            return
        ticket.suspended = True
        self._hold_still(ticket)
        self._withdraw(ticket)
        if ticket.is_open:
            self._event(ticket, "escalation.suspended", incident=ticket.incident.number)

    def _hold_still(self: Any, ticket: Ticket) -> None:
        for kind in TAKEN_OVER:
            if ticket.suspended:
                self._pause(ticket, kind)

    def _let_go_on(self: Any, ticket: Ticket) -> None:
        """Resume what was left; whoever was to be told of a step that began meanwhile is told now."""
        if not ticket.suspended:
            return
        ticket.suspended = False
        if not ticket.is_open:
            return
        for kind in TAKEN_OVER:
            if not ticket.stands_still(kind):
                self._resume(ticket, kind)
        telling = ticket.clocks.get("next_telling")
        if telling.round == 0 if telling is not None else self._nobody_heard(ticket):
            self._tell(ticket, since=self.now, begins=True)
        incident = ticket.incident.number if ticket.incident is not None else None
        self._event(ticket, "escalation.resumed", incident=incident)

    def _nobody_heard(self: Any, ticket: Ticket) -> bool:
        """Tell whether what was to be said once at this step was withdrawn before it went out."""
        return ticket.current.acknowledged is None and not any(
            message.is_telling and message.seq == ticket.seq and message.state in ("pending", "sent")
            for message in self.messages(ticket)
        )

    def _check_not_suspended(self: Any, ticket: Ticket) -> None:
        """Refuse to move by hand a ticket for which an incident goes on: that one is moved."""
        if ticket.suspended:
            raise No("Conflict")

    # --- what the engine carries ------------------------------------------------------------------------------------

    def _happened(self: Any, incident: Ticket, what: str, author: str | None) -> None:
        if incident.is_major:
            self.news.append(News(incident, what, self.now, author))

    def _carry_news(self: Any) -> None:
        """Carry what happened on incidents to the tickets that are linked; what an incident is by now decides."""
        for news in self.news:
            linked = [ticket for ticket in self.tickets if ticket.incident is news.incident]
            if news.what == "updated":
                self._carry_update(news, linked)
            for ticket in linked:
                if news.what == "finished" and not news.incident.is_open:
                    self._let_go_on(ticket)
                elif news.what == "reopened" and news.incident.is_open:
                    self._suspend(ticket)
        self.news = []

    def _carry_update(self: Any, news: News, linked: Sequence[Ticket]) -> None:
        """Let an update reach every requester once, and meet the first responses at the instant it was given."""
        heard = {news.incident.requester, news.author}
        for ticket in linked:
            if not ticket.is_open or ticket.linked is None or ticket.linked > news.at:
                continue
            clock = ticket.clocks.get("first_response")
            kept = clock is not None and clock.due is not None and clock.due > news.at
            if clock is not None and kept:
                self._stop(ticket, "first_response", "met")
                clock.stopped = max(news.at, clock.started)
            self._event(
                ticket,
                "escalation.incident_updated",
                incident=news.incident.number,
                clock="first_response" if kept else None,
            )
            if ticket.requester not in heard:
                heard.add(ticket.requester)
                self._mail(ticket, "escalation.incident_update", ticket.requester)
