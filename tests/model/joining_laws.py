"""The laws of tickets that belong together: merged, or linked to a major incident (DESIGN 3, changes under way)."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from tests.model import world
from tests.model.histories import Moment, Play
from tests.model.laws import Law, path_of
from tests.model.looking import View
from tests.model.things import OPEN, PROMISES, TAKEN_OVER

TICKS = ("tick", "run", "edge")
# A step changes under an incident only for what is done to the ticket itself.
BY_CHANGE = {"changed", "reopened", "merged"}
UPDATE = "escalation.incident_update"


class MergedRests(Law):
    """A merged ticket has no clock and tells nobody; its survivor has the worst severity, the highest tier and the
    earliest promises."""

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        fresh: dict[int, list[View]] = {}
        for number, view in enumerate(moment.after.tickets):
            survivor = view["ticket"]["merged_into"]
            if survivor is None:
                continue
            was = moment.before.tickets[number]
            yield from self._at_rest(number, was, view, moment)
            if was["ticket"]["merged_into"] is None:
                fresh.setdefault(survivor, []).append(was)
        for survivor, losers in fresh.items():
            self.applied += 1
            yield from self._takes_over(survivor, losers, moment)

    @staticmethod
    def _at_rest(number: int, was: View, view: View, moment: Moment) -> Iterator[str]:
        if view["ticket"]["status"] != "closed" or view["clocks"]:
            yield f"ticket {number} is merged, {view['ticket']['status']}, and {sorted(view['clocks'])} run"
        if view["standing"]["seq"] != was["standing"]["seq"]:
            yield f"ticket {number} is merged, and changes step"
        ladder = [view["ticket"][name] for name in ("next_due", "tier_due", "unacknowledged_since")]
        if any(at is not None for at in ladder):
            yield f"ticket {number} is merged, and stands on the board at {ladder}"
        told = [kind for kind, _ in moment.after.events_of(number) if kind.startswith("escalation.")]
        if told:
            yield f"ticket {number} is merged, and {told} happen"
        yield from (
            f"ticket {number} is merged, and {row.kind} to {row.contact} waits"
            for row in moment.after.outbox
            if row.ticket == number and row.seq is not None and row.state == "pending"
        )

    @staticmethod
    def _takes_over(number: int, losers: list[View], moment: Moment) -> Iterator[str]:
        view = moment.after.tickets[number]
        open_ones = [loser for loser in losers if loser["ticket"]["status"] in OPEN]
        if any(loser["ticket"]["severity"] < view["ticket"]["severity"] for loser in open_ones):
            yield f"ticket {number} goes on for a graver one as SEV{view['ticket']['severity']}"
        highest = max((loser["ticket"]["tier"] for loser in open_ones), default=1)
        if view["ticket"]["tier"] < min(highest, path_of(view).steps[-1].tier):
            yield f"ticket {number} goes on for one of tier {highest} at tier {view['ticket']['tier']}"
        for kind in PROMISES:
            dues = [c["due"] for loser in losers if (c := loser["clocks"].get(kind)) and c["due"] is not None]
            own = view["clocks"].get(kind)
            if not dues or (own is not None and own["due"] is None):
                continue
            kept = {"met", "fired"} & {state for k, state, *_ in view["ended"] if k == kind}
            if own is None and not kept and view["ticket"]["last_answer"] is None:
                yield f"ticket {number} takes over no {kind}, due {min(dues)}"
            if own is not None and own["due"] > min(dues):
                yield f"ticket {number}: its {kind} is due {own['due']}, that of a merged one was {min(dues)}"


class LinkedStandsStill(Law):
    """What an incident takes over stands still and nobody is told while it goes on; it goes on while it is open."""

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        for number, view in enumerate(moment.after.tickets):
            incident = view["ticket"]["incident"]
            if view["standing"]["suspended"]:
                self.applied += 1
                yield from self._still(number, view, moment)
                if incident is None:
                    yield f"ticket {number} stands still and is linked to nothing"
            if incident is not None and moment.name in TICKS:
                goes_on = moment.after.tickets[incident]["ticket"]["status"] in OPEN
                if goes_on != view["standing"]["suspended"]:
                    yield f"ticket {number}: a tick left it as it is, though its incident {goes_on=}"

    @staticmethod
    def _still(number: int, view: View, moment: Moment) -> Iterator[str]:
        running = [kind for kind in TAKEN_OVER if view["clocks"].get(kind, {}).get("state") == "running"]
        if running:
            yield f"ticket {number}: an incident goes on for it, and {running} run"
        if view["ticket"]["tier_due"] is not None or view["ticket"]["unacknowledged_since"] is not None:
            yield f"ticket {number} stands still, and not on the board"
        yield from (
            f"ticket {number} stands still, and {row.contact} will be told"
            for row in moment.after.outbox
            if row.ticket == number and row.round is not None and row.state == "pending"
        )
        was = moment.before.tickets[number : number + 1]
        if not was or not was[0]["standing"]["suspended"]:
            return
        for kind, data in moment.after.events_of(number):
            if kind == "escalation.told":
                yield f"ticket {number} stands still, and {data['contacts']} are told"
            if kind == "escalation.escalated" and data["trigger"] not in BY_CHANGE:
                yield f"ticket {number} stands still, and moves by {data['trigger']}"


class UpdateReachesOnce(Law):
    """An update of an incident reaches the requester of every open ticket linked by then, once, and nobody else."""

    def __init__(self) -> None:
        self.since: dict[int, dt.datetime] = {}
        self.updates: list[tuple[int, dt.datetime, str | None]] = []

    def see(self, play: Play, moment: Moment) -> Iterator[str]:
        if moment.name in TICKS:
            yield from self._carried(moment)
        elif new := _mails(moment):
            yield f"{moment.name} itself tells {sorted(new)} of an update"
        for number, (kind, actor, at, data) in moment.after.events:
            if kind == "linked" and "incident" in dict(data):
                self.since[number] = at
            if kind == "updated" and moment.after.tickets[number]["ticket"]["is_major"]:
                self.updates.append((number, at, actor))

    def _carried(self, moment: Moment) -> Iterator[str]:
        expected: Counter[str] = Counter()
        for incident, at, author in self.updates:
            people = {
                _requester(number)
                for number, view in enumerate(moment.before.tickets)
                if view["ticket"]["incident"] == incident
                and view["ticket"]["status"] in OPEN
                and self.since[number] <= at
            }
            expected.update(world.email(person) for person in people - {_requester(incident), author})
        self.updates = []
        self.applied += expected.total()
        told = _mails(moment)
        if told != expected:
            yield f"an update should reach {dict(expected)} and reaches {dict(told)}"


def _mails(moment: Moment) -> Counter[str]:
    new = moment.after.outbox[len(moment.before.outbox) :]
    return Counter(row.address for row in new if row.kind == UPDATE)


def _requester(number: int) -> str:
    return world.REQUESTERS[number % len(world.REQUESTERS)]


JOINING_LAWS: dict[str, type[Law]] = {
    "merged tickets rest, survivors take over": MergedRests,
    "linked tickets stand still": LinkedStandsStill,
    "an update reaches every requester once": UpdateReachesOnce,
}
