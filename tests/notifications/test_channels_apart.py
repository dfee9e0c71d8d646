"""Each channel has senders of its own: one that hangs holds up no other, and what a server asks for is obeyed."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from core.db import database_now
from notifications import channels, engine, leasing
from notifications.channels import Envelope, Failed
from notifications.models import Notification, TickRecord
from notifications.rules.delivery import retry_after
from tests import mail
from tests.notifications.cast import queued

pytestmark = pytest.mark.django_db(transaction=True)

State = Notification.State


@pytest.fixture
def frozen_sms(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A gateway that answers nobody until the test is over; whom it was asked to tell."""
    asked: list[str] = []
    thaw = threading.Event()

    def send(envelope: Envelope) -> str:
        asked.append(envelope.address)
        thaw.wait(60)
        return "accepted"

    monkeypatch.setitem(channels._SENDERS, "sms", send)
    yield asked
    thaw.set()
    engine.disband()


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)


def test_a_channel_whose_senders_all_hang_delays_no_mail_and_no_other_channel(
    smtp: mail.Mailbox, frozen_sms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given more hanging messages than there are senders of any kind
    told: list[str] = []
    monkeypatch.setitem(
        channels._SENDERS, "ntfy", lambda envelope: told.append(envelope.address) or "accepted"
    )
    for number in range(2 * engine.SENDERS):
        queued(f"+49301234{number:03}", channel="sms")
    engine.tick()
    until(lambda: len(frozen_sms) == engine.SENDERS_ELSEWHERE)

    # When
    began = time.monotonic()
    for number in range(20):
        queued(f"ann{number}@example.org")
    queued("duty", channel="ntfy")
    handled = engine.tick()
    until(lambda: told == ["duty"])

    # Then
    assert handled == 20
    assert len(smtp.mails) == 20
    assert time.monotonic() - began < 5
    # Nobody else hangs for it: what the gateway was not asked yet waits in the outbox.
    assert len(frozen_sms) == engine.SENDERS_ELSEWHERE


def test_ticks_stay_on_record_while_another_channel_than_mail_hangs(
    smtp: mail.Mailbox, frozen_sms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STUCK_SECONDS", 0.0)
    for number in range(engine.SENDERS_ELSEWHERE + 1):
        queued(f"+49301234{number:03}", channel="sms")
    engine.tick()
    until(lambda: len(frozen_sms) == engine.SENDERS_ELSEWHERE)

    engine.tick()

    assert TickRecord.objects.get(pk="notifications").runs == 2


def test_a_server_that_asks_for_a_pause_gets_at_least_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(_envelope: Envelope) -> str:
        raise Failed("429 too many", retry_after=90)

    monkeypatch.setitem(channels._SENDERS, "sms", too_many)
    row = queued("+4930123456", channel="sms")

    engine.tick(senders=1)

    row.refresh_from_db()
    assert (row.state, row.attempts) == (State.PENDING, 1)
    assert dt.timedelta(seconds=85) < row.due_at - database_now() <= dt.timedelta(seconds=90)


def test_a_channel_finds_its_own_rows_without_reading_the_waiting_mail(smtp: mail.Mailbox) -> None:
    # Given
    for number in range(200):
        queued(f"ann{number}@example.org")
    queued("+4930123456", channel="sms")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_notification")
        cursor.execute("SET enable_seqscan = off")

        # When
        values = {
            "token": "00000000-0000-0000-0000-000000000000",
            "until": database_now(),
            "now": database_now(),
            "batch": 10,
            "channel": "sms",
        }
        cursor.execute(f"EXPLAIN {leasing._CLAIM_OF_CHANNEL}", values)
        plan = " ".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")

    # Then
    assert "outbox_due_elsewhere" in plan


@pytest.mark.parametrize(
    ("attempts", "jitter", "asked", "seconds"),
    [
        (1, 0.5, None, 2),
        (1, 0.0, None, 1.6),
        (1, 1.0, None, 2.4),
        (4, 0.5, None, 60),
        (4, 0.5, 30, 60),
        (4, 0.5, 90, 90),
        (1, 0.5, 100_000, 3600),
        (7, 1.0, None, 1080),
    ],
)
def test_the_next_attempt_waits_longer_each_time_spread_by_a_fifth_and_as_long_as_asked(
    attempts: int, jitter: float, asked: float | None, seconds: float
) -> None:
    assert retry_after(attempts, jitter=jitter, asked=asked) == dt.timedelta(seconds=seconds)


def test_after_the_last_attempt_no_asking_helps() -> None:
    assert retry_after(8, asked=90) is None
