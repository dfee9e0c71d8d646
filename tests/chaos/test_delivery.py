"""Delivery at least once, whatever the worker or the mail server do; what fails never delays an escalation."""

import datetime as dt
import time
from collections import Counter

import pytest

from escalation import engine
from notifications.models import ContactMethod, Notification
from tests.chaos import mail_server
from tests.chaos.counting import Prove, climbed, open_due, outcome, wait_until_climbed, wait_until_sent
from tests.chaos.faults import kill_after_accept, leases_run_out
from tests.chaos.installation import Installation, wait_for
from tests.helpers import patience
from tests.house import House

SECOND = dt.timedelta(seconds=1)
# A tick a second, and a tick itself on a busy machine.
PUNCTUAL = 3.0


@pytest.mark.slow
def test_a_worker_killed_between_the_servers_accept_and_the_settle_sends_the_same_mail_again(
    installation: Installation, house: House, prove: Prove
) -> None:
    ids = open_due(house, 60)
    engine.tick()
    installation.start("beat")
    in_flight = []
    for _ in range(5):
        before = len(installation.mail.taken)
        (worker,) = installation.start("delivery")
        in_flight.append(kill_after_accept(installation, worker, 12, since=before))
        leases_run_out()

    installation.start("delivery")
    seconds = wait_until_sent(90)

    counted = outcome(installation, ids)
    messages = Notification.objects.count()
    prove(
        "kill -9 of delivery between accept and settle",
        f"{len(in_flight)} kills with {sum(in_flight)} mails taken but not settled, {messages} to send",
        counted,
        f"all {messages} sent, the rest within {seconds:.0f} s",
    )
    assert counted.holds, counted
    assert sum(in_flight) > 0
    assert counted.duplicates <= sum(in_flight)
    # A duplicate is recognisable: the same Message-ID to the same address.
    copies = Counter((mail.message_id, mail.to) for mail in installation.mail.taken)
    assert len(copies) == messages


@pytest.mark.slow
def test_a_lease_runs_out_by_itself(installation: Installation, house: House, prove: Prove) -> None:
    ids = open_due(house, 5)
    engine.tick()
    installation.start("beat")
    (worker,) = installation.start("delivery")
    in_flight = kill_after_accept(installation, worker, 1, since=0)
    installation.start("delivery")

    seconds = wait_until_sent(90)

    counted = outcome(installation, ids)
    prove(
        "a lease left behind",
        f"1 kill, {in_flight} mails taken but not settled",
        counted,
        f"sent again after {seconds:.0f} s",
    )
    assert counted.holds, counted
    assert counted.duplicates <= in_flight


@pytest.mark.slow
@pytest.mark.parametrize(
    "manner", [mail_server.HANG, mail_server.REFUSE, mail_server.THROTTLE, mail_server.RESET]
)
def test_a_mail_server_that_is_ill_for_one_person_holds_up_neither_escalations_nor_others(
    installation: Installation, house: House, prove: Prove, manner: str
) -> None:
    aisha = ContactMethod.objects.get(address="aisha@example.org")
    ContactMethod.objects.create(contact=aisha.contact, address="aisha@example.net", position=2)
    ill = {"aisha@example.org"}
    installation.mail.manner = lambda to: manner if to in ill else mail_server.TAKE
    installation.start("engine", "delivery", "beat")
    installation.wait_for_ticks()
    ids = [pk for number in range(6) for pk in open_due(house, 5, ago=-number * SECOND)]

    began = time.monotonic()
    wait_until_climbed(ids, 30)

    def others() -> bool:
        return len({m.subject for m in installation.mail.taken if m.to == "duty2@example.org"}) == len(ids)

    wait_for("the other contact's mails", others, 60)
    seconds = time.monotonic() - began
    met = installation.mail.met[manner]
    if manner == mail_server.REFUSE:
        # Refused for good: her other address is told at once, for each ticket.
        second = Notification.objects.filter(address="aisha@example.net", state=Notification.State.SENT)
        wait_for("the next method", lambda: second.count() == len(ids), 30)
    ill.clear()
    wait_until_sent(150)

    counted = outcome(installation, ids)
    dead = Notification.objects.filter(state=Notification.State.DEAD).count()
    prove(
        f"mail server: {manner}, for one of two recipients",
        f"{met} times met, {dead} dead letters",
        counted,
        f"the other recipient's {len(ids)} mails within {seconds:.0f} s",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert counted.latest < patience(PUNCTUAL)
    assert dead == (met if manner == mail_server.REFUSE else 0)


@pytest.mark.slow
@pytest.mark.parametrize("manner", [mail_server.HANG, mail_server.THROTTLE, "down"])
def test_a_mail_server_that_is_ill_for_all_delays_mails_only(
    installation: Installation, house: House, prove: Prove, manner: str
) -> None:
    ill = True
    installation.mail.manner = lambda _to: manner if ill else mail_server.TAKE
    if manner == "down":
        installation.mail.stop()
    installation.start("engine", "delivery", "beat")
    installation.wait_for_ticks()
    ids = [pk for number in range(10) for pk in open_due(house, 4, ago=-number * SECOND)]

    wait_until_climbed(ids, 30)
    assert not installation.mail.taken
    ill = False
    if manner == "down":
        installation.mail.start()
    seconds = wait_until_sent(150)

    counted = outcome(installation, ids)
    prove(
        f"mail server: {manner}, for everybody",
        f"{len(ids)} due meanwhile",
        counted,
        f"{climbed(ids)}/{len(ids)} climbed, all mails within {seconds:.0f} s of the server's recovery",
    )
    assert counted.holds, counted
    assert counted.duplicates == 0
    assert counted.latest < patience(PUNCTUAL)
