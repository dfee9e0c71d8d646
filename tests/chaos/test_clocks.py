"""The database's clock alone decides: workers, beat and pacemaker may be an hour off and nobody notices."""

import datetime as dt
import time

import pytest

from core.db import database_now
from escalation.models import Clock, Escalation
from notifications.models import Notification
from tests.chaos.counting import (
    L1_TIME,
    Prove,
    climbed,
    open_due,
    outcome,
    wait_until_climbed,
    wait_until_sent,
)
from tests.chaos.installation import Installation
from tests.helpers import patience
from tests.house import MIN, House

SECOND = dt.timedelta(seconds=1)
HOUR = 3600.0
# A tick a second, and a tick itself on a busy machine.
PUNCTUAL = 3.0


@pytest.mark.slow
@pytest.mark.parametrize("skew", [HOUR, -HOUR])
@pytest.mark.parametrize("off", [("engine", "delivery"), ("beat",), ("engine", "delivery", "beat")])
def test_processes_whose_clock_is_an_hour_off_decide_and_send_on_time(
    installation: Installation, house: House, prove: Prove, skew: float, off: tuple[str, ...]
) -> None:
    for name in ("engine", "delivery", "beat"):
        installation.start(name, skew=skew if name in off else None)
    installation.wait_for_ticks()
    # Due now, due soon, and not due for another half an hour: an engine that is ahead would take the last ones too.
    ids = [pk for number in range(8) for pk in open_due(house, 5, ago=-number * SECOND)]
    early = open_due(house, 20, ago=-L1_TIME)

    seconds = wait_until_climbed(ids, 40)
    wait_until_sent(60)

    now = database_now()
    counted = outcome(installation, ids)
    prove(
        f"{', '.join(off)}: clock {'ahead' if skew > 0 else 'behind'} by an hour",
        f"{len(off)} processes, {len(ids)} due, {len(early)} not yet",
        counted,
        f"{climbed(ids)}/{len(ids)} within {seconds:.0f} s, {climbed(early)} of {len(early)} too early",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert counted.latest < patience(PUNCTUAL)
    assert climbed(early) == 0
    # What was written, too, is the database's time.
    for at in Escalation.objects.filter(ticket__in=ids, seq=1).values_list("at", flat=True):
        assert abs(now - at) < 2 * MIN
    for at in Notification.objects.filter(ticket__in=ids).values_list("sent_at", flat=True):
        assert at is not None
        assert abs(now - at) < 2 * MIN
    for due in Clock.objects.filter(ticket__in=ids, kind="acknowledge").values_list("due_at", flat=True):
        assert due is not None
        assert abs(now + 10 * MIN - due) < 2 * MIN


@pytest.mark.slow
def test_a_beat_set_back_an_hour_does_not_stop_the_ticks(
    installation: Installation, house: House, prove: Prove
) -> None:
    """Beat keeps when it last rang: in the eyes of a clock set back, that is in the future."""
    installation.start("engine", "delivery", "pacemaker")
    (beat,) = installation.start("beat")
    installation.wait_for_ticks()
    # Long enough for beat to have written down when it rang.
    time.sleep(4)
    beat.stop()
    installation.start("beat", skew=-HOUR)
    ids = [pk for number in range(10) for pk in open_due(house, 5, ago=-(3 + number) * SECOND)]

    seconds = wait_until_climbed(ids, 40)
    wait_until_sent(60)

    counted = outcome(installation, ids)
    prove(
        "beat's clock set back by an hour",
        f"1 beat, {len(ids)} due",
        counted,
        f"{climbed(ids)}/{len(ids)} within {seconds:.0f} s",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert counted.latest < patience(7.0)
