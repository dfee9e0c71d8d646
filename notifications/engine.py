"""Claim, send, settle: delivery at least once (DESIGN 3, exactly once; DESIGN 4).

A row is leased in a transaction of its own, re-checked, sent outside any transaction and settled by its lease token.
A worker that dies in between leaves an expired lease; the row is sent again with the same Message-ID.

Rows are leased and loaded in batches and sent one by one: what is in flight when a worker is killed is one message a
sender. All senders of a process take from one queue, and whoever finds it low fills it: a recipient that hangs holds
one sender and its one message. Between two messages a sender goes to the desk, where several are settled at once.
"""

import datetime as dt
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import close_old_connections, connections

from core.db import database_now
from notifications import leasing
from notifications.channels import Envelope, Failed, FailedForGood, Resting, sender_for
from notifications.desk import Desk
from notifications.digests import render_digest, settle_folded
from notifications.leasing import Hold, Leased, Outcome, claim
from notifications.models import Channel, Notification
from notifications.operations import mail_host
from notifications.rendering import DIGEST, Rendered
from notifications.rules.delivery import retry_after
from notifications.ticks import record_delivery_tick

log = logging.getLogger("belay.delivery")

# How many mails a process sends side by side, and how many messages on each other channel.
SENDERS = 8
SENDERS_ELSEWHERE = 3
_ELSEWHERE = tuple(channel.value for channel in Channel if channel != Channel.EMAIL)
# What a message says is read again when it has waited longer than this since.
FRESH_SECONDS = 5.0
# All senders at work and nothing sent for so long: a tick that can do nothing is none.
STUCK_SECONDS = 3.0

State = Notification.State


class Queue:
    """The rows of one channel (None: of any) that this process has leased and not yet sent."""

    def __init__(self, channel: str | None = None) -> None:
        self._channel = channel
        self._rows: deque[tuple[Leased, float]] = deque()
        self._filling = threading.Lock()
        self._size = leasing.BATCH
        self._leased, self._leased_at = 0, 0.0

    def take(self) -> Leased | None:
        """Return the next row to send, None when nothing is due.

        Whoever finds few left leases more, while the others go on with those: nobody waits for the database.
        """
        wanting = not self._rows
        if wanting or self._runs_low():
            self._lease(at_most_left=SENDERS, blocking=wanting)
        return self._next()

    def at_hand(self) -> Leased | None:
        """Return the next row as `take` does, but None when more have to be leased first."""
        if self._runs_low() and not self._filling.locked():
            return None
        return self._next()

    def _runs_low(self) -> bool:
        return self._leased >= self._size and len(self._rows) <= SENDERS

    def _next(self) -> Leased | None:
        try:
            leased, loaded_at = self._rows.popleft()
        except IndexError:
            return None
        if time.monotonic() - loaded_at > FRESH_SECONDS:
            return next(iter(leasing.load([leased.row.pk], leased.token)), None)
        return leased

    def fill(self) -> bool:
        """Lease a batch if there is nothing to send; tell whether there is anything now."""
        self._lease(at_most_left=0, blocking=True)
        return bool(self._rows)

    def _lease(self, *, at_most_left: int, blocking: bool) -> None:
        if not self._filling.acquire(blocking=blocking):
            return
        try:
            if len(self._rows) > at_most_left:
                return
            self._size = self._next_size()
            token = uuid.uuid4()
            ids = claim(token=token, now=database_now(), batch=self._size, channel=self._channel)
            self._leased, self._leased_at = len(ids), time.monotonic()
            if ids:
                self._rows.extend((leased, self._leased_at) for leased in leasing.load(ids, token))
        finally:
            self._filling.release()

    def _next_size(self) -> int:
        """Return how many rows to lease: what goes out in about a second, so that a slow server hoards none."""
        took = time.monotonic() - self._leased_at
        return max(2 * SENDERS, min(leasing.BATCH, int(self._leased / took) if took else leasing.BATCH))


class Crew:
    """The senders of one channel in this process: threads that keep their database and mail connections.

    Each channel has a crew of its own: one whose servers hang, all of them, has all its senders waiting and holds up
    nobody else's messages.
    """

    def __init__(self, channel: str, size: int) -> None:
        self._channel = channel
        self._size = size
        self._queue = Queue(channel)
        self._desk = Desk()
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="send")
        self._free = threading.Semaphore(size)
        self._sent_at = 0.0

    def drain(self) -> int | None:
        """Send what is due with the senders that are free; None when each hangs, so that nothing can be done.

        Senders at work for an earlier call are not waited for, but they take from the same queue.
        """
        if not self._queue.fill():
            return 0
        at_work = self._set_to_work()
        if not at_work and time.monotonic() - self._sent_at > STUCK_SECONDS:
            return None
        return sum(sender.result() for sender in at_work)

    def start(self) -> None:
        """Let the senders that are free send what is due, and don't wait for them."""
        if self._queue.fill():
            self._set_to_work()

    def _set_to_work(self) -> list[Future[int]]:
        at_work: list[Future[int]] = []
        while len(at_work) < self._size and self._free.acquire(blocking=False):
            at_work.append(self._pool.submit(self._work))
        return at_work

    def disband(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _work(self) -> int:
        handled = 0
        try:
            close_old_connections()
            for _ in _send_all(self._queue, self._desk):
                handled += 1
                self._sent_at = time.monotonic()
        except Exception:
            log.exception("a sender stopped; the next tick sends on")
            connections.close_all()
        finally:
            if self._channel != Channel.EMAIL:
                # Seldom at work: a connection each for every channel would be many.
                connections.close_all()
            self._free.release()
        return handled


def _send_all(queue: Queue, desk: Desk) -> Iterator[None]:
    """Send until nothing is left; yield after each row. Raises only where no more can be leased."""
    outcome: Outcome | None = None
    while True:
        leased = queue.at_hand()
        if leased is None:
            # Leasing takes a while: what was sent must not wait for it.
            outcome = _go_on(desk, outcome, None)
            if (leased := queue.take()) is None:
                return
        outcome = _go_on(desk, outcome, leased)
        yield


def _go_on(desk: Desk, outcome: Outcome | None, leased: Leased | None) -> Outcome | None:
    """Settle what was sent last and send the next; return how that ends."""
    try:
        held = desk.visit(outcome, leased)
        return None if leased is None else _send_held(leased, held)
    except Exception:  # the database went away: the lease runs out and the row is sent again
        log.exception("a delivery was cut off")
        connections.close_all()
        return None


def tick(*, senders: int = SENDERS) -> int:
    """Send the mail that is due until none is left; return how many rows were handled.

    Other channels' senders are set to work and not waited for: what they call may take its time. With one sender
    everything is done in the calling thread, on its connection.
    """
    started = database_now()
    if senders == 1:
        handled = sum(1 for _ in _send_all(Queue(), Desk()))
    else:
        for channel in leasing.due_channels(_ELSEWHERE, started):
            _crew(channel, SENDERS_ELSEWHERE).start()
        drained = _crew(Channel.EMAIL.value, senders).drain()
        if drained is None:
            return 0
        handled = drained
    record_delivery_tick(started)
    return handled


_crews: dict[tuple[str, int], Crew] = {}
_hiring = threading.Lock()


def _crew(channel: str, senders: int) -> Crew:
    with _hiring:
        return _crews.setdefault((channel, senders), Crew(channel, senders))


def disband() -> None:
    """End all senders of this process, once they have sent what they have in hand."""
    with _hiring:
        crews = list(_crews.values())
        _crews.clear()
    for crew in crews:
        crew.disband()


def deliver(notification_id: int, token: uuid.UUID) -> None:
    """Re-check, send and settle one row that is leased under `token`."""
    for leased in leasing.load([notification_id], token):
        send(leased)


def send(leased: Leased) -> None:
    """Re-check, send and settle one leased row; raises only where the database does, whatever the message does."""
    if (outcome := _send_held(leased, leasing.hold(leased))) is not None:
        leasing.settle(outcome)


def _send_held(leased: Leased, held: Hold | None) -> Outcome | None:
    """Send a row that was re-checked; return how it ends, None when no use was made of its lease."""
    if held is Hold.WITHDRAWN:
        return Outcome(leased, State.WITHDRAWN, "withdrawn before it was sent")
    if held is not Hold.OURS:
        return None
    if leased.row.kind != DIGEST:
        return _attempt(leased, leased.render)
    try:
        digest = render_digest(leased.row)
    except Exception as error:
        log.exception("digest %s can't be sent", leased.row.pk)
        return _settling_folded(_failed(leased, f"{type(error).__name__}: {error}", for_good=False), ())
    if digest is None:
        return Outcome(leased, State.WITHDRAWN, "nothing was left to tell")
    outcome = _attempt(leased, lambda: leased.worded(digest.rendered))
    return _settling_folded(outcome, digest.rows) if outcome is not None else None


def _attempt(leased: Leased, render: Callable[[], Rendered]) -> Outcome | None:
    row = leased.row
    try:
        rendered = render()
        envelope = Envelope(
            address=row.address,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            key=row.message_id,
            thread=f"<ticket-{row.ticket_id}@{mail_host()}>" if row.ticket_id else "",
            short=rendered.short,
            own_short=rendered.own_short,
            secret=row.method.secret if row.method is not None else "",
            provider=row.method.provider if row.method is not None else None,
            facts=_facts(row, rendered),
            unsubscribe=rendered.unsubscribe,
        )
        return Outcome(leased, State.SENT, sender_for(row.channel)(envelope))
    except Resting as error:
        leasing.put_back(leased, pause=dt.timedelta(seconds=error.seconds))
        return None
    except FailedForGood as error:
        return _failed(leased, str(error), for_good=True)
    except Failed as error:
        return _failed(leased, str(error), for_good=False, asked=error.retry_after)
    except Exception as error:  # a message that can't be rendered must not stop the others
        log.exception("notification %s can't be sent", row.pk)
        return _failed(leased, f"{type(error).__name__}: {error}", for_good=False)


def _facts(row: Notification, rendered: Rendered) -> dict[str, Any]:
    """Return what a program that receives the message wants to know."""
    if row.channel == Channel.EMAIL:
        return {}
    return {
        "kind": row.kind,
        "ticket": row.ticket_id,
        "seq": row.seq,
        "round": row.round,
        "contact": row.contact_id,
        "link": rendered.link,
        "created_at": row.created_at.isoformat(),
    }


def _failed(leased: Leased, answer: str, *, for_good: bool, asked: float | None = None) -> Outcome:
    # No secret: it only spreads the attempts.
    jitter = random.random()  # noqa: S311
    pause = None if for_good else retry_after(leased.row.attempts, jitter=jitter, asked=asked)
    if pause is None:
        return Outcome(leased, State.DEAD, answer)
    return Outcome(leased, State.PENDING, answer, pause)


def _settling_folded(outcome: Outcome, told: Sequence[int]) -> Outcome:
    """Let what a digest carries end as it does, before the digest itself is settled."""
    if outcome.state != State.PENDING:
        settle_folded(
            outcome.leased.row,
            told,
            token=outcome.leased.token,
            sent=outcome.state == State.SENT,
            answer=outcome.answer,
        )
    return outcome
