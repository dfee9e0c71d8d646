"""kill -9 of a real worker half way: each ticket is old or new, and the next worker completes the change."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from escalation import kinds
from escalation.models import Clock, PathVersion, RecomputeJob, Standing
from escalation.operations.recomputing import preview_path, start_job
from escalation.tasks import pick_up
from helpdesk.processes import start, worker
from tests.escalation.test_recomputing import longer
from tests.house import House, build_house
from tests.settings import RUN
from tickets.models import Event
from tickets.operations import Draft, open_tickets
from tickets.verification import verify

TICKETS = 1200
WAIT = 180


@pytest.fixture
def house(transactional_db: None) -> House:
    return build_house()


@contextmanager
def bulk_worker() -> Iterator["subprocess.Popen[bytes]"]:
    """Run the worker of the queue "bulk" as `manage.py up` does, on this test's database."""
    process = worker("bulk", pool="threads", size=2)
    database = str(connection.settings_dict["NAME"])
    extra = {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}",
    }
    log = Path(RUN) / "bulk.log"
    with log.open("ab") as out:
        child = start(process, log=out, extra=extra)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)
        print(log.read_text(errors="replace")[-2000:])


def until(what: str, reached: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not reached():
        assert time.monotonic() < end, f"waited {WAIT} s for {what}"
        time.sleep(0.02)


def moved(job: RecomputeJob) -> int:
    return RecomputeJob.objects.values_list("moved", flat=True).get(pk=job.pk)


def state(job: RecomputeJob) -> str:
    return RecomputeJob.objects.values_list("state", flat=True).get(pk=job.pk)


def on(version: PathVersion | None) -> set[int]:
    return set(Standing.objects.filter(version=version).values_list("pk", flat=True))


def nobody_is_between(old: PathVersion | None, new: PathVersion) -> set[int]:
    """Check that every ticket is of one version with all its clocks and its event; return those on the new one."""
    changed = on(new)
    assert changed | on(old) == set(Standing.objects.values_list("pk", flat=True))
    for version, ids in ((old, on(old)), (new, changed)):
        clocks = Clock.objects.filter(ticket_id__in=ids)
        assert set(clocks.values_list("path_version", flat=True)) <= {version.pk if version else None}
        steps = clocks.filter(seq__isnull=False).values_list("step__version", flat=True)
        assert set(steps) <= {version.pk if version else None}
    told = list(Event.objects.filter(kind=kinds.APPLIED).values_list("ticket_id", flat=True))
    assert sorted(told) == sorted(changed)
    return changed


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_half_way_leaves_each_ticket_old_or_new_and_another_goes_on(house: House) -> None:
    for _ in range(TICKETS // 400):
        drafts = [Draft(requester=house.requester, subject="VPN drops") for _ in range(400)]
        open_tickets(drafts=drafts, actor=None, now=house.now)
    old, new = house.path, longer(house)
    job = preview_path(path_id=new.path_id, actor=house.admin, now=house.now)

    with bulk_worker() as first:
        pick_up()
        until("the preview", lambda: state(job) == "previewed")
        start_job(job_id=job.pk, actor=house.admin, now=house.now)
        pick_up()
        until("the first batch", lambda: moved(job) > 0)
        # Inside the next batch, as likely as not before its commit.
        time.sleep(0.05)
        first.kill()
        first.wait(10)

    # The server notices that the connection is gone and rolls back what was under way.
    until("the lock to be free", lambda: not _others_in_transaction())
    after_the_kill = nobody_is_between(old, new)
    assert len(after_the_kill) == moved(job) < TICKETS
    assert state(job) == "running"

    # As after half a minute without a sign of life.
    RecomputeJob.objects.filter(pk=job.pk).update(heartbeat_at=None)
    with bulk_worker():
        pick_up()
        until("the end", lambda: state(job) == "done")

    assert len(nobody_is_between(old, new)) == moved(job) == TICKETS
    assert list(verify()) == []


def _others_in_transaction() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"""
        )
        return bool(cursor.fetchone()[0])
