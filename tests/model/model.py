"""DESIGN 3 once more, in plain Python: no database, and nothing of the engine's own code.

A second, independent telling of the same rules, slow and literal, so that a bug in the one is not in the other. Every
verb changes the tickets in memory and notes what the timeline and the outbox have to show for it.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

from tests.model import features, world
from tests.model.asking import Asking
from tests.model.by_hand import ByHand
from tests.model.changing import Changing
from tests.model.conversing import Conversing
from tests.model.hours import Opening
from tests.model.incidents import Incidents
from tests.model.merging import Merging
from tests.model.telling import Telling
from tests.model.things import (
    ADMINS,
    ATTEMPTS,
    STEP_CLOCKS,
    TAKEN_OVER,
    CalendarVersion,
    Clock,
    Escalation,
    Message,
    News,
    No,
    PathVersion,
    Ticket,
)
from tests.model.ticking import Ticking
from tests.model.world import StepDef


class Model(Asking, ByHand, Changing, Conversing, Incidents, Merging, Telling, Ticking):
    """All tickets, the present rules, the outbox, and the time."""

    def __init__(self, begin: dt.datetime) -> None:
        self.now = begin
        self.verb = 0
        self._letters = 0
        self.tickets: list[Ticket] = []
        self.outbox: list[Message] = []
        self.off: set[str] = set(world.SWITCHED_OFF)
        self.failing: set[str] = set()
        self.news: list[News] = []
        self.calendars: dict[str, CalendarVersion] = {
            name: CalendarVersion(name, 1, Opening(forms[0])) for name, forms in world.CALENDARS.items()
        }
        self.calendars["24x7"] = CalendarVersion("24x7", 1, Opening(world.ALWAYS))
        # Every version there ever was.
        self.hours = {(c.name, c.number): c.hours for c in self.calendars.values()}
        self.paths: list[PathVersion] = [PathVersion(1, path) for path in world.PATHS]

    # --- people -----------------------------------------------------------------------------------------------------

    def addresses(self, contact: str) -> list[str]:
        """Return how a contact can be reached: preferred first, ways known to fail last."""
        known = world.CONTACTS.get(contact, (world.email(contact),))
        return sorted(known, key=lambda address: address in self.failing)

    def lead_of(self, ticket: Ticket) -> str | None:
        return world.LEAD_OF.get(ticket.team or "") or world.LEAD_OF.get(ticket.step.team or "")

    def may_acknowledge(self, ticket: Ticket, person: str) -> bool:
        role, teams, led = world.PEOPLE[person]
        if role == "requester":
            return False
        if person in world.LEADS:
            return True
        team = ticket.step.team or ticket.team
        return (
            team in (*teams, *led)
            or any(entry.contact == person for entry in self._entries(ticket.step))
            or any(
                m.contact == person and m.is_telling and m.seq == ticket.seq for m in self.messages(ticket)
            )
        )

    def messages(self, ticket: Ticket) -> list[Message]:
        return [message for message in self.outbox if message.ticket is ticket]

    def told(self, ticket: Ticket) -> list[str]:
        """Return the contacts told at the present seq."""
        rows = (m.contact for m in self.messages(ticket) if m.is_telling and m.seq == ticket.seq)
        return sorted({contact for contact in rows if contact is not None})

    # --- writing down -----------------------------------------------------------------------------------------------

    def _event(self, ticket: Ticket, kind: str, actor: str | None = None, /, **data: Any) -> None:
        ticket.events.append((kind, actor, self.now, tuple(sorted(data.items()))))

    def _mail(self, ticket: Ticket, kind: str, person: str) -> None:
        self.outbox.append(Message(kind, ticket, world.email(person), self.now, user=person))

    def _page(self, ticket: Ticket, kind: str, person: str | None) -> None:
        """Tell one person about one ticket; where there is none the fallback contact, where that is off the admins."""
        if person is None and world.FALLBACK in self.off:
            for admin in ADMINS:
                self._page(ticket, kind, admin)
            return
        self._letter(ticket, kind, person or world.FALLBACK, user=person or "")

    def _letter(
        self, ticket: Ticket, kind: str, contact: str, *, address: str | None = None, user: str | None = None
    ) -> None:
        """Write a message to one contact that is no telling; `user` is whose it is, by default the contact's own."""
        person = contact if contact in world.PEOPLE else None
        self._letters += 1
        self.outbox.append(
            Message(
                kind,
                ticket,
                address or self.addresses(contact)[0],
                self.now,
                seq=ticket.seq,
                contact=contact,
                user=user or person,
                letter=self._letters,
            )
        )

    def _withdraw(self, ticket: Ticket) -> None:
        for message in self.messages(ticket):
            if message.is_telling and message.seq == ticket.seq and message.state == "pending":
                message.state = "withdrawn"

    # --- clocks -----------------------------------------------------------------------------------------------------

    def _start(
        self,
        ticket: Ticket,
        kind: str,
        budget: dt.timedelta,
        since: dt.datetime,
        calendar: CalendarVersion,
        **more: Any,
    ) -> Clock:
        self._stop(ticket, kind, "cancelled")
        clock = Clock(
            kind=kind,
            ticket=ticket,
            calendar=calendar,
            path=ticket.path,
            budget=budget,
            started=since,
            recorded=self.now,
            since=since,
            verb=self.verb,
            **more,
        )
        clock.run_from(since)
        ticket.clocks[kind] = clock
        return clock

    def _stop(self, ticket: Ticket, kind: str, outcome: str) -> None:
        clock = ticket.clocks.pop(kind, None)
        if clock is None:
            return
        clock.use_until(self.now)
        clock.state, clock.stopped = outcome, self.now
        # A clock started and stopped by one verb never was.
        if clock.verb != self.verb:
            ticket.ended.append(clock)

    def _pause(self, ticket: Ticket, kind: str) -> None:
        clock = ticket.clocks.get(kind)
        if clock is None or clock.state != "running":
            return
        taken_over = kind in TAKEN_OVER and ticket.suspended
        if clock.due is not None and clock.due <= self.now and not taken_over:
            return  # what was missed before the pause stays missed
        clock.use_until(self.now)
        clock.state, clock.due, clock.warn = "paused", None, None
        clock.pauses.append([self.now, None])

    def _run_on(self, clock: Clock) -> None:
        if clock.pauses and clock.pauses[-1][1] is None:
            clock.pauses[-1][1] = self.now
        clock.recorded, clock.stopped = self.now, None
        clock.run_from(self.now)

    def _resume(self, ticket: Ticket, kind: str) -> None:
        clock = ticket.clocks.get(kind)
        if clock is not None and clock.state == "paused":
            self._run_on(clock)

    def _for_promise(self, ticket: Ticket) -> CalendarVersion:
        content = ticket.path.content
        if ticket.severity == 1 and content.sev1_round_the_clock:
            return self.calendars["24x7"]
        return self.calendars[content.calendar]

    def _for_step(self, ticket: Ticket, step: StepDef | None = None) -> CalendarVersion:
        content = ticket.path.content
        if ticket.severity == 1 and content.sev1_round_the_clock:
            return self.calendars["24x7"]
        return self.calendars[(step or ticket.step).calendar or content.calendar]

    def _promise(self, ticket: Ticket, kind: str, since: dt.datetime, missed: int = 0) -> None:
        budget = ticket.path.content.promised(ticket.severity, kind)
        if budget is None:
            return
        self._start(ticket, kind, budget, since, self._for_promise(ticket), round=missed)
        if ticket.stands_still(kind):
            self._pause(ticket, kind)

    # --- paths and steps --------------------------------------------------------------------------------------------

    def choose(self, ticket: Ticket) -> PathVersion:
        """Return the first path by position that matches; the default one is tried last and takes all the rest."""
        ordered = sorted(self.paths, key=lambda p: (p.content.is_default, p.content.position))
        for path in ordered:
            content = path.content
            if (
                (not content.severities or ticket.severity in content.severities)
                and (not content.services or ticket.service in content.services)
                and (not content.categories or ticket.category in content.categories)
            ):
                return path
        return ordered[-1]

    @staticmethod
    def _entry(path: PathVersion, ticket: Ticket, at_least: int) -> int:
        for position, step in enumerate(path.content.steps, start=1):
            skips = step.skip_severities is not None and ticket.severity in step.skip_severities
            if step.tier >= at_least and not skips:
                return position
        return path.top

    def _enter(self, ticket: Ticket) -> None:
        path = ticket.path = self.choose(ticket)
        ticket.since = self.now
        ticket.escalations.append(Escalation(0, "entered", "opened", None, 1, self.now))
        first = path.step(1)
        self._event(
            ticket, "escalation.entered", seq=0, to=1, tier=first.tier, path=path.name, version=path.number
        )
        entry = self._entry(path, ticket, 1)
        if entry != 1:
            self._move(ticket, entry, "climb", "path", self.now, keep_owner=True)
        else:
            self._place(ticket, keep_owner=True)
            self._begin(ticket, self.now)

    def _place(self, ticket: Ticket, *, keep_owner: bool, actor: str | None = None) -> None:
        """Bring tier, and at a step that transfers team and owner, in line with the step."""
        step = ticket.step
        if ticket.tier != step.tier:
            self._event(ticket, "tier_changed", actor, **{"from": ticket.tier, "to": step.tier})
            ticket.tier = step.tier
        if not step.transfers:
            return
        if step.team is not None and step.team != ticket.team:
            self._event(ticket, "team_changed", actor, **{"from": ticket.team, "to": step.team})
            ticket.team = step.team
        if ticket.owner is not None and not keep_owner:
            self._event(ticket, "assigned", actor, **{"from": ticket.owner, "to": None})
            ticket.owner = None

    def _move(
        self,
        ticket: Ticket,
        to: int,
        kind: str,
        trigger: str,
        begin: dt.datetime,
        *,
        path: PathVersion | None = None,
        due: dt.datetime | None = None,
        late: dt.timedelta | None = None,
        co_triggers: tuple[str, ...] = (),
        actor: str | None = None,
        keep_owner: bool = False,
        wish: str = "overtaken",
        automatic: bool = False,
    ) -> None:
        before, old = ticket.step, ticket.position
        for name in STEP_CLOCKS:
            self._stop(ticket, name, "fired" if name == trigger else "cancelled")
        self._stop(ticket, "request", "met")
        self._answer_wishes(ticket, wish)
        self._end_asking(ticket)
        self._withdraw(ticket)
        changed = path is not None and path is not ticket.path
        if path is not None:
            ticket.path = path
        ticket.position = to
        ticket.seq += 1
        ticket.round, ticket.declined, ticket.since = 0, [], self.now
        ticket.automatic += automatic
        ticket.allowances += kind in ("fall", "return", "remap")
        ticket.falls += kind == "fall"
        ticket.escalations.append(
            Escalation(ticket.seq, kind, trigger, old, to, self.now, due, late, co_triggers, actor)
        )
        self._event(
            ticket,
            "escalation.escalated",
            actor,
            seq=ticket.seq,
            kind=kind,
            trigger=trigger,
            to=to,
            from_tier=before.tier,
            to_tier=ticket.step.tier,
            path_changed=changed,
            due_at=due,
            late_seconds=None if late is None else late.total_seconds(),
            co_triggers=co_triggers,
            **{"from": old},
        )
        self._place(ticket, keep_owner=keep_owner, actor=actor)
        self._begin(ticket, begin)

    def _again(
        self, ticket: Ticket, trigger: str, begin: dt.datetime, due: dt.datetime | None = None
    ) -> None:
        """Clear the acknowledgement, tell the step again, clocks anew; the seq stays (decision 0004)."""
        for name in STEP_CLOCKS:
            self._stop(ticket, name, "fired" if name == trigger else "cancelled")
        self._withdraw(ticket)
        ticket.declined = []
        current = ticket.current
        current.acknowledged = current.acknowledged_by = current.acknowledged_contact = None
        current.via = ""
        self._event(
            ticket,
            "escalation.told_again",
            seq=ticket.seq,
            trigger=trigger,
            step=ticket.position,
            late_seconds=None if due is None else max((self.now - due).total_seconds(), 0.0),
        )
        self._begin(ticket, begin)

    def _tier_time(self, ticket: Ticket, begin: dt.datetime) -> None:
        work = ticket.step.work(ticket.severity)
        if work is not None:
            self._start(ticket, "tier_time", work, begin, self._for_step(ticket), seq=ticket.seq)
            if ticket.stands_still("tier_time"):
                self._pause(ticket, "tier_time")

    def _begin(self, ticket: Ticket, begin: dt.datetime) -> None:
        step = ticket.step
        self._tier_time(ticket, begin)
        acknowledge = step.acknowledge(ticket.severity)
        if acknowledge is not None:
            self._start(ticket, "acknowledge", acknowledge, begin, self._for_step(ticket), seq=ticket.seq)
        if not step.lists:
            self._hold_still(ticket)
            return
        # While an incident goes on for the ticket nobody is told: it waits for that, whatever the step's rounds.
        if acknowledge is not None or step.rounds > 1 or step.in_turn or ticket.suspended:
            self._start(
                ticket, "next_telling", step.wait * world.MIN, begin, self._for_step(ticket), seq=ticket.seq
            )
        if ticket.suspended:
            self._hold_still(ticket)
            return
        self._tell(ticket, begins=True, since=begin)

    # --- acknowledging ----------------------------------------------------------------------------------------------

    def _acknowledge(self, ticket: Ticket, person: str | None, contact: str | None, via: str) -> None:
        current = ticket.current
        current.acknowledged, current.acknowledged_by = self.now, person
        # Whether a person has a contact of their own is not the ladder's matter.
        contact = contact if contact != person else None
        current.acknowledged_contact, current.via = contact, via
        self._stop(ticket, "acknowledge", "met")
        self._stop(ticket, "next_telling", "met")
        self._withdraw(ticket)
        self._event(
            ticket,
            "escalation.acknowledged",
            person,
            seq=ticket.seq,
            via=via,
            step=ticket.position,
            contact=contact,
            after_seconds=(self.now - ticket.since).total_seconds() if ticket.since else None,
        )

    def _takes(self, ticket: Ticket, person: str | None) -> bool:
        return (
            person is not None
            and world.PEOPLE[person][0] != "requester"
            and ticket.owner is None
            and ticket.step.transfers
            and ticket.is_open
        )

    def _engage(self, ticket: Ticket, person: str | None, via: str) -> bool:
        """Take an answer, a note or a taking by those of the step for an acknowledgement."""
        if (
            person is None
            or person in world.OUTSIDE
            or ticket.current.acknowledged is not None
            or not ticket.is_open
            or not self.may_acknowledge(ticket, person)
        ):
            return False
        self._acknowledge(ticket, person, None, via)
        return True

    def acknowledge(self, ticket: Ticket, seq: int, person: str | None, contact: str | None) -> None:
        """Acknowledge by button (`person`) or by a personal link (`contact`)."""
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        if ticket.current.acknowledged is not None:
            raise No("AlreadyAcknowledged")
        if person is not None:
            if not self.may_acknowledge(ticket, person):
                raise No("NotAllowed")
        elif contact not in self.told(ticket):
            raise No("NotAllowed")
        who = person or (contact if contact in world.PEOPLE else None)
        self._acknowledge(ticket, who, contact, "button" if person else "link")
        if self._takes(ticket, who):
            self._assign(ticket, who, who)

    def pass_on(self, ticket: Ticket, seq: int, contact: str) -> None:
        """Note that a contact can't take it; the next one is told at once."""
        self._check_seq(ticket, seq)
        self._check_open(ticket)
        if ticket.current.acknowledged is not None:
            raise No("AlreadyAcknowledged")
        if contact in ticket.declined:
            return
        ticket.declined.append(contact)
        person = contact if contact in world.PEOPLE else None
        self._event(ticket, "escalation.passed_on", person, seq=ticket.seq, contact=contact)
        if not ticket.suspended:
            self._tell(ticket, since=self.now)

    # --- what people do ---------------------------------------------------------------------------------------------

    def open(self, severity: int, service: str | None, category: str | None) -> Ticket:
        ticket = Ticket(len(self.tickets), severity, service, category, self.now, last_requester=self.now)
        ticket.requester = world.REQUESTERS[ticket.number % len(world.REQUESTERS)]
        team = world.SERVICES[service][0] if service else None
        ticket.team = team if team is not None and world.TEAMS[team] == 1 else None
        self.tickets.append(ticket)
        self._event(ticket, "opened", severity=severity, team=ticket.team)
        self._mail(ticket, "ticket.opened", ticket.requester)
        self._enter(ticket)
        for kind in ("first_response", "resolution", "stakeholder_update"):
            self._promise(ticket, kind, self.now)
        return ticket

    def _check_seq(self, ticket: Ticket, seq: int) -> None:
        if seq != ticket.seq:
            raise No("Moved")

    def _check_open(self, ticket: Ticket) -> None:
        if not ticket.is_open:
            raise No("Conflict")

    # --- delivery ---------------------------------------------------------------------------------------------------

    def deliver(self, fate: Callable[[Message], str]) -> None:
        """Let everything pending go out; `fate` says sent, failed or dead of each row."""
        for message in self.outbox:
            if message.state != "pending":
                continue
            message.attempts += 1
            outcome = fate(message)
            if outcome == "failed" and message.attempts < ATTEMPTS:
                continue
            message.state = "sent" if outcome == "sent" else "dead"
            goes_on = message.is_telling or (features.LETTERS_GO_ON and message.seq is not None)
            message.handled = message.state != "dead" or not goes_on
            if message.contact is not None:
                (self.failing.discard if message.state == "sent" else self.failing.add)(message.address)
