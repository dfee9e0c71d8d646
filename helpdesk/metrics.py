"""Belay's own part of /metrics, read from the database at each scrape.

The engines run in other processes, maybe on other machines; what they count is in rows (notifications.ticks), what is
the case is read by index probes and by counts of partial indexes that stop at CAP. Three statements, none of which
grows with the number of tickets or of sent messages.
"""

import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connection, transaction
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from core.deadline import NoAnswer, Question
from core.measures import BOUNDS, BUCKET, INFINITE, SUM
from escalation import watchdog
from escalation.models import Clock, Escalation
from escalation.rules.alive import ENGINES, Vitals
from notifications.models import ContactMethod, Measure, Notification
from notifications.ticks import PACEMAKER, WORKER

log = logging.getLogger("belay.metrics")

# Beyond it a count is only "many".
CAP = 2000
WITHIN = 2.0

STATES = (Notification.State.PENDING, Notification.State.SENDING, Notification.State.DEAD)
OUTCOMES = (
    Notification.State.SENT,
    "failed",
    Notification.State.DEAD,
    Notification.State.WITHDRAWN,
)
TRIGGERS = sorted(set(Escalation.Trigger.values) & set(Clock.Kind.values))

# Each branch walks one partial index (outbox_due, outbox_leased, outbox_dead, ticket_set_aside) and stops at CAP.
_OPEN_ENDS = f"""
SELECT 'pending', channel, count(*), extract(epoch FROM statement_timestamp() - min(due_at)) FROM (
  SELECT channel, due_at FROM notifications_notification WHERE state = 'pending' ORDER BY due_at, id LIMIT {CAP}
) rows GROUP BY channel
UNION ALL
SELECT 'sending', channel, count(*), NULL FROM (
  SELECT channel FROM notifications_notification WHERE state = 'sending' ORDER BY lease_until, id LIMIT {CAP}
) rows GROUP BY channel
UNION ALL
SELECT 'dead', channel, count(*), NULL FROM (
  SELECT channel FROM notifications_notification WHERE state = 'dead' AND handled_at IS NULL
  ORDER BY dead_at, id LIMIT {CAP}
) rows GROUP BY channel
UNION ALL
SELECT 'set aside', '', count(*), NULL FROM (
  SELECT FROM tickets_ticket WHERE set_aside_at IS NOT NULL ORDER BY set_aside_at, id LIMIT {CAP}
) rows
"""  # noqa: S608 one number of our own


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything one scrape shows."""

    vitals: Vitals
    # (state, channel) -> how many; channel -> seconds the oldest that could go out has been waiting.
    rows: dict[tuple[str, str], int]
    waiting: dict[str, float]
    set_aside: int
    # name -> ((labels, value), ...)
    measures: dict[str, list[tuple[dict[str, str], float]]]


def read() -> Reading:
    """Read everything in one short transaction. Raises django.db.Error."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = %s", [f"{WITHIN:.0f}s"])
        vitals = watchdog.look()
        cursor.execute(_OPEN_ENDS)
        rows: dict[tuple[str, str], int] = {}
        waiting: dict[str, float] = {}
        set_aside = 0
        for state, channel, number, age in cursor.fetchall():
            if state == "set aside":
                set_aside = number
                continue
            rows[state, channel] = number
            if age is not None:
                waiting[channel] = max(float(age), 0.0)
        measures: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        for name, labels, value in Measure.objects.values_list("name", "labels", "value"):
            measures[name].append((json.loads(labels), value))
    return Reading(vitals, rows, waiting, set_aside, measures)


class Belay(Collector):
    """Shows what the database says; without a database, that."""

    def __init__(self) -> None:
        self._question = Question("metrics", read)

    def describe(self) -> Iterable[Metric]:
        """Name nothing: a registry that asks must not read the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read the database once; never raises."""
        up = GaugeMetricFamily("belay_database_up", "Whether the database answered this scrape in time.")
        try:
            reading = self._question.ask(within=WITHIN)
        except NoAnswer as error:
            log.warning("the database does not answer a scrape: %s", error)
            reading = None
        except Exception as error:  # noqa: BLE001 whatever it is, the process's own metrics are shown
            log.warning("a scrape without the database: %s", " ".join(str(error).split()))
            reading = None
        up.add_metric([], float(reading is not None))
        yield up
        if reading is not None:
            yield from _vitals(reading.vitals)
            yield from _outbox(reading)
            yield from _counted(reading)


def registry() -> CollectorRegistry:
    """Return a registry of its own, which the page shows after the process's."""
    found = CollectorRegistry(auto_describe=False)
    found.register(Belay())
    return found


def _vitals(vitals: Vitals) -> Iterator[Metric]:
    oldest = GaugeMetricFamily(
        "belay_oldest_due_seconds",
        "Age of the oldest row that is due and not taken up: clock, message never tried, dead letter.",
        labels=["what"],
    )
    for what, age in vitals.ages.items():
        oldest.add_metric([what], age)
    yield oldest
    ticks = CounterMetricFamily(
        "belay_ticks_total", "Completed ticks, by who ran them.", labels=["engine", "by"]
    )
    steps_in = CounterMetricFamily(
        "belay_pacemaker_interventions_total",
        "Ticks that the pacemaker ran because nobody else did.",
        labels=["engine"],
    )
    last_one = GaugeMetricFamily(
        "belay_tick_age_seconds",
        "Time since the last completed tick; +Inf where none ever was.",
        labels=["engine"],
    )
    for engine in ENGINES:
        last = vitals.ticks.get(engine)
        runs, by_pacemaker = (last.runs, last.pacemaker_runs) if last is not None else (0, 0)
        ticks.add_metric([engine, WORKER], runs - by_pacemaker)
        ticks.add_metric([engine, PACEMAKER], by_pacemaker)
        steps_in.add_metric([engine], by_pacemaker)
        last_one.add_metric([engine], last.age if last is not None else math.inf)
    yield from (ticks, steps_in, last_one)


def _outbox(reading: Reading) -> Iterator[Metric]:
    channels = sorted({*ContactMethod.Channel.values, *(channel for _, channel in reading.rows)})
    waiting = GaugeMetricFamily(
        "belay_outbox_oldest_seconds",
        "How long the oldest message that could go out has been waiting.",
        labels=["channel"],
    )
    rows = GaugeMetricFamily(
        "belay_outbox_rows",
        f"Messages without an end yet: pending, being sent, dead and unhandled; at most {CAP} are counted.",
        labels=["state", "channel"],
    )
    dead = GaugeMetricFamily(
        "belay_dead_letters_unhandled",
        f"Dead letters whose consequence is not drawn yet; at most {CAP} are counted.",
        labels=["channel"],
    )
    for channel in channels:
        waiting.add_metric([channel], reading.waiting.get(channel, 0.0))
        for state in STATES:
            rows.add_metric([state, channel], reading.rows.get((state, channel), 0))
        dead.add_metric([channel], reading.rows.get((Notification.State.DEAD, channel), 0))
    aside = GaugeMetricFamily(
        "belay_tickets_set_aside", "Tickets that are set aside because their processing fails."
    )
    aside.add_metric([], reading.set_aside)
    yield from (waiting, rows, dead, aside)


def _counted(reading: Reading) -> Iterator[Metric]:
    yield _histogram(
        reading, "belay_escalation_lateness_seconds", "From a ticket's earliest due instant to its claim."
    )
    yield _histogram(reading, "belay_escalation_batch_seconds", "Time of one batch of the engine.")
    channels = ContactMethod.Channel.values
    steps, deliveries = (
        [{"trigger": trigger} for trigger in TRIGGERS],
        [{"channel": channel, "outcome": str(outcome)} for channel in channels for outcome in OUTCOMES],
    )
    yield _counter(reading, "belay_escalation_tickets_total", "Tickets decided about.")
    yield _counter(reading, "belay_escalation_steps_total", "Automatic steps, by trigger.", steps)
    yield _counter(reading, "belay_set_asides_total", "How often a ticket was set aside.")
    yield _counter(reading, "belay_dead_letters_handled_total", "Dead letters whose consequence was drawn.")
    yield _counter(reading, "belay_deliveries_total", "Attempts to send, by outcome.", deliveries)
    yield _counter(
        reading,
        "belay_lease_expiries_total",
        "Messages taken up again after their sender did not settle them.",
    )


def _counter(
    reading: Reading, name: str, words: str, known: Iterable[dict[str, str]] = ({},)
) -> CounterMetricFamily:
    """Return a counter with a zero for each of its known labels."""
    values = {tuple(labels.values()): 0.0 for labels in known}
    names = list(next(iter(known)))
    for labels, value in reading.measures.get(name, ()):
        key = tuple(labels.get(label, "") for label in names)
        values[key] = values.get(key, 0.0) + value
    family = CounterMetricFamily(name, words, labels=names)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _histogram(reading: Reading, name: str, words: str) -> HistogramMetricFamily:
    """Return a histogram; its buckets are stored apart and shown summed up."""
    buckets = {str(bound): 0.0 for bound in BOUNDS}
    for labels, value in reading.measures.get(name + BUCKET, ()):
        # A bound of an earlier release is shown where it stood.
        buckets[labels["le"]] = buckets.get(labels["le"], 0.0) + value
    total = sum(value for _, value in reading.measures.get(name + SUM, ()))
    below, shown = 0.0, []
    for bound in sorted(buckets, key=float):
        below += buckets[bound]
        if bound != INFINITE:
            shown.append((bound, below))
    shown.append((INFINITE, below))
    family = HistogramMetricFamily(name, words)
    family.add_metric([], shown, sum_value=total)
    return family
