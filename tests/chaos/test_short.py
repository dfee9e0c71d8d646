"""The worst of it in one go, at every run; the long forms, fault by fault, are in the modules beside (--slow)."""

import datetime as dt
import time

import pytest

from escalation import kinds
from escalation.models import Standing
from notifications.models import Notification
from tests.chaos.counting import Prove, climbed, open_due, outcome, wait_until_climbed, wait_until_sent
from tests.chaos.faults import (
    crash,
    cure,
    cut_off,
    kill_after_accept,
    kill_before_commit,
    kill_pool,
    leases_run_out,
    poison,
    rest_is_over,
    wait_for_commit,
    wait_until_only_the_dead_lease,
)
from tests.chaos.installation import Installation, wait_for
from tests.house import House
from tickets.models import Ticket

SECOND = dt.timedelta(seconds=1)


@pytest.mark.usefixtures("durable")
def test_processes_killed_broker_frozen_and_wiped_database_crashed_and_a_poisoned_ticket_lose_nothing(
    installation: Installation, house: House, prove: Prove
) -> None:
    engine, delivery, *_ = installation.start("engine", "delivery", "beat", "pacemaker")
    installation.wait_for_ticks()
    began = time.monotonic()

    # the engine's pool, before and after a commit
    ids = wave = open_due(house, 20, ago=-SECOND)
    killed = kill_before_commit(installation, wave, lambda: kill_pool(engine.pid))
    wait_until_climbed(wave, 20)
    wave = open_due(house, 20)
    ids = ids + wave
    wait_for_commit(wave)
    killed += kill_pool(engine.pid)

    # delivery, between the server's accept and the settle
    in_flight = kill_after_accept(installation, delivery, 3, since=0)
    leases_run_out()
    before = len(installation.mail.taken)
    installation.start("delivery")

    # the broker, frozen, then wiped
    installation.freeze(installation.ground.valkey)
    wave = open_due(house, 20)
    ids = ids + wave
    wait_until_climbed(wave, 20)
    installation.thaw(installation.ground.valkey)
    installation.broker().flushall()

    # PostgreSQL, amid the work
    wave = open_due(house, 20)
    ids = ids + wave
    wait_for_commit(wave)
    crash(installation.ground)
    installation.ground.start_postgres(durable=True)
    wait_until_only_the_dead_lease(installation)
    in_flight += cut_off(installation, since=before)
    leases_run_out()

    # a poisoned ticket among others
    wave = open_due(house, 20, ago=-SECOND)
    ids = ids + wave
    poison(wave[:1])
    wait_until_climbed(wave[1:], 20)
    wait_for(
        "the ticket set aside", lambda: Ticket.objects.filter(pk=wave[0], set_aside_at__isnull=False).exists()
    )
    pages = Notification.objects.filter(ticket=wave[0], kind=kinds.TELL_SET_ASIDE)
    wait_for("its pages", lambda: pages.count() == 2)
    cure()
    rest_is_over(wave[0])
    # Longer than the first rest of a ticket set aside.
    wait_until_climbed(ids, 45)
    wait_until_sent(40)

    counted = outcome(installation, ids)
    prove(
        "the short form of all",
        f"{killed + 1} kills, broker frozen and wiped, PostgreSQL crashed, 1 of {len(ids)} poisoned",
        counted,
        f"{climbed(ids)}/{len(ids)} in {time.monotonic() - began:.0f} s, {in_flight} mails in flight at kills",
    )
    assert (counted.lost, counted.decided_twice, counted.told_twice, counted.not_told) == (0, 0, 0, 0)
    assert (counted.broken_chains, counted.not_final, counted.never_taken) == (0, 0, 0)
    assert counted.set_aside == 1
    assert counted.duplicates <= in_flight
    assert not Standing.objects.filter(failures__gt=0).exists()
