"""Tickets whose processing really fails, in the database: they stand aside, tell of themselves and come back."""

import datetime as dt

import pytest

from core.db import database_now
from escalation import kinds
from escalation.models import Clock, Escalation, Standing
from notifications.models import Notification
from tests.chaos.counting import Prove, climbed, open_due, outcome, wait_until_climbed, wait_until_sent
from tests.chaos.faults import cure, poison, rest_is_over
from tests.chaos.installation import Installation, wait_for
from tests.helpers import patience
from tests.house import House
from tickets.models import Ticket

SECOND = dt.timedelta(seconds=1)
HALF_A_MINUTE = 30 * SECOND
# A tick a second, the search for the ticket.
PUNCTUAL = 8.0


@pytest.mark.slow
def test_poisoned_tickets_stand_aside_tell_of_themselves_and_come_back(
    installation: Installation, house: House, prove: Prove
) -> None:
    installation.start("engine", "delivery", "beat")
    installation.wait_for_ticks()
    ids = open_due(house, 150, ago=-2 * SECOND)
    bad = [ids[7], ids[80], ids[149]]
    good = [pk for pk in ids if pk not in bad]
    poison(bad)

    seconds = wait_until_climbed(good, 30)
    wait_for(
        "the tickets set aside", lambda: Ticket.objects.filter(set_aside_at__isnull=False).count() == len(bad)
    )
    aside = Standing.objects.filter(pk__in=bad, failures=1)
    assert [f"no step for ticket {one.pk}" in one.set_aside_because for one in aside] == [True] * len(bad)
    paged = Notification.objects.filter(ticket__in=bad, kind=kinds.TELL_SET_ASIDE)
    wait_for("their pages", lambda: paged.count() == 2 * len(bad))
    assert set(paged.values_list("address", flat=True)) == {"lena@example.org", "duty@example.org"}
    ticks = set(Escalation.objects.filter(ticket__in=good, seq=1).values_list("at", flat=True))

    # Half a minute later they are tried again, and told of again.
    wait_for(
        "the second attempt", lambda: Standing.objects.filter(pk__in=bad, failures=2).count() == len(bad), 80
    )
    rests = [
        clock.fires_at - database_now()
        for clock in Clock.objects.filter(ticket__in=bad, kind="tier_time", fires_at__isnull=False)
        if clock.fires_at is not None
    ]
    assert all(100 * SECOND < rest <= 121 * SECOND for rest in rests)
    cure()
    rest_is_over(*bad)
    wait_until_climbed(ids, 20)
    wait_until_sent(90)

    counted = outcome(installation, ids)
    prove(
        "poison in the batch",
        f"{len(bad)} of {len(ids)} tickets fail, twice each",
        counted,
        f"the other {climbed(good)} within {seconds:.1f} s, in {len(ticks)} tick(s); {len(bad)} back after the cure",
    )
    assert counted.set_aside == 2 * len(bad)
    assert paged.filter(state="sent").count() == 4 * len(bad)
    assert (counted.lost, counted.decided_twice, counted.told_twice, counted.not_told) == (0, 0, 0, 0)
    assert counted.not_final == 0
    late = Escalation.objects.filter(ticket__in=good, seq=1).order_by("-late_by")[0].late_by
    assert late is not None
    assert late.total_seconds() < patience(PUNCTUAL)
    assert not Standing.objects.filter(failures__gt=0).exists()
    assert not Ticket.objects.filter(set_aside_at__isnull=False).exists()
