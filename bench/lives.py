"""A few hundred tickets whose life the real operations and the real engine have played: the patterns for a million."""

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from accounts.models import User
from bench.house import DAY, House
from insights.demo.stage import MAIL_TAKES, Stage
from notifications.history import record_sent
from tickets.models import Status, Ticket
from tickets.operations import Draft, add_reply, open_tickets


@dataclass(frozen=True)
class Answer:
    """Somebody answers: at `tier` one of its agents, at 0 the requester."""

    days_ago: float
    tier: int
    then: str = ""


@dataclass(frozen=True)
class Life:
    """How a share of the tickets have fared; what is due meanwhile the engine decides."""

    share: int
    opened_days_ago: float
    answers: Sequence[Answer] = field(default=())


# With the times of bench.house: L1 warns after 60 days and climbs after 80, each unacknowledged step climbs after 40.
LIVES = {
    "untouched": Life(44, 4),
    "answered": Life(12, 10, [Answer(9.5, 1)]),
    "asked again": Life(4, 10, [Answer(9.5, 1), Answer(8, 0)]),
    "warned": Life(12, 61, [Answer(60.5, 1)]),
    "waiting": Life(6, 10, [Answer(9, 1, Status.WAITING)]),
    "on hold at L2": Life(2, 90, [Answer(89.5, 1), Answer(9, 2, Status.HOLD)]),
    "unanswered at L2": Life(12, 90, [Answer(89.5, 1)]),
    "acknowledged at L2": Life(3, 90, [Answer(89.5, 1), Answer(9, 2)]),
    "unanswered at L3": Life(3, 130, [Answer(129.5, 1)]),
    "acknowledged at L3": Life(1, 130, [Answer(129.5, 1), Answer(9, 3)]),
    "at management": Life(1, 170, [Answer(169.5, 1)]),
}


def play_lives(house: House, *, base: dt.datetime, count: int, rng: random.Random) -> list[Ticket]:
    """Open about `count` tickets (at least one of each life) and let them live until `base` (UTC, whole seconds)."""
    stage = Stage()
    tickets: list[Ticket] = []
    for life in LIVES.values():
        drafts = [house.draft(rng) for _ in range(max(1, round(count * life.share / 100)))]
        opened_at = base - life.opened_days_ago * DAY
        stage.at(opened_at, partial(_open, tickets, house, life, drafts, stage, base, rng))
    stage.play(base)
    record_sent(before=base + MAIL_TAKES)
    return list(Ticket.objects.order_by("pk"))


def _open(
    tickets: list[Ticket],
    house: House,
    life: Life,
    drafts: Sequence[Draft],
    stage: Stage,
    base: dt.datetime,
    rng: random.Random,
    now: dt.datetime,
) -> None:
    opened = open_tickets(drafts=drafts, actor=None, now=now)
    for place, ticket in enumerate(opened):
        for answer in life.answers:
            who = rng.choice(house.agents[answer.tier]) if answer.tier else ticket.requester
            at = base - answer.days_ago * DAY + dt.timedelta(seconds=place)
            stage.at(at, partial(_answer, ticket.pk, who, answer))
    tickets += opened


def _answer(ticket_id: int, who: User, answer: Answer, now: dt.datetime) -> None:
    add_reply(
        ticket_id=ticket_id,
        body="We are looking into it and will tell you more tomorrow." if answer.tier else "Any news?",
        actor=who,
        now=now,
        then_status=answer.then or None,
        reason="The vendor has the part on order." if answer.then == Status.HOLD else "",
    )
