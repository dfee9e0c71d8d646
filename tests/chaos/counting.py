"""What was injected and what came of it, counted from the rows and from what the mail server took."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from django.db.models import Count, Max

from core.db import database_now
from escalation import kinds
from escalation.models import Clock, Escalation
from notifications.models import Notification, TickRecord
from tests.chaos.installation import Installation, wait_for
from tests.house import House
from tickets.models import Event, Ticket
from tickets.operations import Draft, open_tickets
from tickets.verification import verify

AT_ONCE = 500
# After so long a ticket of the house's default path climbs from L1.
L1_TIME = dt.timedelta(minutes=30)
NOW = dt.timedelta(0)
# prove(fault, injected, counted, others' progress)
Prove = Callable[[str, str, object, str], None]

LIVE = (Notification.State.PENDING, Notification.State.SENDING)


def open_due(house: House, count: int, *, ago: dt.timedelta = NOW) -> list[int]:
    """Open tickets whose time at L1 ran out so long ago (negative: will run out); return their ids."""
    ids: list[int] = []
    while len(ids) < count:
        drafts = [
            Draft(requester=house.requester, subject="VPN drops", body="It drops.")
            for _ in range(min(AT_ONCE, count - len(ids)))
        ]
        at = database_now() - L1_TIME - ago
        ids += [ticket.pk for ticket in open_tickets(drafts=drafts, actor=None, now=at)]
    return ids


@dataclass(frozen=True)
class Outcome:
    """What became of due tickets: each was to climb exactly one step and both contacts of L2 were to be told."""

    due: int
    lost: int
    decided_twice: int
    told_twice: int
    not_told: int
    set_aside: int
    broken_chains: int
    not_final: int
    never_taken: int
    duplicates: int
    latest: float

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing decided or told twice, all of it on record and delivered at least once."""
        return not (
            self.lost
            or self.decided_twice
            or self.told_twice
            or self.not_told
            or self.set_aside
            or self.broken_chains
            or self.not_final
            or self.never_taken
        )

    def __str__(self) -> str:
        return (
            f"lost {self.lost + self.not_told + self.never_taken}, decided twice {self.decided_twice}, "
            f"told twice {self.told_twice}, duplicates sent {self.duplicates}, "
            f"latest decision {self.latest:.1f} s after its due"
        )


def climbed(ids: Sequence[int]) -> int:
    """Count the tickets that have left L1."""
    return Ticket.objects.filter(pk__in=ids, tier__gt=1).count()


def wait_until_climbed(ids: Sequence[int], seconds: float) -> float:
    """Return after how many seconds all had climbed."""
    began = time.monotonic()
    try:
        wait_for(f"{len(ids)} climbs", lambda: climbed(ids) == len(ids), seconds)
    except pytest.fail.Exception:
        left = Ticket.objects.filter(pk__in=ids, tier=1)
        clocks = Clock.objects.filter(ticket__in=left, fires_at__isnull=False)
        print(
            "set aside:", list(left.values_list("pk", "set_aside_at", "standing__failures")), database_now()
        )
        print(
            "clocks:", *clocks.values_list("ticket_id", "kind", "recorded_at", "fires_at", "due_at"), sep="\n"
        )
        raise
    return time.monotonic() - began


def wait_until_sent(seconds: float) -> float:
    """Return after how many seconds every message had ended in a final state."""
    began = time.monotonic()
    wait_for("an empty outbox", lambda: not Notification.objects.filter(state__in=LIVE).exists(), seconds)
    return time.monotonic() - began


def outcome(installation: Installation, ids: Sequence[int], *, told: int = 2, mailed: bool = True) -> Outcome:
    """Count; `told` messages were to be written per climb, and `mailed=False` means that no delivery ran."""
    climbs = Escalation.objects.filter(ticket__in=ids, seq__gt=0)
    per_ticket = dict(climbs.values_list("ticket").annotate(n=Count("pk")))
    tellings = Notification.objects.filter(ticket__in=ids, round__isnull=False)
    rows = list(tellings.values_list("ticket", "seq", "round", "contact", "method"))
    reached = tellings.filter(seq=1, state=Notification.State.SENT).values_list("ticket")
    people = dict(reached.annotate(n=Count("contact", distinct=True)))
    taken = {mail.message_id for mail in installation.mail.taken}
    sent = Notification.objects.filter(state=Notification.State.SENT).values_list("message_id", flat=True)
    latest = climbs.aggregate(latest=Max("late_by"))["latest"] or NOW
    return Outcome(
        due=len(ids),
        lost=sum(pk not in per_ticket for pk in ids),
        decided_twice=sum(max(count - 1, 0) for count in per_ticket.values()),
        told_twice=len(rows) - len(set(rows)),
        not_told=sum(people.get(pk, 0) < 2 for pk in ids),
        set_aside=Event.objects.filter(kind=kinds.SET_ASIDE).count(),
        broken_chains=len(list(verify())),
        not_final=Notification.objects.filter(state__in=LIVE).count(),
        never_taken=sum(message_id not in taken for message_id in sent),
        duplicates=installation.mail.duplicates(),
        latest=latest.total_seconds(),
    )


def queue_length(installation: Installation, queue: str) -> int:
    """Count what waits in one of Celery's queues."""
    return int(installation.broker().llen(f"{installation.environment['BELAY_PREFIX']}{queue}"))  # type: ignore[arg-type]


def queued(installation: Installation, queue: str) -> list[str]:
    """Return the messages that wait in one of Celery's queues."""
    key = f"{installation.environment['BELAY_PREFIX']}{queue}"
    messages: list[bytes] = installation.broker().lrange(key, 0, -1)  # type: ignore[assignment]
    return [message.decode() for message in messages]


def celery_ticks_again(seconds: float) -> float:
    """Return after how many seconds both engines have ticked three times, with no pacemaker to do it."""
    runs = dict(TickRecord.objects.values_list("name", "runs"))
    began = time.monotonic()

    def risen() -> bool:
        return all(row.runs >= runs[row.name] + 3 for row in TickRecord.objects.all())

    wait_for("Celery's return", risen, seconds)
    return time.monotonic() - began
