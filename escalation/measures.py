"""What a tick of the engine counts, under the names /metrics shows."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.measures import Key, Measures


class Report(Protocol):
    """What the engine says of one tick; times in seconds."""

    tickets: int
    set_aside: int
    dead_letters: int

    @property
    def batch_seconds(self) -> Sequence[float]: ...
    @property
    def lateness(self) -> Sequence[float]: ...
    @property
    def steps(self) -> Mapping[str, int]: ...


def measures_of(report: Report) -> dict[Key, float]:
    """Return a tick's counts for `notifications.ticks.record_tick`; empty for an idle one."""
    measures = Measures()
    measures.observe("belay_escalation_lateness_seconds", report.lateness)
    measures.observe("belay_escalation_batch_seconds", report.batch_seconds)
    measures.count("belay_escalation_tickets_total", report.tickets)
    measures.count("belay_set_asides_total", report.set_aside)
    measures.count("belay_dead_letters_handled_total", report.dead_letters)
    for trigger, steps in report.steps.items():
        measures.count("belay_escalation_steps_total", steps, trigger=trigger)
    return measures.drain()
