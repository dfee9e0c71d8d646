"""The engine's laws, each checked on the database's own rows after every verb of a history and at its end.

A law sees moments (the rows before and after one verb) and says in words what broke it; the model decides nothing here.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.model import world
from tests.model.histories import SECOND, Moment, Play
from tests.model.hours import ZERO
from tests.model.looking import Look, View, of_real
from tests.model.plain import Row, outbox
from tests.model.things import OPEN, PROMISES, TAKEN_OVER

CHANGES = ("escalation.escalated", "escalation.told_again")
BY_CLOCK = (
    "tier_time",
    "acknowledge",
    "resolution",
    "first_response",
    "next_response",
    "stakeholder_update",
    "request",
)
# How many clocks may fire one after another before a ticket's people hear of it: a queue tells nobody by itself.
PATIENCE = 12


class Law:
    """One law: `see` every moment, then the `end`; `applied` counts how often there was something to break."""

    applied = 0

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        yield from ()

    def end(self, play: Play) -> Iterator[str]:
        yield from ()


class SeqRisesByOne(Law):
    """Every change of step has the ticket's next seq, on the rows and on the timeline."""

    def __init__(self) -> None:
        self.last: dict[int, int] = {}

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            seqs = [row["seq"] for row in view["escalations"]]
            if seqs != list(range(len(seqs))) or view["standing"]["seq"] != len(seqs) - 1:
                yield f"ticket {number} stands at seq {view['standing']['seq']} with escalations {seqs}"
            for kind, data in moment.after.events_of(number):
                if kind in ("escalation.entered", "escalation.escalated"):
                    self.applied += 1
                    if data["seq"] != self.last.get(number, -1) + 1:
                        yield f"ticket {number}: seq {data['seq']} follows {self.last.get(number)}"
                    self.last[number] = data["seq"]

    def end(self, play: Play) -> Iterator[str]:
        from tickets.models import Event

        for number, pk in enumerate(play.real.tickets):
            seqs = list(Event.objects.filter(ticket_id=pk).order_by("pk").values_list("seq", flat=True))
            if seqs != list(range(1, len(seqs) + 1)):
                yield f"ticket {number}: its events are numbered {seqs}"


class AcknowledgedBeforeClaim(Law):
    """Once a step is acknowledged nobody else is told of it, and what was pending is withdrawn."""

    def __init__(self) -> None:
        self.taken: dict[int, int] = {}

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            seq = view["standing"]["seq"]
            for kind, data in moment.after.events_of(number):
                if kind == "escalation.acknowledged":
                    self.taken[number] = data["seq"]
                    self.applied += 1
                elif kind in CHANGES:
                    self.taken.pop(number, None)
                elif kind == "escalation.told" and number in self.taken:
                    yield f"ticket {number} is acknowledged, and yet {data['contacts']} are told"
            if self.taken.get(number) == seq:
                yield from self._while_taken(number, seq, moment)

    @staticmethod
    def _while_taken(number: int, seq: int, moment: Moment) -> Iterator[str]:
        view, was = moment.after.tickets[number], moment.before.tickets[number : number + 1]
        if view["escalations"][-1]["acknowledged"][0] is None:
            yield f"ticket {number}: its acknowledgement of seq {seq} is gone"
        mine = [
            row
            for row in moment.after.outbox
            if row.ticket == number and row.seq == seq and row.round is not None
        ]
        # Rows are only ever added, in order.
        new = [row for row in mine if row in moment.after.outbox[len(moment.before.outbox) :]]
        if new and was and was[0]["escalations"][-1]["acknowledged"][0] is not None:
            yield f"ticket {number} was acknowledged before this, and yet {new[0].contact} is told"
        yield from (
            f"ticket {number} is acknowledged, and yet the message to {row.contact} waits"
            for row in mine
            if row.state == "pending"
        )
        for kind in ("acknowledge", "next_telling"):
            if kind in view["clocks"]:
                yield f"ticket {number} is acknowledged, and yet its {kind} runs"


class NoStepIsSilent(Law):
    """Whenever a step begins, somebody is told at once, or it is a queue whose time runs.

    While a major incident goes on for the ticket nobody is told; who was to be told by then is told when it is over.
    """

    def __init__(self) -> None:
        self.untold: set[int] = set()

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            events = moment.after.events_of(number)
            begun = [kind for kind, _ in events if kind in (*CHANGES, "escalation.entered")]
            if view["ticket"]["status"] not in OPEN:
                continue
            step = step_of(view)
            seq = view["standing"]["seq"]
            if view["standing"]["suspended"]:
                self.untold |= {number} if begun and step.lists else set()
                continue
            yield from self._runs_on(number, view, events)
            if begun:
                self.applied += 1
                told = [
                    d for kind, d in events if kind == "escalation.told" and d["seq"] == seq and d["contacts"]
                ]
                if step.lists and not told:
                    yield f"ticket {number} comes to {step.name}, and nobody is told"
                if not step.lists and not {"tier_time", "acknowledge"} & view["clocks"].keys():
                    yield f"ticket {number} comes to the queue {step.name}, where no time runs"
            for kind, data in events:
                if kind == "escalation.told" and data["seq"] == seq:
                    yield from self._written(number, data, moment)
                if kind == "escalation.nobody":
                    yield f"ticket {number}: nobody could be told"
            if step.lists and "acknowledge" in view["clocks"] and "next_telling" not in view["clocks"]:
                yield f"ticket {number} waits to be acknowledged at {step.name}, and nobody else will be told"

    def _runs_on(self, number: int, view: View, events: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
        if number not in self.untold:
            return
        self.untold.discard(number)
        taken = view["escalations"][-1]["acknowledged"][0] is not None
        if step_of(view).lists and not taken and "escalation.told" not in (kind for kind, _ in events):
            yield f"ticket {number} runs on, and nobody has been told"

    @staticmethod
    def _written(number: int, data: dict[str, Any], moment: Moment) -> Iterator[str]:
        there = {
            row.contact
            for row in moment.after.outbox
            if row.ticket == number and row.seq == data["seq"] and row.round == data["round"]
        }
        if missing := set(data["contacts"]) - there:
            yield f"ticket {number}: {missing} were told, it says, but no message was written"


class AClockAndANextPerson(Law):
    """Every open ticket, waiting or not, has a running clock, and when it has run out somebody is told.

    It holds where the matrix gives a step time to work; the linter names the steps that have none. The clocks of one
    for which a major incident goes on may stand still: the incident, which is open, has them.
    """

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            if view["ticket"]["status"] not in OPEN:
                if view["clocks"]:
                    yield f"ticket {number} is {view['ticket']['status']}, and yet {sorted(view['clocks'])} run"
                continue
            self.applied += 1
            running = [c for c in view["clocks"].values() if c["state"] == "running"]
            if not running and not view["standing"]["suspended"]:
                yield f"ticket {number} is {view['ticket']['status']} and has no running clock"
                continue
            dues = [c["due"] for kind, c in view["clocks"].items() if c["due"] and kind != "next_telling"]
            if view["ticket"]["next_due"] != min(dues, default=None):
                yield f"ticket {number} is sorted by {view['ticket']['next_due']}, its clocks are due {dues}"
            if view["ticket"]["status"] in ("waiting", "hold") and "follow_up" not in view["clocks"]:
                yield f"ticket {number} waits, and nobody is reminded of it"

    def end(self, play: Play) -> Iterator[str]:
        """Let time run for each open ticket until somebody hears of it; what is linked waits for its incident."""
        play.model.now += SECOND
        play.real.tick(play.model.now)
        views = of_real(play.real)
        for number, view in enumerate(views):
            if view["ticket"]["status"] not in OPEN:
                continue
            if not view["standing"]["suspended"]:
                yield from self._until_told(play, number)
            elif views[view["ticket"]["incident"]]["ticket"]["status"] not in OPEN:
                yield f"ticket {number} stands still for an incident that is over"

    @staticmethod
    def _until_told(play: Play, number: int) -> Iterator[str]:
        from django.db.models import Min

        from escalation.engine import tick
        from escalation.models import Clock
        from notifications.models import Notification

        pk = play.real.tickets[number]
        now = play.model.now
        before = Notification.objects.filter(ticket_id=pk).count()
        for _ in range(PATIENCE):
            fires = Clock.objects.filter(ticket_id=pk, fires_at__isnull=False).aggregate(at=Min("fires_at"))[
                "at"
            ]
            if fires is None:
                break
            now = max(now, fires) + SECOND
            tick(now=now, only=[pk])
            if Notification.objects.filter(ticket_id=pk).count() > before:
                return
        yield f"ticket {number} is open, and {PATIENCE} clocks later nobody has heard of it"


class OneStepPerClaim(Law):
    """A claim makes at most one step, however many clocks are due; the others are named with it, and all are spent."""

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        if moment.name not in ("tick", "run", "edge"):
            return
        for number, view in enumerate(moment.before.tickets):
            dues = {
                kind: clock
                for kind, clock in view["clocks"].items()
                if clock["fires"] is not None
                and clock["fires"] <= moment.now
                and clock["recorded"] < moment.now
            }
            events = moment.after.events_of(number)
            changes = [data for kind, data in events if kind in CHANGES]
            if len(changes) > 1:
                yield f"ticket {number} makes {len(changes)} steps at one claim"
            over = {kind for kind, clock in dues.items() if clock["due"] <= moment.now}
            self.applied += len(over) > 1
            after = moment.after.tickets[number]
            if view["standing"]["suspended"] or moment.after.tickets[number]["standing"]["suspended"]:
                # What the incident takes over is not due, and what happened on it is carried before this claim.
                if changes and moment.after.tickets[number]["standing"]["suspended"]:
                    yield f"ticket {number} makes a step though an incident goes on for it"
                continue
            left = {k for k in over if after["clocks"].get(k, {}).get("fires") == dues[k]["fires"]}
            if left:
                yield f"ticket {number}: {left} were due and are not spent"
            if changes:
                yield from self._causes(number, changes[0], over, view)
            elif over & {"tier_time", "acknowledge"}:
                yield f"ticket {number}: {over} were due, and it makes no step"
            if not over and [d for kind, d in events if kind in CHANGES]:
                yield f"ticket {number} makes a step though nothing is due"

    @staticmethod
    def _causes(number: int, change: dict[str, Any], over: set[str], view: View) -> Iterator[str]:
        named = {change["trigger"], *change.get("co_triggers", ())}
        if named - over:
            yield f"ticket {number} moves by {named}, but due were {over}"
        if "co_triggers" in change and (over & {"tier_time", "acknowledge"}) - named:
            yield f"ticket {number}: of {over} only {named} are on record"
        if change.get("to", 0) and change["to"] != view["standing"]["step"] + 1:
            yield f"ticket {number} climbs from {view['standing']['step']} to {change['to']} by itself"


class AutomaticStepsAreBounded(Law):
    """By itself a ticket climbs its path at most once, and once more per fall, reopening or change of path."""

    def __init__(self) -> None:
        self.climbed: Counter[int] = Counter()
        self.by_itself: Counter[int] = Counter()
        self.more: Counter[int] = Counter()
        self.longest: Counter[int] = Counter()

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            steps = self.longest[number] = max(self.longest[number], len(path_of(view).steps))
            for kind, data in moment.after.events_of(number):
                if kind == "escalation.told_again" and data["trigger"] == "reopened":
                    self.more[number] += 1
                    self.climbed[number] = 0
                if kind != "escalation.escalated":
                    continue
                if data["kind"] in ("fall", "return", "remap"):
                    self.more[number] += 1
                    self.climbed[number] = 0
                elif data["trigger"] in BY_CLOCK:
                    self.applied += 1
                    self.climbed[number] += 1
                    self.by_itself[number] += 1
            if self.climbed[number] > steps - 1:
                yield f"ticket {number} climbed {self.climbed[number]} times by itself on {steps} steps"
            if self.by_itself[number] > steps * (1 + self.more[number]):
                yield f"ticket {number}: {self.by_itself[number]} automatic steps, {self.more[number]} allowances"
            counted = (view["standing"]["automatic"], view["standing"]["allowances"])
            if counted != (self.by_itself[number], self.more[number]):
                yield f"ticket {number} counts {counted}, its timeline {self.by_itself[number], self.more[number]}"


class PausesConserveTheBudget(Law):
    """Time used stays used: what a clock has used and what it has left are its budget, whatever pauses there were."""

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            for kind in ("resolution", *TAKEN_OVER):
                clock = view["clocks"].get(kind)
                if clock is None or (moment.before.tickets[number : number + 1] or [{}])[0] == view:
                    continue
                self.applied += bool(clock["pauses"])
                hours = play.model.hours[clock["calendar"]]
                used, ran, stands = ZERO, clock["started"], False
                for begin, end in clock["pauses"]:
                    used += hours.between(ran, begin)
                    stands = end is None
                    ran = end or ran
                if stands != (clock["state"] == "paused"):
                    yield f"ticket {number}: {kind} is {clock['state']} with pauses {clock['pauses']}"
                if clock["used"] != used:
                    yield f"ticket {number}: {kind} has used {used}, it says {clock['used']}"
                if stands:
                    if clock["due"] is not None or clock["fires"] is not None:
                        yield f"ticket {number}: {kind} stands still and is due {clock['due']}"
                    continue
                left = max(clock["budget"] - used, ZERO)
                if clock["since"] != ran or clock["due"] != hours.after(ran, left):
                    yield (
                        f"ticket {number}: {kind} has {left} left from {ran}: due {hours.after(ran, left)}, "
                        f"it says {clock['due']}"
                    )


class EditsMoveNoClock(Law):
    """Publishing a path or a calendar moves no clock; what starts later counts in the calendar's current version."""

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        if moment.name in ("publish", "calendar"):
            self.applied += bool(moment.before.tickets)
            if (moment.before.tickets, moment.before.outbox) != (moment.after.tickets, moment.after.outbox):
                yield "publishing moved a ticket or a clock"
        for number, view in enumerate(moment.after.tickets):
            events = moment.after.events_of(number)
            was = moment.before.tickets[number] if number < len(moment.before.tickets) else None
            if (
                was is not None
                and not events
                and was["clocks"] != view["clocks"]
                and not _due(was, moment.now)
            ):
                yield f"ticket {number}: its clocks moved though nothing happened"
            for kind, clock in view["clocks"].items():
                before = was["clocks"].get(kind) if was is not None else None
                resumed = any(end is not None for _, end in clock["pauses"])
                # A survivor goes on with a promise as it was made.
                taken_over = kind in PROMISES and "merged" in (k for k, _ in events)
                if resumed or taken_over or (before is not None and before["started"] == clock["started"]):
                    continue
                name, version = clock["calendar"]
                if kind != "next_telling" and version != play.model.calendars[name].number:
                    yield f"ticket {number}: a new {kind} counts in version {version} of {name}"


class EveryRowEnds(Law):
    """Every row of the outbox ends sent, dead with its consequence drawn, or withdrawn; nothing ends twice."""

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        final = ("sent", "dead", "withdrawn")
        for was, row in zip(moment.before.outbox, moment.after.outbox, strict=False):
            if was.state in final and row.state != was.state:
                yield f"{row} was {was.state} already"
            if (was.ticket, was.kind, was.contact, was.at) != (row.ticket, row.kind, row.contact, row.at):
                yield f"{was} became {row}"

    def end(self, play: Play) -> Iterator[str]:
        salt = len(play.script)

        def fate(row: Row) -> str:
            return ("sent", "dead", "failed", "dead")[
                (sum(row.address.encode()) + salt + (row.round or 0)) % 4
            ]

        for _ in range(40):
            play.real.deliver(fate)
            play.model.now += SECOND
            play.real.tick(play.model.now)
            if all(row.state != "pending" for row in outbox(play.real)):
                break
        rows = Look.at(play.real).outbox
        self.applied += sum(row.state == "dead" for row in rows)
        yield from (f"{row} never ends" for row in rows if row.state not in ("sent", "dead", "withdrawn"))
        yield from (f"{row}: nothing follows" for row in rows if row.state == "dead" and not row.handled)


LAWS: dict[str, type[Law]] = {
    "seq rises by one": SeqRisesByOne,
    "acknowledged before the claim means nobody else is told": AcknowledgedBeforeClaim,
    "no step is silent": NoStepIsSilent,
    "no ticket without a clock and a next person": AClockAndANextPerson,
    "one step per claim": OneStepPerClaim,
    "automatic steps are bounded": AutomaticStepsAreBounded,
    "pauses conserve the budget": PausesConserveTheBudget,
    "edits move no running clock": EditsMoveNoClock,
    "every outbox row ends": EveryRowEnds,
}


def path_of(view: View) -> world.PathDef:
    name, _ = view["standing"]["path"]
    return next(path for path in world.PATHS if path.name == name)


def step_of(view: View) -> world.StepDef:
    return path_of(view).steps[view["standing"]["step"] - 1]


def _due(view: View, now: dt.datetime) -> bool:
    return any(clock["fires"] is not None and clock["fires"] <= now for clock in view["clocks"].values())
