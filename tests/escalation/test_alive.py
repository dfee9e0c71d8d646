"""Seen to be alive: who is late, who is silent, and what is said of it."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection

from core.db import database_now
from escalation import engine, watchdog
from escalation.models import Clock
from escalation.rules.alive import Ticked, Vitals, alarm, overdue, silent, well
from notifications.models import Measure, Notification, TickRecord
from notifications.ticks import PACEMAKER, WORKER, record_tick, ticking_as
from tests.house import House
from tests.notifications.cast import queued

BOTH = {"escalation": Ticked(1.0, WORKER), "notifications": Ticked(1.0, WORKER)}


@pytest.mark.parametrize(
    ("vitals", "what"),
    [
        (Vitals(ticks=BOTH), None),
        (Vitals(clock=30.0, outbox=30.0, dead_letter=30.0, ticks=BOTH), None),
        (Vitals(clock=30.1, ticks=BOTH), "behind"),
        (Vitals(dead_letter=31, ticks=BOTH), "behind"),
        (Vitals(outbox=31, ticks=BOTH), "outbox"),
        (Vitals(clock=31, outbox=900, ticks={}), "behind"),
        (Vitals(ticks={}), "never"),
        (Vitals(ticks=BOTH | {"escalation": Ticked(31.0, WORKER)}), "still"),
        # The clock was set back: its last tick lies in the future.
        (Vitals(ticks=BOTH | {"escalation": Ticked(-3600.0, WORKER)}), "still"),
        (Vitals(ticks=BOTH | {"notifications": Ticked(31.0, WORKER)}), "delivery_still"),
        (Vitals(ticks={"escalation": Ticked(1.0, WORKER)}), "delivery_never"),
        (Vitals(outbox=31, ticks=BOTH | {"escalation": Ticked(31.0, WORKER)}), "still"),
    ],
)
def test_the_alarm_names_what_matters_most(vitals: Vitals, what: str | None) -> None:
    found = alarm(vitals)

    assert (found.what if found is not None else None) == what
    assert well(vitals) is (what is None)


def test_everything_late_is_named_with_its_age() -> None:
    vitals = Vitals(clock=42, outbox=31, dead_letter=2, ticks={"escalation": Ticked(33, WORKER)})

    assert overdue(vitals) == {"clock": 42, "outbox": 31}
    assert silent(vitals) == {"escalation": 33, "notifications": None}


def test_an_empty_house_is_silent_and_late_with_nothing(db: None) -> None:
    assert watchdog.look() == Vitals()


def test_one_look_is_one_statement(house: House, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        watchdog.look()


def test_the_oldest_due_clock_is_seen_until_a_tick_has_decided_it(house: House) -> None:
    house.open(at=house.now)
    Clock.objects.filter(fires_at__isnull=False).update(fires_at=database_now() + dt.timedelta(hours=1))
    assert watchdog.look().clock == 0
    first = Clock.objects.filter(fires_at__isnull=False).earliest("fires_at")
    Clock.objects.filter(pk=first.pk).update(
        fires_at=database_now() - dt.timedelta(seconds=40),
        due_at=database_now() - dt.timedelta(seconds=40),
        recorded_at=database_now() - dt.timedelta(hours=1),
    )

    assert 40 <= watchdog.look().clock < 45
    engine.tick()

    assert watchdog.look().clock == 0
    assert watchdog.look().ticks["escalation"].runs == 1


def test_a_message_is_late_only_if_it_could_go_out_and_was_never_tried(db: None) -> None:
    now = database_now()
    rows = [queued(f"{name}@example.org") for name in ("tried", "later", "late")]
    for row, change in zip(
        rows,
        (
            {"attempts": 1, "due_at": now - dt.timedelta(seconds=90)},
            {"due_at": now + dt.timedelta(seconds=90)},
            {"due_at": now - dt.timedelta(seconds=50)},
        ),
        strict=True,
    ):
        Notification.objects.filter(pk=row.pk).update(**change)

    assert 50 <= watchdog.look().outbox < 55


def test_a_dead_letter_is_late_until_its_consequence_is_drawn(db: None) -> None:
    row = queued()
    died = Notification.objects.filter(pk=row.pk)
    died.update(state="dead", dead_at=database_now() - dt.timedelta(seconds=60))
    assert 60 <= watchdog.look().dead_letter < 65

    died.update(handled_at=database_now())

    assert watchdog.look().dead_letter == 0


def test_what_was_seen_lately_is_not_asked_again(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    watchdog.forget()
    assert watchdog.kept() is None

    seen = watchdog.look()

    assert watchdog.kept() == seen
    monkeypatch.setattr(watchdog, "FRESH", 0.0)
    assert watchdog.kept() is None


def test_a_look_is_index_probes(house: House) -> None:
    house.open()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN SELECT {watchdog.VITALS_SQL}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert all(index in plan for index in ("clock_due", "outbox_due", "outbox_dead"))
    assert "Seq Scan on escalation_clock" not in plan
    assert "Seq Scan on notifications_notification" not in plan


def test_a_tick_is_on_record_with_what_it_counted(house: House) -> None:
    house.open(at=house.now)
    fires_at = Clock.objects.filter(kind="tier_time").values_list("due_at", flat=True).get()

    engine.tick(now=fires_at + dt.timedelta(seconds=2))

    values = {(row.name, row.labels): row.value for row in Measure.objects.all()}
    assert values["belay_escalation_steps_total", '{"trigger":"tier_time"}'] == 1
    assert values["belay_escalation_tickets_total", "{}"] == 1
    assert (
        sum(value for (name, _), value in values.items() if name == "belay_escalation_batch_seconds_bucket")
        == 1
    )
    # One ticket, decided once, more than 1.5 s after its earliest instant.
    late = {
        labels: value for (name, labels), value in values.items() if name.endswith("lateness_seconds_bucket")
    }
    assert sum(late.values()) == 1
    assert values["belay_escalation_lateness_seconds_sum", "{}"] >= 2


def test_counts_add_up_over_ticks_and_an_idle_one_adds_none(house: House) -> None:
    key = ("belay_lease_expiries_total", "{}")
    record_tick("escalation", database_now(), {key: 2})
    record_tick("escalation", database_now(), {key: 3, ("a_second", "{}"): 1})
    record_tick("escalation", database_now())

    assert dict(Measure.objects.values_list("name", "value")) == {key[0]: 5, "a_second": 1}
    assert TickRecord.objects.get().runs == 3


def test_who_ticked_is_on_record(db: None) -> None:
    record_tick("escalation", database_now())
    with ticking_as(PACEMAKER):
        record_tick("escalation", database_now())
    mine = TickRecord.objects.get()
    record_tick("escalation", database_now())
    theirs = TickRecord.objects.get()

    assert (mine.ticked_by, mine.runs, mine.pacemaker_runs) == (PACEMAKER, 2, 1)
    assert (theirs.ticked_by, theirs.runs, theirs.pacemaker_runs) == (WORKER, 3, 1)


def test_a_last_tick_in_the_future_is_mended_by_the_next(db: None) -> None:
    record_tick("escalation", database_now())
    TickRecord.objects.update(completed_at=database_now() + dt.timedelta(hours=1))

    record_tick("escalation", database_now())

    assert TickRecord.objects.get().completed_at <= database_now()
