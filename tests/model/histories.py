"""Random histories: small tuples of small numbers, read against the model's present state, so that they shrink well."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.model import features, world
from tests.model.looking import Look, clock_time, differences
from tests.model.model import Model
from tests.model.plain import Row
from tests.model.real import Real
from tests.model.things import Message, No, Ticket
from tests.model.world import MIN

MICROSECOND = dt.timedelta(microseconds=1)
SECOND = dt.timedelta(seconds=1)
HOPS = (1, 3, 7, 12, 25, 45, 90, 240, 600, 1500, 4400)
LATE = (dt.timedelta(0), SECOND, 59 * SECOND, 60 * SECOND, 61 * SECOND, 7 * MIN)
WORKERS = ("piet", "aisha", "tomas", "olaf", "lena", "ilse", "ada", "carla")
SERVICES = (None, *world.SERVICES)
CATEGORIES = (None, *world.CATEGORIES)
MOST_TICKETS = 5

Step = tuple[Any, ...]


def _verb(name: str, *ranges: int) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *(st.integers(0, most) for most in ranges))


_TICKET = MOST_TICKETS - 1
_PERSON = len(WORKERS) - 1
# From here on a link is made to whatever ticket comes, incident or not.
_CARELESS = 4
VERBS: dict[str, tuple[int, tuple[int, ...]]] = {
    # name: (how often, the greatest value of each number)
    "nothing": (1, ()),
    "run": (7, (5, len(LATE) - 1)),
    "hop": (2, (len(HOPS) - 1,)),
    "edge": (2, (3, 2)),
    "tick": (2, (5,)),
    "open": (3, (3, len(SERVICES) - 1, len(CATEGORIES) - 1)),
    "reply": (3, (_TICKET, _PERSON, 3)),
    "ask": (2, (_TICKET, 0)),
    "park": (3, (_TICKET, 1)),
    "note": (1, (_TICKET, _PERSON)),
    "update": (1, (_TICKET, _PERSON)),
    "status": (4, (_TICKET, 4, 1)),
    "acknowledge": (3, (_TICKET, 2 * _PERSON + 1, 3)),
    "cant": (3, (_TICKET, 3)),
    "take": (1, (_TICKET, _PERSON)),
    "assign": (1, (_TICKET, _PERSON, _PERSON)),
    "escalate": (2, (_TICKET, _PERSON, 3, 1)),
    "deescalate": (2, (_TICKET, _PERSON, 3, 1)),
    "wish": (2, (_TICKET,)),
    "grant": (1, (_TICKET, 1)),
    "severity": (3, (_TICKET, 3)),
    "service": (1, (_TICKET, len(SERVICES) - 1)),
    "category": (1, (_TICKET, len(CATEGORIES) - 1)),
    "publish": (1, (len(world.PATHS) - 1, world.VARIANTS - 1)),
    "calendar": (1, (1, 2)),
    "switch": (1, (len(world.COME_AND_GO) - 1,)),
    "mail": (3, (7,)),
}
if features.CONSULT:
    VERBS["consult"] = (2, (_TICKET, _PERSON, 3, 3))
if features.SEND_BACK:
    VERBS["hand_up"] = (2, (_TICKET, _PERSON))
    VERBS["send_back"] = (3, (_TICKET, _PERSON, 3))
    VERBS["answer"] = (2, (_TICKET, _PERSON, 3))


if features.JOINING:
    VERBS["merge"] = (3, (_TICKET, _TICKET, 5, _PERSON))
    VERBS["declare"] = (1, (_TICKET, _PERSON))
    VERBS["link"] = (5, (_TICKET, _TICKET, 5, _PERSON))
    VERBS["unlink"] = (3, (_TICKET, 2, _PERSON))
    VERBS["incident"] = (5, (_TICKET, 6, _PERSON))


_LINKED = st.just(("link", 0, 1, 0, 0))


@dataclass(frozen=True)
class History:
    """A beginning, the form each path has, and what happens."""

    beginning: int
    variants: tuple[int, ...]
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        steps = "\n".join(f"        {step!r}," for step in self.steps if step[0] != "nothing")
        return f"History(beginning={self.beginning}, variants={self.variants}, steps=(\n{steps}\n    ))"


def histories(least: int = 14, most: int = 32) -> st.SearchStrategy[History]:
    """Draw a history; a step shrinks away by becoming "nothing"."""
    step = st.one_of([_verb(name, *ranges) for name, (often, ranges) in VERBS.items() for _ in range(often)])
    opening = _verb("open", *VERBS["open"][1])
    alone = st.tuples(opening)
    # Every other history begins with an incident and what is linked to it: chance alone seldom brings both about.
    first = st.one_of(alone, st.tuples(opening, opening, _LINKED)) if features.JOINING else alone
    return st.builds(
        lambda beginning, variants, first, rest: History(beginning, variants, (*first, *rest)),
        st.integers(0, len(world.BEGINNINGS) - 1),
        st.tuples(*(st.one_of(st.just(0), st.integers(0, world.VARIANTS - 1)) for _ in world.PATHS)),
        first,
        st.lists(step, min_size=least, max_size=most),
    )


@dataclass
class Moment:
    """What one verb of a history did, for the laws: the database before and after it."""

    name: str
    now: dt.datetime
    outcome: str | None
    before: Look
    after: Look


@dataclass
class Play:
    """A history under way, on the model and on the real engine side by side."""

    history: History
    model: Model
    real: Real
    script: list[str] = field(default_factory=list)
    parted: list[str] = field(default_factory=list)
    look: Look = field(default_factory=lambda: Look([], [], []))
    # How every tick is split among workers, whatever the history says.
    split: int | None = None

    def run(self) -> Iterator[Moment]:
        """Play step by step until model and engine part; then `parted` says where."""
        for number, variant in enumerate(self.history.variants):
            if variant:
                yield from self._do("publish", (number, variant))
        for name, *numbers in self.history.steps:
            yield from self._do(name, tuple(numbers))
            if self.parted:
                return

    def _do(self, name: str, numbers: tuple[int, ...]) -> Iterator[Moment]:
        for line, mine, its in getattr(self, f"_{name}")(*numbers):
            yield self._both(name, line, mine, its)
            if self.parted:
                return

    def _both(self, name: str, line: str, mine: Callable[[], Any], its: Callable[[], Any]) -> Moment:
        model = self.model
        self.script.append(f"{clock_time(model.now)}  {line}")
        events_before = [len(ticket.events) for ticket in model.tickets]
        model.verb += 1
        expected = None
        try:
            mine()
        except No as no:
            expected = str(no)
        outcome = its()
        outcome = outcome if isinstance(outcome, str) else None
        if outcome or expected:
            self.script[-1] += f"  [{outcome or 'done'}]"
        before, self.look = self.look, Look.at(self.real)
        events_before += [0] * (len(model.tickets) - len(events_before))
        self.parted = differences(model, self.look, events_before)
        if expected != outcome:
            self.parted.insert(0, f"the model says {expected or 'done'}, the engine {outcome or 'done'}")
        return Moment(name, model.now, outcome, before, self.look)

    def told(self, found: list[str]) -> str:
        """Return the history so far as a script, and what was found at its end."""
        return "\n".join(["", *self.script, "", *found[:12], "", repr(self.history)])

    def _ticket(self, number: int) -> Ticket | None:
        tickets = self.model.tickets
        return tickets[number % len(tickets)] if tickets else None

    # --- time -------------------------------------------------------------------------------------------------------

    def _nothing(self) -> Iterator[Any]:
        yield from ()

    def _firing(self) -> list[dt.datetime]:
        clocks = (clock for ticket in self.model.tickets for clock in ticket.clocks.values())
        return sorted({clock.fires for clock in clocks if clock.fires is not None})

    def _run(self, many: int, late: int) -> Iterator[Any]:
        """Let the engine run: to the next instant at which a clock fires, and tick there, some times over."""
        for _ in range(many + 1):
            ahead = [at for at in self._firing() if at + LATE[late] > self.model.now]
            if not ahead:
                return
            self.model.now = max(ahead[0] + LATE[late], self.model.now)
            yield from self._tick(0)

    def _hop(self, hop: int) -> Iterator[Any]:
        """Let time pass while the engine is down."""
        self.model.now += HOPS[hop] * MIN
        yield from ()

    def _edge(self, which: int, side: int) -> Iterator[Any]:
        """Go exactly to when a clock fires, or a microsecond to one side of it, and tick."""
        ahead = [at for at in self._firing() if at - MICROSECOND > self.model.now]
        if not ahead:
            return
        self.model.now = ahead[min(which, len(ahead) - 1)] + (side - 1) * MICROSECOND
        yield from self._tick(0)

    def _tick(self, split: int) -> Iterator[Any]:
        split = split if self.split is None else self.split
        count = len(self.model.tickets)
        order = list(range(count))
        parts: list[list[int]] = []
        if split:
            order = order[split % (count or 1) :] + order[: split % (count or 1)]
            size = 1 + split % 3
            parts = [order[n : n + size] for n in range(0, count, size)]
        label = f"tick, first {parts}" if parts else "tick"
        yield label, self.model.tick, lambda: self.real.tick(self.model.now, parts)

    # --- people -----------------------------------------------------------------------------------------------------

    def _open(self, severity: int, service: int, category: int) -> Iterator[Any]:
        if len(self.model.tickets) >= MOST_TICKETS:
            return
        facts = (4 - severity, SERVICES[service], CATEGORIES[category])
        yield (
            f"open SEV{facts[0]}, service {facts[1]}, category {facts[2]}",
            lambda: self.model.open(*facts),
            lambda: self.real.open(self.model.now, *facts),
        )

    def _say(self, number: int, kind: str, person: str, then: str | None) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None or (then is not None and (not ticket.is_open or person in world.OUTSIDE)):
            return
        person = self._insider(ticket, person)
        yield (
            f"ticket {ticket.number}: {kind} by {person}" + (f", then {then}" if then else ""),
            lambda: self.model.say(ticket, kind, person, then),
            lambda: self.real.say(self.model.now, ticket.number, kind, person, then),
        )

    def _reply(self, number: int, person: int, then: int) -> Iterator[Any]:
        yield from self._say(number, "replied", WORKERS[person], (None, "waiting", "hold", "resolved")[then])

    def _ask(self, number: int, _: int) -> Iterator[Any]:
        yield from self._say(number, "replied", "carla", None)

    def _park(self, number: int, hold: int) -> Iterator[Any]:
        yield from self._say(number, "replied", "piet", "hold" if hold else "waiting")

    def _note(self, number: int, person: int) -> Iterator[Any]:
        yield from self._say(number, "noted", WORKERS[person], None)

    def _update(self, number: int, person: int) -> Iterator[Any]:
        yield from self._say(number, "updated", WORKERS[person], None)

    def _status(self, number: int, status: int, by: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        wanted = ("open", "hold", "waiting", "resolved", "closed")[status]
        person = self._insider(ticket, ("piet", "carla")[by])
        yield (
            f"ticket {ticket.number}: {person} sets it {wanted}",
            lambda: self.model.set_status(ticket, wanted, person),
            lambda: self.real.set_status(self.model.now, ticket.number, wanted, person),
        )

    def _acknowledge(self, number: int, who: int, stale: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        seq = self._seen(ticket, stale)
        links = [(None, contact) for contact in self.model.told(ticket)]
        buttons = [(name, None) for name in WORKERS if self.model.may_acknowledge(ticket, name)]
        person, contact = (
            (links + buttons)[who % len(links + buttons)] if who <= _PERSON else (WORKERS[who - 8], None)
        )
        by = f"{contact} (link)" if contact else str(person)
        yield (
            f"ticket {ticket.number}: {by} acknowledges seq {seq}",
            lambda: self.model.acknowledge(ticket, seq, person, contact),
            lambda: self.real.acknowledge(self.model.now, ticket.number, seq, person, contact),
        )

    def _cant(self, number: int, who: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        told = self.model.told(ticket) if ticket else []
        if ticket is None or not told:
            return
        contact, seq = told[who % len(told)], ticket.seq
        yield (
            f"ticket {ticket.number}: {contact} can't",
            lambda: self.model.pass_on(ticket, seq, contact),
            lambda: self.real.pass_on(self.model.now, ticket.number, seq, contact),
        )

    def _take(self, number: int, person: int) -> Iterator[Any]:
        yield from self._assign(number, person, person)

    def _assign(self, number: int, person: int, by: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        whom, who = WORKERS[person], WORKERS[by]
        yield (
            f"ticket {ticket.number}: {who} gives it to {whom}",
            lambda: self.model.assign(ticket, whom, who),
            lambda: self.real.assign(self.model.now, ticket.number, whom, who),
        )

    def _escalate(self, number: int, person: int, to: int, stale: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        seq = self._seen(ticket, stale)
        target = ticket.position + to if to else None
        who = WORKERS[person]
        yield (
            f"ticket {ticket.number}: {who} escalates seq {seq} to {target or 'the next step'}",
            lambda: self.model.escalate(ticket, seq, who, target),
            lambda: self.real.escalate(self.model.now, ticket.number, seq, who, target),
        )

    def _deescalate(self, number: int, person: int, down: int, stale: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        seq = self._seen(ticket, stale)
        target, who = ticket.position - down, WORKERS[person]
        yield (
            f"ticket {ticket.number}: {who} hands seq {seq} back to {target}",
            lambda: self.model.deescalate(ticket, seq, who, target),
            lambda: self.real.deescalate(self.model.now, ticket.number, seq, who, target),
        )

    def _consult(self, number: int, person: int, up: int, stale: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        seq, who, target = self._seen(ticket, stale), WORKERS[person], ticket.position + up
        yield (
            f"ticket {ticket.number}: {who} consults step {target}",
            lambda: self.model.consult(ticket, seq, who, target),
            lambda: self.real.consult(self.model.now, ticket.number, seq, who, target),
        )

    def _hand_up(self, number: int, person: int) -> Iterator[Any]:
        yield from self._escalate(number, person, 0, 0)

    def _send_back(self, number: int, person: int, stale: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        able = [name for name in WORKERS if self.model.may_acknowledge(ticket, name)]
        seq, who = self._seen(ticket, stale), (able[person % len(able)] if stale else WORKERS[person])
        yield (
            f"ticket {ticket.number}: {who} asks the sender of seq {seq}",
            lambda: self.model.send_back(ticket, seq, who),
            lambda: self.real.send_back(self.model.now, ticket.number, seq, who),
        )

    def _answer(self, number: int, person: int, stale: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        asked = ticket.current.actor
        seq, who = self._seen(ticket, stale), (asked if stale and asked else WORKERS[person])
        yield (
            f"ticket {ticket.number}: {who} answers what was asked about seq {seq}",
            lambda: self.model.answer_question(ticket, seq, who),
            lambda: self.real.answer_question(self.model.now, ticket.number, seq, who),
        )

    @staticmethod
    def _insider(ticket: Ticket, person: str) -> str:
        """Return the person, and of those outside the one whose ticket it is: another one does not reach it."""
        return ticket.requester if person in world.OUTSIDE else person

    @staticmethod
    def _seen(ticket: Ticket, stale: int) -> int:
        """Return the seq that somebody saw: now and then the one before."""
        return ticket.seq - 1 if stale == 1 and ticket.seq else ticket.seq

    def _wish(self, number: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        yield (
            f"ticket {ticket.number}: the requester wishes that it climbs",
            lambda: self.model.wish(ticket),
            lambda: self.real.wish(self.model.now, ticket.number),
        )

    def _grant(self, number: int, decline: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None or not ticket.wishes:
            return
        yield (
            f"ticket {ticket.number}: lena {'declines' if decline else 'grants'} the wish",
            lambda: self.model.answer_wish(ticket, "lena", grant=not decline),
            lambda: self.real.answer_wish(self.model.now, ticket.number, "lena", grant=not decline),
        )

    # --- tickets that belong together -------------------------------------------------------------------------------

    def _merge(self, number: int, first: int, how: int, person: int) -> Iterator[Any]:
        """Merge one ticket or two (`how` is odd), mostly what can be merged; where there is none one is opened."""
        who = WORKERS[person]
        if how >= _CARELESS:
            survivor, losers = self._ticket(number), self._some(first, how % 2)
        else:
            if sum(ticket.is_open for ticket in self.model.tickets) < 2:
                yield from self._open(first % 4, number % len(SERVICES), 0)
            alive = [ticket for ticket in self.model.tickets if ticket.is_open]
            survivor = alive[number % len(alive)] if alive else None
            others = [
                t for t in self.model.tickets if t is not survivor and not (t.is_major or t.merged_into)
            ]
            losers = [others[(first + n) % len(others)] for n in range(how % 2 + 1)] if others else []
        if survivor is None or not losers:
            return
        numbers = sorted({ticket.number for ticket in losers})
        losers = [self.model.tickets[number] for number in numbers]
        yield (
            f"{who} merges {numbers} into ticket {survivor.number}",
            lambda: self.model.merge(losers, survivor, who),
            lambda: self.real.merge(self.model.now, numbers, survivor.number, who),
        )

    def _declare(self, number: int, person: int) -> Iterator[Any]:
        ticket, who = self._ticket(number), WORKERS[person]
        if ticket is None:
            return
        yield (
            f"ticket {ticket.number}: {who} declares it a major incident",
            lambda: self.model.declare(ticket, who),
            lambda: self.real.declare(self.model.now, ticket.number, who),
        )

    def _link(self, which: int, first: int, how: int, person: int) -> Iterator[Any]:
        """Link one ticket or two (`how` is odd), mostly to an incident: where there is none, one is declared."""
        if how < _CARELESS and not self._majors():
            yield from self._declare(which, 0)
        incident = self._ticket(which) if how >= _CARELESS else self._major(which)
        if incident is None:
            return
        tickets, who = self._some(first, how % 2), WORKERS[person]
        numbers = [ticket.number for ticket in tickets]
        # What happens at the very instant it is linked, happens before.
        self.model.now += SECOND
        yield (
            f"{who} links {numbers} to ticket {incident.number}",
            lambda: self.model.link(tickets, incident, who),
            lambda: self.real.link(self.model.now, numbers, incident.number, who),
        )

    def _unlink(self, first: int, careless: int, person: int) -> Iterator[Any]:
        linked = [ticket for ticket in self.model.tickets if ticket.incident is not None]
        tickets = self._some(first, 1) if careless > 1 or not linked else [linked[first % len(linked)]]
        numbers, who = [ticket.number for ticket in tickets], WORKERS[person]
        yield (
            f"{who} unlinks {numbers}",
            lambda: self.model.unlink(tickets, who),
            lambda: self.real.unlink(self.model.now, numbers, who),
        )

    def _incident(self, which: int, what: int, person: int) -> Iterator[Any]:
        """Update an incident, finish it, bring it back, or resolve what is linked to it."""
        incident = self._major(which)
        if incident is None:
            return
        match what:
            case 0 | 1 | 2:
                yield from self._say(incident.number, "updated", WORKERS[person], None)
            case 3:
                yield from self._say(incident.number, "updated", "piet", "resolved")
            case 4 | 5:
                yield from self._status(incident.number, 3 if incident.is_open else 0, 0)
            case _:
                who = WORKERS[person]
                yield (
                    f"{who} resolves what is linked to ticket {incident.number}",
                    lambda: self.model.resolve_linked(incident, who),
                    lambda: self.real.resolve_linked(self.model.now, incident.number, who),
                )

    def _majors(self) -> list[Ticket]:
        return [ticket for ticket in self.model.tickets if ticket.is_major]

    def _major(self, which: int) -> Ticket | None:
        majors = self._majors()
        return majors[which % len(majors)] if majors else None

    def _some(self, first: int, more: int) -> list[Ticket]:
        """Return one ticket, or it and the next one."""
        tickets = self.model.tickets
        numbers = {(first + n) % len(tickets) for n in range(more + 1)} if tickets else set()
        return [tickets[number] for number in sorted(numbers)]

    # --- changes ----------------------------------------------------------------------------------------------------

    def _severity(self, number: int, severity: int) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        yield (
            f"ticket {ticket.number}: SEV{severity + 1}",
            lambda: self.model.set_severity(ticket, severity + 1, "piet"),
            lambda: self.real.set_severity(self.model.now, ticket.number, severity + 1, "piet"),
        )

    def _detail(self, number: int, name: str, value: str | None) -> Iterator[Any]:
        ticket = self._ticket(number)
        if ticket is None:
            return
        yield (
            f"ticket {ticket.number}: {name} is {value}",
            lambda: self.model.set_detail(ticket, name, value, "piet"),
            lambda: self.real.set_detail(self.model.now, ticket.number, name, value, "piet"),
        )

    def _service(self, number: int, value: int) -> Iterator[Any]:
        yield from self._detail(number, "service", SERVICES[value])

    def _category(self, number: int, value: int) -> Iterator[Any]:
        yield from self._detail(number, "category", CATEGORIES[value])

    def _publish(self, number: int, variant: int) -> Iterator[Any]:
        yield (
            f"publish path {world.PATHS[number].name} as variant {variant}",
            lambda: self.model.publish(number, variant),
            lambda: self.real.publish(self.model.now, number, variant),
        )

    def _calendar(self, number: int, variant: int) -> Iterator[Any]:
        name = sorted(world.CALENDARS)[number]
        form = variant % len(world.CALENDARS[name])
        yield (
            f"publish calendar {name} as variant {form}",
            lambda: self.model.publish_calendar(name, form),
            lambda: self.real.publish_calendar(self.model.now, name, form),
        )

    def _switch(self, number: int) -> Iterator[Any]:
        contact = world.COME_AND_GO[number]
        yield (
            f"switch contact {contact} {'on' if contact in self.model.off else 'off'}",
            lambda: self.model.switch(contact),
            lambda: self.real.switch(contact),
        )

    def _mail(self, pattern: int) -> Iterator[Any]:
        """Deliver all that is pending; the pattern says whose address refuses, fails for now, or accepts."""

        def fate(row: Message | Row) -> str:
            bit = sum(row.address.encode()) % 3
            if pattern >> bit & 1:
                return "failed" if (row.round or 0) % 2 == 0 else "dead"
            return "sent"

        yield (
            f"deliver, pattern {pattern:03b}",
            lambda: self.model.deliver(fate),
            lambda: self.real.deliver(fate) and None,
        )
