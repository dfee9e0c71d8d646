"""What is done to a running installation: processes and servers killed at the worst moment, tickets poisoned."""

import contextlib
import datetime as dt
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from django.db import connection
from django.db.models import F

from core.db import database_now
from escalation.models import Clock
from notifications.models import Notification
from tests.chaos.counting import climbed
from tests.chaos.installation import Ground, Installation, Running, children_of, wait_for
from tests.chaos.mail_server import Taken
from tests.helpers import patience


def kill_pool(worker: int) -> int:
    """kill -9 the processes of a prefork pool, which their worker replaces; return how many."""
    pool = children_of(worker)
    for pid in pool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pool)


def wait_for_commit(ids: Sequence[int]) -> None:
    """Return the moment the engine has committed something about these tickets."""
    wait_for("a first decision", lambda: climbed(ids), pause=0)


@contextlib.contextmanager
def outbox_locked(installation: Installation) -> Iterator[None]:
    """Keep everybody from writing messages: a batch gets as far as its outbox rows and stays there, uncommitted."""
    with installation.connect() as link, link.cursor() as cursor:
        cursor.execute("LOCK TABLE notifications_notification IN SHARE MODE")
        yield


def kill_before_commit(installation: Installation, ids: Sequence[int], kill: Callable[[], object]) -> int:
    """Kill while a batch has written but not committed; return how many transactions were cut off."""
    with outbox_locked(installation):
        cut = wait_for("a batch that waits", lambda: installation.blocked("engine"))
        kill()
        assert not climbed(ids)
    return cut


def leases_run_out() -> int:
    """Let the leases of dead workers be as old as they would be a minute later; return how many there were."""
    leased = Notification.objects.filter(state=Notification.State.SENDING)
    return leased.update(lease_until=F("lease_until") - dt.timedelta(minutes=1))


def wait_until_only_the_dead_lease(installation: Installation) -> None:
    """Wait until living workers have sent what they can: nothing is due, nothing is taken any more."""
    due = Notification.objects.filter(state=Notification.State.PENDING)
    wait_for("an outbox with nothing due", lambda: not due.filter(due_at__lte=database_now()).exists())
    wait_for_silence(installation)


def wait_for_silence(installation: Installation) -> None:
    """Wait until no mail has been taken and no row leased or settled for longer than a mail takes."""
    before: tuple[int, set[int]] | None = None
    since = time.monotonic()

    def silent() -> bool:
        nonlocal before, since
        sending = Notification.objects.filter(state=Notification.State.SENDING)
        now = (len(installation.mail.taken), set(sending.values_list("pk", flat=True)))
        if now != before:
            before, since = now, time.monotonic()
        return time.monotonic() - since > patience(1)

    wait_for("silence", silent)


def kill_after_accept(installation: Installation, worker: Running, number: int, *, since: int) -> int:
    """kill -9 the delivery worker right after the server's answer to the next `number`th mail.

    Returns how many mails were taken whose row says nothing of it, of those after the first `since`: as many as were
    taken when this worker began, for what it was sending before this call may be cut off as well.
    """
    killed = threading.Event()
    seen = Counter[str]()

    def kill(_mail: Taken) -> None:
        seen["mails"] += 1
        if seen["mails"] == number and not killed.is_set():
            os.killpg(worker.pid, signal.SIGKILL)
            killed.set()

    installation.mail.on_taken = kill
    assert killed.wait(patience(30)), "no mail came"
    worker.kill()
    installation.mail.on_taken = lambda _mail: None
    # What had reached the server when its client died is taken none the less.
    wait_for_silence(installation)
    return cut_off(installation, since=since)


def cut_off(installation: Installation, *, since: int) -> int:
    """Count, of the mails that the server took after the first so many, those whose row says nothing of it."""
    taken = {mail.message_id for mail in installation.mail.taken[since:]}
    return Notification.objects.filter(state=Notification.State.SENDING, message_id__in=taken).count()


def stop_fast(ground: Ground) -> None:
    """Fast shutdown: sessions are cut off, what is written is kept in order."""
    ground.postgres.stop()


def crash(ground: Ground) -> None:
    """kill -9 of the server and all its sessions: the next start recovers from the log."""
    assert ground.postgres.process is not None
    postmaster = ground.postgres.process
    sessions = children_of(postmaster.pid)
    postmaster.kill()
    for pid in sessions:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    postmaster.wait()


_POISON = """
CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq > 0 AND NEW.ticket_id = ANY('{{{ids}}}'::bigint[]) THEN
        RAISE EXCEPTION 'no step for ticket %', NEW.ticket_id;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER poison BEFORE INSERT ON escalation_escalation FOR EACH ROW EXECUTE FUNCTION poison();
"""


def poison(ids: Sequence[int]) -> None:
    """Let the database refuse every change of step of these tickets, whoever tries."""
    with connection.cursor() as cursor:
        cursor.execute(_POISON.format(ids=",".join(map(str, ids))))


def cure() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER poison ON escalation_escalation")


def rest_is_over(*ids: int) -> None:
    """Let tickets that were set aside have rested long enough."""
    Clock.objects.filter(ticket__in=ids, fires_at__isnull=False).update(fires_at=database_now())
