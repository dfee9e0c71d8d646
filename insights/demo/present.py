"""The demo's open tickets: opened, answered, escalated and acknowledged by the real operations in the last days."""

import datetime as dt
import random
from dataclasses import dataclass

from accounts.models import User
from calendars.queries import current_version_ids, hours_of, round_the_clock_version_id
from calendars.rules import Hours, elapsed
from escalation.models import Escalation, Standing
from escalation.operations import acknowledge, escalate, request_escalation
from escalation.rules.paths import StepRule
from insights.demo.house import House
from insights.demo.stage import Stage
from insights.demo.stories import CHASERS, THANKS, WAVE
from insights.demo.telling import Case, make_case
from tickets.models import Status, Ticket
from tickets.operations import add_note, add_reply, open_ticket, post_update

OPEN_BY_TIER = {1: 32, 2: 24, 3: 11, 4: 5}
SOLVED_LATELY = 16
# The wave of payment troubles: one of them runs out of time every so often, from shortly after the demo is loaded.
WAVE_SIZE, WAVE_FIRST, WAVE_EVERY = 20, dt.timedelta(seconds=25), dt.timedelta(seconds=36)
_LONGEST = dt.timedelta(days=45)
_SECOND = dt.timedelta(seconds=1)


def plan_present(house: House, rng: random.Random, stage: Stage) -> None:
    """Put the last days' tickets on the stage."""
    for tier, how_many in OPEN_BY_TIER.items():
        for number in range(how_many):
            _Open(house, rng, stage, tier, number).plan()
    for _ in range(SOLVED_LATELY):
        _plan_solved(house, rng, stage)
    for number in range(WAVE_SIZE):
        _plan_wave(house, rng, stage, number)


def back(hours: Hours, until: dt.datetime, open_time: dt.timedelta) -> dt.datetime:
    """Return the instant from which on `open_time` passes in these hours until `until`, to the second."""
    low, high = until - _LONGEST, until
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        if elapsed(hours, middle, until) > open_time:
            low = middle
        else:
            high = middle
    return high


@dataclass(slots=True)
class _Stay:
    """A ticket's time at one step: when it came, and how it leaves ("hand", "tier_time", "acknowledge", "")."""

    step: StepRule
    came_at: dt.datetime
    left_at: dt.datetime
    leaves: str


class _Open:
    """One open ticket, planned backwards from where it stands now."""

    def __init__(self, house: House, rng: random.Random, stage: Stage, tier: int, number: int) -> None:
        self.house, self.rng, self.stage = house, rng, stage
        self.number = number
        self.case: Case = make_case(house, rng)
        steps = [step for step in self.case.rule.steps if step.tier == tier]
        self.top = steps[0] if rng.random() < 0.7 else steps[-1]
        self.untouched = rng.random() < (0.3 if tier == 1 else 0.25)
        self.ticket_id = 0
        self.owner: User | None = None

    def plan(self) -> None:
        stays = self._stays()
        self.stage.at(stays[0].came_at, self._open)
        for stay in stays:
            last = stay is stays[-1]
            if not (last and self.untouched) and stay.leaves != "acknowledge":
                self._plan_work(stay)
            if stay.leaves == "hand":
                self.stage.at(stay.left_at, self._escalate)
        if not self.untouched:
            self._plan_ending(stays[-1])
        promised = self.case.rule.promised(self.case.severity).update_every
        if promised is not None:
            self._plan_updates(stays[0].came_at, promised)

    def _stays(self) -> list[_Stay]:
        """Go back from now, step by step, to the opening."""
        rng, severity = self.rng, self.case.severity
        budget = self.top.work_within(severity) or dt.timedelta(hours=8)
        wanted = self.top.acknowledge_within(severity)
        share = rng.uniform(0.08, 0.93 if self.top.tier < 3 else 0.6)
        spent = budget * share
        if self.untouched and wanted is not None:
            spent = wanted * rng.uniform(0.1, 0.8)
        came_at = back(self._hours(self.top), self.house.now, spent)
        stays = [_Stay(self.top, came_at, self.house.now, "")]
        for position in range(self.top.position - 1, 0, -1):
            step = self.case.rule.step(position)
            leaves = rng.choices(("hand", "tier_time", "acknowledge"), weights=(55, 25, 20))[0]
            budget = step.work_within(severity) or dt.timedelta(hours=8)
            wanted = step.acknowledge_within(severity)
            if leaves == "acknowledge" and wanted is not None and position > 1:
                spent = wanted
            else:
                leaves = "tier_time" if leaves == "tier_time" else "hand"
                spent = budget if leaves == "tier_time" else budget * rng.uniform(0.15, 0.8)
            before = back(self._hours(step), stays[0].came_at, spent)
            stays.insert(0, _Stay(step, before, stays[0].came_at, leaves))
        return stays

    def _hours(self, step: StepRule) -> Hours:
        rule = self.case.rule
        if self.case.severity == 1 and rule.sev1_round_the_clock:
            return hours_of(round_the_clock_version_id())
        calendar_id = step.calendar_id or rule.calendar_id
        return hours_of(current_version_ids([calendar_id])[calendar_id])

    # --- what is planned ------------------------------------------------------------------------------------------

    def _plan_work(self, stay: _Stay) -> None:
        """Somebody of the step takes it soon after it came, within the time to acknowledge."""
        within = stay.step.acknowledge_within(self.case.severity) or dt.timedelta(hours=1)
        soonest = min(within, stay.left_at - stay.came_at)
        who = self.rng.choice(self.house.at_step(self.case.rule, stay.step.position))
        at = stay.came_at + soonest * self.rng.uniform(0.15, 0.7)
        if stay.step.position == 1:
            self.stage.at(at, lambda now: self._reply(who, self.case.story.first, now))
        else:
            self.stage.at(at, lambda now: self._take(who, now))
            later = at + (stay.left_at - at) * self.rng.uniform(0.1, 0.5)
            self.stage.at(later, lambda now: self._note(who, self.case.story.note, now))

    def _plan_ending(self, stay: _Stay) -> None:
        """Vary how it stands now: waiting, on hold, asked after, wished up, or just being worked on."""
        rng, now = self.rng, self.house.now
        left = now - stay.came_at
        soon = now - min(left * 0.2, dt.timedelta(hours=20)) * rng.uniform(0.2, 1.0)
        match self.number % 8:
            case 1:
                self.stage.at(
                    soon, lambda at: self._reply(self.owner, self.case.story.ask, at, Status.WAITING)
                )
            case 3 if self.number % 16 == 3:
                self.stage.at(soon, self._hold)
            case 4:
                just = now - dt.timedelta(minutes=rng.uniform(1, 12))
                self.stage.at(max(just, soon), self._chase)
            case 6 if stay.step.tier < 3 and self.number % 16 == 6:
                self.stage.at(now - dt.timedelta(minutes=rng.uniform(1, 5)), self._wish)
            case 7:
                self.stage.at(soon, lambda at: self._note(self.owner, self.case.story.tried, at))
            case _:
                pass

    def _plan_updates(self, since: dt.datetime, every: dt.timedelta) -> None:
        at = since + every * 0.8
        while at < self.house.now:
            self.stage.at(at, self._update)
            at += every * 0.85

    # --- what happens ---------------------------------------------------------------------------------------------

    def _open(self, now: dt.datetime) -> None:
        self.ticket_id = open_ticket(draft=self.case.draft(self.house), actor=self.case.requester, now=now).pk

    def _seq(self) -> int:
        return Standing.objects.values_list("seq", flat=True).get(pk=self.ticket_id)

    def _acknowledged(self) -> bool:
        current = Escalation.objects.filter(ticket_id=self.ticket_id).order_by("-seq")
        return current.values_list("acknowledged_at", flat=True)[0] is not None

    def _worker(self, who: User | None) -> User:
        return who or self.rng.choice(self.house.at_step(self.case.rule, 1))

    def _reply(self, who: User | None, words: str, now: dt.datetime, status: str | None = None) -> None:
        self.owner = self._worker(who)
        add_reply(
            ticket_id=self.ticket_id,
            body=self.case.words(words),
            actor=self.owner,
            now=now,
            then_status=status,
        )

    def _note(self, who: User | None, words: str, now: dt.datetime) -> None:
        add_note(ticket_id=self.ticket_id, body=self.case.words(words), actor=self._worker(who), now=now)

    def _take(self, who: User, now: dt.datetime) -> None:
        self.owner = who
        if not self._acknowledged():
            acknowledge(ticket_id=self.ticket_id, seen_seq=self._seq(), actor=who, now=now)

    def _escalate(self, now: dt.datetime) -> None:
        escalate(
            ticket_id=self.ticket_id,
            seen_seq=self._seq(),
            actor=self._worker(self.owner),
            now=now,
            reason=self.case.words(self.case.story.suspected),
            handoff=self.case.handoff(self.rng),
        )

    def _hold(self, now: dt.datetime) -> None:
        add_reply(
            ticket_id=self.ticket_id,
            body="We have asked the manufacturer and expect their answer tomorrow.",
            actor=self._worker(self.owner),
            now=now,
            then_status=Status.HOLD,
            reason="Manufacturer, case opened.",
        )

    def _chase(self, now: dt.datetime) -> None:
        words = self.case.words(self.rng.choice(CHASERS))
        add_reply(ticket_id=self.ticket_id, body=words, actor=self.case.requester, now=now)

    def _wish(self, now: dt.datetime) -> None:
        request_escalation(
            ticket_id=self.ticket_id,
            actor=self.case.requester,
            reason=self.case.words("{site} can't wait any longer. Please bring in somebody who knows it."),
            now=now,
        )

    def _update(self, now: dt.datetime) -> None:
        tried = self.case.words(self.case.story.tried)
        post_update(
            ticket_id=self.ticket_id,
            body=f"{tried} We go on and write again within the hour.",
            actor=self._worker(self.owner),
            now=now,
        )


def _plan_solved(house: House, rng: random.Random, stage: Stage) -> None:
    """Put a ticket on the stage that was solved within the last two days, and can still be opened again."""
    case = make_case(house, rng)
    who = rng.choice(house.at_step(case.rule, 1))
    opened_at = house.now - dt.timedelta(hours=rng.uniform(3, 60))
    solved_at = opened_at + dt.timedelta(minutes=rng.uniform(8, 25 if case.severity < 3 else 150))
    made: list[Ticket] = []

    def begin(now: dt.datetime) -> None:
        made.append(open_ticket(draft=case.draft(house), actor=case.requester, now=now))

    def solve(now: dt.datetime) -> None:
        words = case.words(case.story.solution)
        add_reply(ticket_id=made[0].pk, body=words, actor=who, now=now, then_status=Status.RESOLVED)

    def thank(now: dt.datetime) -> None:
        # Automatic, as far as the status goes: a word of thanks opens nothing again.
        add_reply(
            ticket_id=made[0].pk, body=rng.choice(THANKS), actor=case.requester, now=now, automatic=True
        )

    stage.at(opened_at, begin)
    stage.at(solved_at, solve)
    if rng.random() < 0.4:
        stage.at(min(solved_at + dt.timedelta(minutes=rng.uniform(10, 90)), house.now), thank)


def _plan_wave(house: House, rng: random.Random, stage: Stage, number: int) -> None:
    """Put a payment trouble on the stage whose time at L1 runs out WAVE_EVERY after the one before it."""
    case = make_case(house, rng, WAVE[number % len(WAVE)])
    step = case.rule.step(1)
    budget = step.work_within(case.severity) or dt.timedelta(minutes=15)
    opened_at = house.now + WAVE_FIRST + WAVE_EVERY * number - budget
    who = rng.choice(house.at_step(case.rule, 1))
    made: list[Ticket] = []

    def begin(now: dt.datetime) -> None:
        made.append(open_ticket(draft=case.draft(house), actor=case.requester, now=now))

    def answer(now: dt.datetime) -> None:
        add_reply(ticket_id=made[0].pk, body=case.words(case.story.first), actor=who, now=now)

    stage.at(opened_at, begin)
    stage.at(opened_at + dt.timedelta(seconds=rng.uniform(40, 200)), answer)
