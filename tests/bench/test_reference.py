"""What the engine is measured against writes what the engine writes."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from bench import reference
from bench.data import build
from bench.due import make_due
from core.db import database_now
from escalation.engine import tick
from escalation.models import Clock, Escalation, Standing
from notifications.models import Delivery, Notification
from tickets.models import Entry, Event, Payload, Ticket
from tickets.verification import verify

DUE = 50
TABLES = (Ticket, Event, Entry, Payload, Standing, Escalation, Clock, Notification, Delivery)
# What no two runs share: ids, the transaction, and hashes, which cover how a number is spelt.
DIFFERENT = {"id", "x", "hash", "event_hash", "message_id"}
Rows = dict[str, list[dict[str, Any]]]


def rows() -> Rows:
    """Every row of every table, in an order that does not depend on ids given in the meantime."""
    found = {}
    for model in TABLES:
        columns = [field.attname for field in model._meta.concrete_fields if field.attname not in DIFFERENT]
        table = [
            {name: plain(value) for name, value in row.items()} for row in model.objects.values(*columns)
        ]
        found[model.__name__] = sorted(table, key=repr)
    return found


def plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def rows_after(act: Callable[[], object]) -> Rows:
    """What the tables hold after `act`, which is taken back."""
    with transaction.atomic():
        act()
        found = rows()
        assert list(verify()) == []
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db(transaction=True)
def test_sql_writes_row_for_row_what_a_tick_writes() -> None:
    # given tickets that are due at L1, L2 and L3, some of them owned
    build(300)
    due_at = database_now().replace(microsecond=0) - dt.timedelta(hours=1)
    make_due(slices=[(due_at.isoformat(), DUE)])
    before = rows()
    dues = Clock.objects.filter(fires_at=due_at)
    assert set(dues.values_list("ticket__tier", flat=True)) == {1, 2, 3}
    assert dues.filter(ticket__assignee=None).exists()
    assert dues.exclude(ticket__assignee=None).exists()
    reference.prepare()

    # punctual, and too late for the new clocks to begin at the deadline
    for late in (1, 300):
        now = due_at + dt.timedelta(seconds=late)
        # when either side moves them
        by_sql = rows_after(partial(reference.drain, now=now.isoformat()))
        by_belay = rows_after(partial(tick, now=now))

        # then there is no difference, in any column of any row
        for table, wanted in by_belay.items():
            assert by_sql[table] == wanted, (late, table)
        changed = {table for table in before if by_belay[table] != before[table]}
        assert changed == {"Ticket", "Event", "Standing", "Escalation", "Clock", "Notification"}
        assert len(by_sql["Escalation"]) - len(before["Escalation"]) == DUE
        assert len(by_sql["Notification"]) - len(before["Notification"]) == 3 * DUE
