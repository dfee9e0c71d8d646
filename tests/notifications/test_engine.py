"""Delivery against a real SMTP server: once, again, never, whatever the server and other engines do."""

import asyncio
import datetime as dt
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.db import database_now
from notifications import engine, leasing, rendering
from notifications.channels import Envelope as Outgoing
from notifications.channels import email
from notifications.desk import Desk
from notifications.leasing import Hold
from notifications.models import Delivery, Notification, TickRecord
from notifications.operations import create_contact, retry_dead_letter, withdraw
from notifications.rules.delivery import retry_after
from tests import mail
from tests.helpers import free_port, race
from tests.notifications.cast import person, queued, ticket

pytestmark = pytest.mark.django_db(transaction=True)

State = Notification.State


def now_due(*rows: Notification) -> None:
    """Bring the next attempt forward: nobody waits for a backoff in a test."""
    past = database_now() - dt.timedelta(seconds=1)
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=past)


def send_all() -> int:
    return engine.tick(senders=1)


def again(row: Notification) -> Notification:
    return Notification.objects.get(pk=row.pk)


def test_a_message_is_sent_once_under_its_own_message_id(smtp: mail.Mailbox) -> None:
    row = queued(context={"subject": "Grüße", "text": "Zeile"})

    handled, idle = send_all(), send_all()

    (message,) = smtp.mails
    assert (handled, idle) == (1, 0)
    assert (message["Message-ID"], message["Subject"], message["To"]) == (
        row.message_id,
        "Grüße",
        row.address,
    )
    assert message["Auto-Submitted"] == "auto-generated"
    row = again(row)
    assert (row.state, row.attempts, row.lease_token) == (State.SENT, 1, None)
    assert row.sent_at is not None
    assert [(d.attempt, d.ok) for d in row.deliveries.all()] == [(1, True)]


def test_what_is_not_due_yet_waits(smtp: mail.Mailbox) -> None:
    queued(due_at=database_now() + dt.timedelta(minutes=5))

    assert send_all() == 0
    assert smtp.mails == []


def test_a_passing_failure_is_tried_again_after_its_pause_under_the_same_message_id(
    smtp: mail.Mailbox,
) -> None:
    row = queued()
    smtp.answer = "451 come back later"

    send_all()

    failed = again(row)
    assert failed.state == State.PENDING
    assert "451" in failed.answer
    pause = retry_after(1)
    assert pause is not None
    assert abs(failed.due_at - database_now() - pause) < dt.timedelta(seconds=1)
    assert send_all() == 0

    smtp.answer = "250 OK"
    now_due(row)
    send_all()

    assert [m["Message-ID"] for m in smtp.mails] == [row.message_id]
    assert again(row).state == State.SENT
    assert [(d.attempt, d.ok) for d in row.deliveries.order_by("pk")] == [(1, False), (2, True)]


def test_pauses_grow_and_end_in_a_dead_letter(smtp: mail.Mailbox) -> None:
    row = queued()
    smtp.answer = "451 come back later"
    pauses = []

    while again(row).state == State.PENDING:
        now_due(row)
        send_all()
        pauses.append(again(row).due_at - database_now())

    assert again(row).state == State.DEAD
    assert again(row).attempts == 8
    waited = pauses[:-1]
    assert waited == sorted(waited)
    assert waited[-1] > dt.timedelta(minutes=11)


@pytest.mark.parametrize(
    ("seq", "round_number", "waits_for_the_engine"),
    [(None, None, False), (0, None, True), (0, 1, True)],
    ids=["to a requester", "to a lead or an owner", "a telling"],
)
def test_a_refusal_for_good_is_a_dead_letter_at_once(
    smtp: mail.Mailbox, seq: int | None, round_number: int | None, waits_for_the_engine: bool
) -> None:
    contact = create_contact(name="Ann", email="ann@example.org")
    method = contact.methods.get()
    row = queued(
        contact_id=contact.pk,
        method_id=method.pk,
        ticket_id=ticket(person("Carla"), now=database_now()).pk,
        seq=seq,
        round=round_number,
    )
    smtp.answer = "550 no such mailbox"

    send_all()

    row = again(row)
    assert (row.state, row.attempts) == (State.DEAD, 1)
    assert "550 no such mailbox" in row.answer
    assert row.dead_at is not None
    assert (row.handled_at is None) == waits_for_the_engine
    method.refresh_from_db()
    assert method.failing_since is not None


def test_a_dead_letter_that_is_put_back_is_sent_and_clears_its_method(smtp: mail.Mailbox) -> None:
    contact = create_contact(name="Ann", email="ann@example.org")
    row = queued(contact_id=contact.pk, method_id=contact.methods.get().pk)
    smtp.answer = "550 no such mailbox"
    send_all()

    smtp.answer = "250 OK"
    assert retry_dead_letter(notification_id=row.pk, actor=None, now=database_now())
    send_all()

    assert again(row).state == State.SENT
    method = contact.methods.get()
    assert method.failing_since is None
    assert method.proven_at is not None


def test_what_is_withdrawn_while_pending_is_never_sent(smtp: mail.Mailbox) -> None:
    gone, kept = queued(group="telling:1:0"), queued(group="telling:2:0")

    withdrawn = withdraw(groups=["telling:1:0"], now=database_now())
    send_all()

    assert withdrawn == 1
    assert [m["Message-ID"] for m in smtp.mails] == [kept.message_id]
    assert (again(gone).state, again(kept).state) == (State.WITHDRAWN, State.SENT)


def test_what_is_withdrawn_while_leased_is_not_sent(smtp: mail.Mailbox) -> None:
    row = queued(group="telling:1:0")
    token = uuid.uuid4()
    assert engine.claim(token=token, now=database_now()) == [row.pk]

    withdraw(groups=["telling:1:0"], now=database_now())
    engine.deliver(row.pk, token)

    assert smtp.mails == []
    assert again(row).state == State.WITHDRAWN
    assert not Delivery.objects.filter(notification=row, ok=True).exists()


def test_a_withdrawal_that_meets_a_failing_attempt_is_not_lost() -> None:
    """The settling transaction puts the row back to pending while the withdrawal waits for its lock."""
    row = queued(group="telling:1:0")
    engine.claim(token=uuid.uuid4(), now=database_now())
    settled, waiting = threading.Event(), threading.Event()

    def settle() -> None:
        with transaction.atomic():
            Notification.objects.filter(pk=row.pk).update(
                state=State.PENDING, lease_token=None, lease_until=None
            )
            settled.set()
            waiting.wait(5)
            # Long enough for the other connection to queue up behind this one's lock.
            _until(_somebody_waits_for_me)

    def call_off() -> None:
        settled.wait(5)
        waiting.set()
        withdraw(groups=["telling:1:0"], now=database_now())

    assert race(settle, call_off) == [None, None]

    assert again(row).state == State.WITHDRAWN


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def _somebody_waits_for_me() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def test_an_expired_lease_is_sent_again_under_the_same_message_id(smtp: mail.Mailbox) -> None:
    """A worker died between sending and settling: the mail is out, the row does not know."""
    row = queued()
    dead_worker = uuid.uuid4()
    engine.claim(token=dead_worker, now=database_now())
    email.send_email(Outgoing(address=row.address, subject="Hello", text="Text", html="", key=row.message_id))
    Notification.objects.filter(pk=row.pk).update(lease_until=database_now() - dt.timedelta(seconds=1))

    send_all()

    assert [m["Message-ID"] for m in smtp.mails] == [row.message_id, row.message_id]
    assert again(row).state == State.SENT
    # The dead worker comes back to life: its lease is gone and so is its say.
    engine.deliver(row.pk, dead_worker)
    assert len(smtp.mails) == 2


def test_a_living_lease_is_left_alone(smtp: mail.Mailbox) -> None:
    row = queued()
    engine.claim(token=uuid.uuid4(), now=database_now())

    assert send_all() == 0
    assert smtp.mails == []
    assert again(row).state == State.SENDING


def test_two_engines_at_once_send_everything_once(smtp: mail.Mailbox) -> None:
    rows = [queued(f"person{number}@example.org") for number in range(90)]

    handled = race(send_all, send_all)

    assert sum(handled) == 90
    assert sorted(m["Message-ID"] for m in smtp.mails) == sorted(row.message_id for row in rows)
    assert Notification.objects.filter(state=State.SENT).count() == 90


@dataclass
class SlowForOne(mail.Mailbox):
    """A server that keeps one recipient waiting for ever and remembers who connected."""

    sessions: set[int] = field(default_factory=set)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Hang for the slow one."""
        self.sessions.add(id(session))
        if address.startswith("slow"):
            await asyncio.sleep(30)
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def slow_for_one(settings: Any, smtp: mail.Mailbox) -> Iterator[SlowForOne]:
    mailbox = SlowForOne()
    controller = mail.start(mailbox, free_port())
    settings.EMAIL_PORT = mailbox.port
    settings.EMAIL_TIMEOUT = 1
    yield mailbox
    controller.stop()


def test_a_hanging_recipient_times_out_and_holds_nobody_else(
    slow_for_one: SlowForOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are due than one batch holds: the other senders go on leasing while one hangs."""
    monkeypatch.setattr(leasing, "BATCH", 10)
    slow = queued("slow@example.org")
    others = [queued(f"quick{number}@example.org") for number in range(25)]

    engine.tick()

    assert len(slow_for_one.mails) == 25
    failed = again(slow)
    assert failed.state == State.PENDING
    assert "timed out" in failed.answer
    given_up = failed.deliveries.get().at
    sent = Notification.objects.filter(pk__in=[row.pk for row in others]).values_list("sent_at", flat=True)
    assert max(sent) < given_up


def test_while_one_recipient_hangs_the_next_tick_sends_what_came_since(slow_for_one: SlowForOne) -> None:
    slow = queued("slow@example.org")

    def send_later() -> dt.datetime:
        _until(lambda: again(slow).state == State.SENDING)
        queued("quick@example.org")
        engine.tick()
        return database_now()

    _, done = race(engine.tick, send_later)

    assert len(slow_for_one.mails) == 1
    assert done < again(slow).deliveries.get().at


def test_a_tick_that_finds_every_sender_hanging_is_not_on_record_as_done(
    slow_for_one: SlowForOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pacemaker is to notice that nothing is sent."""
    monkeypatch.setattr(engine, "STUCK_SECONDS", 0.0)
    slow = [queued(f"slow{number}@example.org") for number in range(engine.SENDERS)]

    def tick_again() -> int:
        _until(lambda: len(slow_for_one.sessions) == engine.SENDERS)
        queued("quick@example.org")
        assert engine.tick() == 0
        return TickRecord.objects.filter(name="notifications").count()

    _, recorded = race(engine.tick, tick_again)

    assert recorded == 0
    assert {again(row).state for row in slow} == {State.PENDING}
    # Whoever is free again takes what came meanwhile.
    assert len(slow_for_one.mails) == 1


def test_a_row_of_messages_costs_one_statement_each_beside_the_batch(smtp: mail.Mailbox) -> None:
    contact = create_contact(name="Ann", email="ann@example.org")
    method = contact.methods.get()
    # The first proves the method and prepares the statement.
    queued(contact_id=contact.pk, method_id=method.pk)
    send_all()
    for _ in range(5):
        queued(contact_id=contact.pk, method_id=method.pk)
    queue = engine.Queue()
    queue.fill()

    with CaptureQueriesContext(connection) as queries:
        list(engine._send_all(queue, Desk()))

    assert len(smtp.mails) == 6
    assert not Notification.objects.exclude(state=State.SENT).exists()
    # One settles the last and holds the next; the first and the last have a neighbour on one side only.
    assert sum("belay_exchange" in query["sql"] for query in queries) == 6


@pytest.mark.parametrize(("seconds_left", "renewed"), [(55, False), (30, True)])
def test_a_lease_is_renewed_where_it_runs_low(seconds_left: int, renewed: bool) -> None:
    row = queued()
    token = uuid.uuid4()
    (leased,) = leasing.load(engine.claim(token=token, now=database_now()), token)
    until = database_now() + dt.timedelta(seconds=seconds_left)
    Notification.objects.filter(pk=row.pk).update(lease_until=until)

    assert leasing.hold(leased) is Hold.OURS

    assert (again(row).lease_until != until) == renewed


def test_a_message_that_waited_says_what_is_true_when_it_goes(
    smtp: mail.Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FRESH_SECONDS", 0.0)
    row = queued(context={"subject": "then"})
    queue = engine.Queue()
    assert queue.fill()
    Notification.objects.filter(pk=row.pk).update(context={"subject": "now"})

    leased = queue.take()
    assert leased is not None
    engine.send(leased)

    assert [m["Subject"] for m in smtp.mails] == ["now"]


def test_a_batch_that_cannot_be_loaded_together_is_loaded_one_by_one(
    smtp: mail.Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(rows: Sequence[Notification]) -> None:
        if any("poison" in row.context for row in rows):
            raise LookupError("poison")

    plain = rendering._kinds["test.plain"]
    monkeypatch.setitem(rendering._kinds, "test.plain", rendering.Kind(plain.render, load))
    broken, fine = queued(context={"poison": True}), queued()

    send_all()

    assert (again(broken).state, again(fine).state) == (State.PENDING, State.SENT)
    assert "poison" in again(broken).answer


def test_an_answer_with_a_null_byte_is_kept_without_it(smtp: mail.Mailbox) -> None:
    row = queued()
    token = uuid.uuid4()
    (leased,) = leasing.load(engine.claim(token=token, now=database_now()), token)

    leasing.settle(leasing.Outcome(leased, State.DEAD, "550 no\0body"))

    assert again(row).answer == "550 nobody"


def test_a_server_that_never_greets_times_out(settings: Any, smtp: mail.Mailbox) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        settings.EMAIL_PORT = mute.getsockname()[1]
        settings.EMAIL_TIMEOUT = 0.3
        row = queued()

        send_all()

    assert again(row).state == State.PENDING
    assert "timed out" in again(row).answer


def test_no_server_at_all_is_a_passing_failure(settings: Any, smtp: mail.Mailbox) -> None:
    settings.EMAIL_PORT = free_port()
    row = queued()

    send_all()

    assert again(row).state == State.PENDING
    assert "refused" in again(row).answer


@pytest.mark.parametrize(("idle_seconds", "connections"), [(20.0, 1), (0.0, 3)])
def test_a_connection_is_used_again_unless_it_was_idle_too_long(
    slow_for_one: SlowForOne, monkeypatch: pytest.MonkeyPatch, idle_seconds: float, connections: int
) -> None:
    monkeypatch.setattr(email, "_IDLE_SECONDS", idle_seconds)
    for number in range(3):
        queued(f"quick{number}@example.org")

    send_all()

    assert len(slow_for_one.mails) == 3
    assert len(slow_for_one.sessions) == connections


def test_a_row_that_nobody_can_render_is_retried_then_dead_and_stops_no_other(smtp: mail.Mailbox) -> None:
    broken, fine = queued(kind="test.unknown"), queued()

    send_all()

    assert (again(broken).state, again(fine).state) == (State.PENDING, State.SENT)
    assert "nobody renders" in again(broken).answer

    Notification.objects.filter(pk=broken.pk).update(attempts=7)
    now_due(broken)
    send_all()

    assert again(broken).state == State.DEAD
    assert len(smtp.mails) == 1


@pytest.mark.parametrize("subject", ["Hello\nBcc: everybody@example.org", "Hello\r\n\r\n<h1>body"])
def test_a_subject_of_two_lines_never_reaches_the_wire(smtp: mail.Mailbox, subject: str) -> None:
    row = queued(context={"subject": subject})

    send_all()

    assert smtp.mails == []
    assert again(row).state == State.DEAD


def test_an_unknown_channel_is_a_dead_letter(smtp: mail.Mailbox) -> None:
    row = queued(channel="pigeon")

    send_all()

    assert again(row).state == State.DEAD
    assert "pigeon" in again(row).answer


def test_a_completed_tick_is_on_record(smtp: mail.Mailbox) -> None:
    before = database_now()

    send_all()
    send_all()

    record = TickRecord.objects.get(name="notifications")
    assert record.runs == 2
    assert record.completed_at >= record.started_at >= before


def test_a_long_backlog_is_claimed_in_the_order_it_was_due(smtp: mail.Mailbox) -> None:
    late, early = queued("late@example.org"), queued("early@example.org")
    Notification.objects.filter(pk=early.pk).update(due_at=database_now() - dt.timedelta(hours=2))
    Notification.objects.filter(pk=late.pk).update(due_at=database_now() - dt.timedelta(hours=1))

    (first,) = engine.claim(token=uuid.uuid4(), now=database_now(), batch=1)

    assert first == early.pk
