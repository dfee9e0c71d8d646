"""The board's reads: a constant number of queries, each by an index, whether there are ten tickets or a million."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from accounts.models import User
from accounts.rules import Scope
from escalation import watchdog
from tickets.models import Service
from web.board.axis import HORIZON
from web.board.counting import CAP, ZERO, Tally
from web.board.duty import read_on_call
from web.board.filters import BoardFilter
from web.board.model import BINS, DAY, MOST_CHIPS, SOON, Board, Chip, Facts, Lane, Need, TeamLoad
from web.board.statements import MOST_NEEDS, TIERS, Looker, chips_of, counts_of, teams_of


def read_board(*, user: User, scope: Scope, asked: BoardFilter, now: dt.datetime) -> Board:
    """Return the board as `user`, who sees `scope`, may see it; six queries."""
    who = Looker.of(user, scope, asked)
    teams = read_teams(scope)
    on_call = read_on_call(teams, now)
    chips, needs = _chips(who, now)
    counts = counts_of(who).run(horizon=now + HORIZON, soon=now + SOON, day=now + DAY, days=now + 3 * DAY)
    lanes = tuple(
        Lane(
            tier=tier,
            chips=tuple(chip for chip in chips if chip.tier == tier),
            counts={name: counts[name, tier] for name, _ in BINS},
            teams=tuple(team for team in teams if team.tier == tier),
            on_call=tuple(entry for entry in on_call if entry.tier == tier),
        )
        for tier in TIERS
    )
    facts = Facts(
        open=sum((lane.open for lane in lanes), start=ZERO),
        climbing=sum((counts["climbing", tier] for tier in (0, *TIERS)), start=ZERO),
        untaken=counts["untaken", 0],
        updates=counts["updates", 0],
        aside=counts["aside", 0],
        doubts=counts.get(("doubts", 0), ZERO),
        grave_doubts=counts.get(("grave_doubts", 0), ZERO),
        vitals=watchdog.look(),
    )
    waiting = facts.untaken + facts.aside + facts.updates
    return Board(
        now=now,
        lanes=lanes,
        facts=facts,
        needs=needs,
        teams=tuple(sorted(teams, key=lambda team: (-team.percent, team.name))),
        on_call=on_call,
        more_needs=waiting.less(len(needs)),
    )


def _chips(who: Looker, now: dt.datetime) -> tuple[list[Chip], tuple[Need, ...]]:
    """Return the chips to draw and what needs a person, in one query."""
    chips: dict[int, Chip] = {}
    needs: list[Need] = []
    for *values, missed, why in chips_of(who).run(horizon=now + HORIZON):
        chip = _chip(values, now)
        if why in ("untaken", "lane"):
            # The first branch knows how many were told; a lane's row of the same ticket doesn't.
            chips.setdefault(chip.id, chip)
        if why != "lane":
            needs.append(Need(chip, why, missed or 0))
    needs.sort(key=lambda need: (need.chip.severity, _ORDER[need.why], need.chip.unacknowledged_since or now))
    by_tier = {tier: [chip for chip in chips.values() if chip.tier == tier] for tier in TIERS}
    drawn = [chip for tier in TIERS for chip in _most_urgent(by_tier[tier])]
    return drawn, tuple(needs[:MOST_NEEDS])


_ORDER = {"untaken": 0, "aside": 1, "update": 2}


def _most_urgent(chips: Iterable[Chip]) -> list[Chip]:
    """Return as many chips as a lane draws: what waits for a person first, then by time left."""
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    ordered = sorted(chips, key=lambda chip: (not chip.untaken, chip.due_at or far, chip.id))
    return ordered[:MOST_CHIPS]


def _chip(values: Sequence[Any], now: dt.datetime) -> Chip:
    (
        pk,
        subject,
        severity,
        tier,
        status,
        due_at,
        since,
        aside,
        team,
        assignee,
        seq,
        answer_by,
        told,
        may_take,
    ) = values
    return Chip(
        id=pk,
        subject=subject,
        severity=severity,
        tier=tier,
        status=status,
        tier_due_at=due_at,
        answer_by=answer_by,
        unacknowledged_since=since,
        set_aside_at=aside,
        team=team or "",
        assignee=assignee or "",
        seq=seq,
        told=told or 0,
        may_take=bool(may_take),
        now=now,
    )


def read_teams(scope: Scope) -> list[TeamLoad]:
    """Return the active teams with their load, in one query."""
    return [
        TeamLoad(pk, name, tier, capacity, lead or "", Tally(min(held, CAP), held > CAP))
        for pk, name, tier, capacity, lead, held in teams_of(scope).run()
    ]


def services_for_filter() -> list[tuple[int, str]]:
    """Return the services one may narrow the board to."""
    return list(Service.objects.filter(is_active=True).order_by("name").values_list("pk", "name")[:300])
