"""The demo's finished tickets of the last thirty days: history, written in batches.

The shares are those counted in a real log of 743 incidents: 58 % never left L1, 34 % reached L2, 8 % L3; a third
waited for the customer, one in six fell back a tier, one in sixteen was opened again, a quarter was solved while the
caller was still on the phone.
"""

import datetime as dt
import random
from collections.abc import Sequence

from accounts.models import User
from escalation.operations import LoggedMove, LoggedTaking, record_moves
from insights.demo.house import House
from insights.demo.stories import CHASERS, THANKS
from insights.demo.telling import Case, day_time, make_case
from tickets.models import Entry, EntryKind, Source, Status
from tickets.operations import LoggedCase, LoggedRow, record_cases
from tickets.timeline import working

DAYS = 30
PER_WEEKDAY, PER_WEEKEND_DAY = 17, 5
ON_THE_PHONE, WAITED, FELL, REOPENED = 0.24, 0.33, 0.16, 0.06
HIGHEST = ((1, 58), (2, 34), (3, 8))
BATCH = 100


def record_past(house: House, rng: random.Random, *, until: dt.datetime) -> int:
    """Record the finished tickets opened from thirty days ago to `until`; return how many."""
    lives = []
    first = house.now.date() - dt.timedelta(days=DAYS)
    for offset in range((until.date() - first).days + 1):
        day = first + dt.timedelta(days=offset)
        for _ in range(PER_WEEKDAY if day.weekday() < 5 else PER_WEEKEND_DAY):
            life = _Life(house, rng, day_time(rng, day))
            if life.ended < until:
                lives.append(life)
    lives.sort(key=lambda life: life.rows[0].happened_at)
    for start in range(0, len(lives), BATCH):
        chunk = lives[start : start + BATCH]
        with working():
            recorded = record_cases(
                cases=[LoggedCase(draft=life.case.draft(house), rows=life.rows) for life in chunk],
                now=house.now,
            )
            record_moves(
                moves=[
                    move
                    for ticket, life in zip(recorded.tickets, chunk, strict=True)
                    for move in life.moves_of(ticket.pk)
                ]
            )
    return len(lives)


class _Life:
    """One ticket from its opening to its end, told forward."""

    def __init__(self, house: House, rng: random.Random, opened_at: dt.datetime) -> None:
        self.house, self.rng = house, rng
        self.case: Case = make_case(house, rng)
        self.at = opened_at
        self.position = 1
        self.rows: list[LoggedRow] = []
        self.steps: list[tuple[dt.datetime, int, int, User | None]] = []
        self.takings: list[tuple[dt.datetime, User]] = []
        self.owner = self._somebody()
        if rng.random() < ON_THE_PHONE and self.case.source == Source.AGENT:
            self._on_the_phone()
        else:
            self._through_the_tiers(rng.choices([t for t, _ in HIGHEST], weights=[n for _, n in HIGHEST])[0])
        self.ended = self.at

    def moves_of(self, ticket_id: int) -> Sequence[LoggedMove | LoggedTaking]:
        """Return the changes of tier and who took the ticket after each, in order of time."""
        moves: list[tuple[dt.datetime, LoggedMove | LoggedTaking]] = [
            (at, LoggedMove(ticket_id=ticket_id, from_tier=before, to_tier=after, at=at, by=by))
            for at, before, after, by in self.steps
        ]
        moves += [(at, LoggedTaking(ticket_id=ticket_id, at=at, by=by)) for at, by in self.takings]
        return [move for _, move in sorted(moves, key=lambda pair: pair[0])]

    def _somebody(self) -> User:
        return self.rng.choice(self.house.at_step(self.case.rule, self.position))

    def _after(self, low: float, high: float) -> dt.datetime:
        """Let some minutes pass; most of them few, as it is."""
        self.at += dt.timedelta(minutes=low + (high - low) * self.rng.random() ** 2.5)
        return self.at

    def _row(self, by: User | None, kind: str = "", words: str = "", **changes: object) -> None:
        entry = Entry(kind=kind, author=by, body=self.case.words(words)) if words else None
        self.rows.append(LoggedRow(happened_at=self.at, log={}, changes=changes, by=by, entry=entry))

    def _begin(self) -> None:
        team_id = self.case.rule.step(1).team_id
        self._row(self.case.requester, tier=self.case.rule.step(1).tier, team_id=team_id)

    def _on_the_phone(self) -> None:
        self._begin()
        self._after(2, 25)
        self._row(
            self.owner,
            EntryKind.REPLY,
            self.case.story.solution,
            assignee_id=self.owner.pk,
            status=Status.RESOLVED,
        )
        self._after(30, 3000)
        self._row(None, status=Status.CLOSED)

    def _through_the_tiers(self, highest: int) -> None:
        story, rng = self.case.story, self.rng
        self._begin()
        self._after(2, 90)
        self._row(self.owner, EntryKind.REPLY, story.first, assignee_id=self.owner.pk, status=Status.OPEN)
        if rng.random() < WAITED:
            self._wait()
        while self.case.rule.step(self.position).tier < highest:
            self._after(20, 900)
            self._move(self.position + 1)
            if rng.random() < FELL and self.position > 1:
                self._after(30, 600)
                self._row(self.owner, EntryKind.NOTE, story.tried)
                self._move(self.position - 1)
                highest -= 1
        self._after(30, 2400)
        self._solve()
        if rng.random() < REOPENED:
            self._after(60, 1500)
            self._row(self.case.requester, EntryKind.REPLY, rng.choice(CHASERS), status=Status.OPEN)
            self._after(30, 600)
            self._solve()
        self._after(600, 5000)
        self._row(None, status=Status.CLOSED)

    def _wait(self) -> None:
        self._after(1, 40)
        self._row(self.owner, EntryKind.REPLY, self.case.story.ask, status=Status.WAITING)
        self._after(20, 1400)
        self._row(self.case.requester, EntryKind.REPLY, self.case.story.answer, status=Status.OPEN)

    def _move(self, position: int) -> None:
        """Change the step: the handoff is written, the new tier's people take it."""
        rule = self.case.rule
        before, after = rule.step(self.position), rule.step(position)
        entry = Entry(
            kind=EntryKind.HANDOFF,
            author=self.owner,
            body="",
            fields=self.case.handoff(self.rng),
        )
        changes: dict[str, object] = {"tier": after.tier}
        if after.transfers:
            changes |= {"team_id": after.team_id, "assignee_id": None}
        self.rows.append(LoggedRow(happened_at=self.at, log={}, changes=changes, by=self.owner, entry=entry))
        if before.tier != after.tier:
            self.steps.append((self.at, before.tier, after.tier, self.owner))
        self.position = position
        self.owner = self._somebody()
        self._after(1, 60)
        self._row(self.owner, EntryKind.NOTE, self.case.story.note, assignee_id=self.owner.pk)
        self.takings.append((self.at, self.owner))

    def _solve(self) -> None:
        self._row(self.owner, EntryKind.REPLY, self.case.story.solution, status=Status.RESOLVED)
        if self.rng.random() < 0.5:
            self._after(5, 400)
            self._row(self.case.requester, EntryKind.REPLY, self.rng.choice(THANKS))
