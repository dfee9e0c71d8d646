"""Down for six hours: each ticket climbs one step, the next tier has its full time, how late it was is on record."""

import datetime as dt
import importlib.util
import time
from collections.abc import Sequence

import pytest
from django.db.models import F, Max, Min

from core.db import database_now
from escalation.models import Clock, Escalation
from tests.chaos.counting import Prove, open_due
from tests.chaos.installation import Installation, wait_for
from tests.house import MIN, House
from tickets.models import Ticket

SIX_HOURS = dt.timedelta(hours=6)
SECOND = dt.timedelta(seconds=1)


def come_back(installation: Installation, ids: Sequence[int] | None, due: int, prove: Prove) -> None:
    """Start the engine over so many due tickets and check what it makes of them (ids: of these alone)."""
    before = Escalation.objects.aggregate(last=Max("pk"))["last"] or 0
    climbs = Escalation.objects.filter(pk__gt=before, kind="climb")
    automatic = ("tier_time", "acknowledge")

    installation.start("engine", "beat", "pacemaker")
    wait_for("the first batch", climbs.exists, 60)
    began = time.monotonic()
    ages: list[dt.timedelta] = []

    def drained() -> bool:
        newest = climbs.order_by("-pk").values_list("at", flat=True)[0]
        ages.append(database_now() - newest)
        time.sleep(0.2)
        return climbs.count() >= due

    wait_for(f"{due} climbs", drained, 900)
    seconds = time.monotonic() - began
    # More ticks follow; none of them may find anything.
    time.sleep(5)

    tickets = climbs.values("ticket").distinct().count()
    late = climbs.aggregate(least=Min("late_by"), most=Max("late_by"))
    acknowledge = Clock.objects.filter(
        ticket__in=climbs.values("ticket"), kind="acknowledge", state="running"
    )
    full = acknowledge.filter(due_at=F("running_since") + F("budget")).count()
    early = acknowledge.filter(running_since__lt=database_now() - dt.timedelta(seconds=seconds + 120)).count()
    prove(
        "down for six hours",
        f"{due} due when it came back",
        f"lost {due - tickets}, decided twice {climbs.count() - tickets}, late_by from {late['least']} to "
        f"{late['most']}, {full} next tiers with their full time",
        f"drained in {seconds:.0f} s ({due / seconds:.0f}/s), clocks begun at most {max(ages).total_seconds():.1f} s "
        "before the decision",
    )
    assert climbs.count() == tickets == due
    if ids is not None:
        assert Ticket.objects.filter(pk__in=ids, tier=2).count() == due
    assert set(climbs.values_list("trigger", flat=True)) <= set(automatic)
    assert late["least"] >= SIX_HOURS
    assert late["most"] < SIX_HOURS + dt.timedelta(seconds=seconds + 120)
    assert full == acknowledge.count() == due
    assert early == 0


@pytest.mark.slow
def test_after_six_hours_every_ticket_climbs_one_step_and_the_next_tier_has_its_full_time(
    installation: Installation, house: House, prove: Prove
) -> None:
    ids = open_due(house, 4000, ago=SIX_HOURS)

    come_back(installation, ids, len(ids), prove)

    # Ten minutes to acknowledge from the claim on, not from six hours ago.
    due = Clock.objects.filter(ticket__in=ids, kind="acknowledge").aggregate(first=Min("due_at"))["first"]
    assert due is not None
    assert due > database_now() + 6 * MIN


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("bench") is None, reason="NOT RUN: no bench to build the tickets with"
)
def test_after_six_hours_a_hundred_thousand_tickets_climb_one_step(
    installation: Installation, prove: Prove
) -> None:
    from bench.data import build
    from bench.due import make_due

    due = 100_000
    build(400_000, trusted=True)
    make_due(slices=[((database_now() - SIX_HOURS).isoformat(), due)])

    come_back(installation, None, due, prove)
