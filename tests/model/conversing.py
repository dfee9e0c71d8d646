"""What people say and do with a ticket, and what follows for its promises: a part of the model (DESIGN 3, waiting)."""

from typing import Any

from tests.model import world
from tests.model.things import NEXT_STATUS, OPEN, No, Ticket


class Conversing:
    """The verbs of the conversation, of statuses and of assignment; a part of the model."""

    def say(self: Any, ticket: Ticket, kind: str, person: str, then: str | None = None) -> None:
        """Reply, note or update, and set the status that goes with it."""
        requester = person in world.OUTSIDE
        if requester and kind != "replied":
            raise No("NotAllowed")
        if ticket.merged_into is not None and not requester:
            raise No("Merged")
        ticket = self.surviving(ticket)
        public = kind in ("replied", "updated")
        following = then or self._status_after(ticket, public=public, requester=requester) or ticket.status
        self._speak(ticket, following, person, public=public)
        self._event(ticket, kind, person, from_requester=requester)
        old = ticket.status
        if public and person != ticket.requester:
            kind_of_mail = "ticket.updated" if kind == "updated" else "ticket.answered"
            self._mail(ticket, kind_of_mail, ticket.requester)
        if public and requester and ticket.owner is not None:
            self._mail(ticket, "ticket.replied", ticket.owner)
        if kind == "updated":
            self._happened(ticket, "updated", person)
        if following != old:
            self._write_status(ticket, following, person, with_answer=public and not requester)
        if public:
            self._converse(ticket, requester=requester, update=kind == "updated")
        question = self._speaks_to(ticket, person)
        took = self._engage(ticket, person, "reply")
        if following != old:
            self._status_changed(ticket, old)
        if question is not None:
            self._answered(ticket, question, person)
        if took and self._takes(ticket, person):
            self._assign(ticket, person, person)

    def _speak(self: Any, ticket: Ticket, following: str, person: str, *, public: bool) -> None:
        """Note when each side last spoke, unless the status that is to follow is refused."""
        before = ticket.last_answer, ticket.last_requester
        if public and person in world.OUTSIDE:
            ticket.last_requester = self.now
        elif public:
            ticket.last_answer = self.now
        try:
            self._set_status_refusals(ticket, following, person)
        except No:
            ticket.last_answer, ticket.last_requester = before
            raise

    @staticmethod
    def _status_after(ticket: Ticket, *, public: bool, requester: bool) -> str | None:
        """Return the status that a public word brings with it: customers bring tickets back, answers begin work."""
        reopens = ("waiting", "resolved", "closed") if requester else ("new",)
        return "open" if public and ticket.status in reopens else None

    def _converse(self: Any, ticket: Ticket, *, requester: bool, update: bool) -> None:
        if not requester:
            # A public answer keeps these promises, whatever it does to the status.
            self._stop(ticket, "first_response", "met")
            self._stop(ticket, "next_response", "met")
            if ticket.is_open and ("stakeholder_update" in ticket.clocks or update):
                self._stop(ticket, "stakeholder_update", "met")
                self._promise(ticket, "stakeholder_update", self.now)
            return
        waits = "first_response" in ticket.clocks or "next_response" in ticket.clocks
        if ticket.is_open and not waits and ticket.last_answer is not None:
            self._promise(ticket, "next_response", self.now)

    def set_status(self: Any, ticket: Ticket, status: str, person: str | None) -> None:
        old = ticket.status
        if status == old:
            return
        self._set_status_refusals(ticket, status, person)
        self._write_status(ticket, status, person)
        self._status_changed(ticket, old)

    def _set_status_refusals(self: Any, ticket: Ticket, status: str, person: str | None) -> None:
        if status == ticket.status or person is None:
            return
        if person in world.OUTSIDE:
            allowed = {"open": ("waiting", "resolved", "closed"), "resolved": OPEN}
            if ticket.status not in allowed.get(status, ()):
                raise No("Refused")
        if ticket.merged_into is not None:
            raise No("Conflict")
        if status not in NEXT_STATUS[ticket.status]:
            raise No("Refused")
        if status == "waiting":
            answered = ticket.last_answer is not None and (
                ticket.last_requester is None or ticket.last_answer >= ticket.last_requester
            )
            if not answered:
                raise No("Refused")

    def _write_status(
        self: Any, ticket: Ticket, status: str, person: str | None, *, with_answer: bool = False
    ) -> None:
        reopened = not ticket.is_open and status in OPEN
        self._event(ticket, "status_changed", person, to=status, reopened=reopened, **{"from": ticket.status})
        done = ticket.is_open and status not in OPEN
        if done and person not in world.OUTSIDE and not with_answer:
            self._mail(ticket, "ticket.resolved", ticket.requester)
        ticket.status = status
        if reopened or not ticket.is_open:
            self._happened(ticket, "reopened" if reopened else "finished", person)

    def _status_changed(self: Any, ticket: Ticket, old: str) -> None:
        if not ticket.is_open:
            self._end_asking(ticket)
            for kind in list(ticket.clocks):
                self._stop(ticket, kind, "met" if kind in ("resolution", "follow_up") else "cancelled")
            self._withdraw(ticket)
            self._answer_wishes(ticket, "overtaken")
        elif old not in OPEN:
            self._reopen(ticket)
        else:
            for kind in ("resolution", "tier_time"):
                if ticket.stands_still(kind):
                    self._pause(ticket, kind)
                else:
                    self._resume(ticket, kind)
            if ticket.is_waiting:
                self._follow_up(ticket)
            else:
                self._stop(ticket, "follow_up", "met")

    def _follow_up(self: Any, ticket: Ticket) -> None:
        calendar = self.calendars[ticket.path.content.calendar]
        due = calendar.hours.business_days_after(self.now, ticket.path.content.follow_up_days)
        self._start(ticket, "follow_up", calendar.hours.between(self.now, due), self.now, calendar)

    def _reopen(self: Any, ticket: Ticket) -> None:
        """Bring a ticket back to the last step that transfers, with full time; a breach never fires twice."""
        last = next((c for c in reversed(ticket.ended) if c.kind == "resolution"), None)
        if last is not None and last.state == "met":
            ticket.ended.remove(last)
            ticket.clocks["resolution"] = last
            # From the finish, or from the pause that was under way then, until now it stood still.
            if not last.pauses or last.pauses[-1][1] is not None:
                last.pauses.append([last.stopped, None])
            self._run_on(last)
        below = [n for n in range(1, ticket.position + 1) if ticket.path.step(n).transfers]
        to = below[-1] if below else 1
        if to == ticket.position:
            ticket.allowances += 1
            self._again(ticket, "reopened", self.now)
        else:
            self._move(ticket, to, "return", "reopened", self.now, keep_owner=True)
        self._promise(ticket, "stakeholder_update", self.now)

    def assign(self: Any, ticket: Ticket, person: str | None, by: str) -> None:
        if by in world.OUTSIDE:
            raise No("NotAllowed")
        if person in world.OUTSIDE:
            raise No("Refused")
        self._assign(ticket, person, by)

    def _assign(self: Any, ticket: Ticket, person: str | None, by: str | None) -> None:
        if ticket.owner == person:
            return
        self._event(ticket, "assigned", by, to=person, **{"from": ticket.owner})
        ticket.owner = person
        if person is not None and person != by:
            self._mail(ticket, "ticket.assigned", person)
        old = ticket.status
        if person is not None and old == "new":
            self._write_status(ticket, "open", by)
        if person is not None and person == by:
            self._engage(ticket, person, "taken")
