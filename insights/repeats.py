"""Pass over the repetitions of a telling without living through each of them.

As long as an acknowledgement is wanted, the last round of a step repeats, each time to the same people. What is the
same each time is counted instead of played; a test holds the two against each other.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F

from calendars.queries import hours_of
from calendars.rules import due_at
from escalation.models import Clock, Standing, Step


@dataclass(frozen=True, slots=True)
class Repeated:
    """A round of one ticket that was told `times` more than the outbox shows."""

    ticket_id: int
    seq: int
    round: int
    times: int


def skip_repeats(next_rows: Mapping[int, dt.datetime], until: dt.datetime) -> list[Repeated]:
    """Move tellings that only repeat on to the last one before something else happens to their ticket.

    `next_rows` says for each ticket when the log goes on. Plain columns, set as the engine would have left them; for
    replays only, whose transaction is taken back.
    """
    telling = Clock.objects.filter(
        kind=Clock.Kind.NEXT_TELLING,
        ticket_id__in=next_rows,
        fires_at__lt=until,
        round__gte=F("step__rounds"),
        step__telling=Step.Telling.ALL,
    ).select_related("step", "ticket__standing")
    clocks = {clock.ticket_id: clock for clock in telling}
    if not clocks:
        return []
    horizons = {ticket_id: next_rows[ticket_id] for ticket_id in clocks}
    wanted: set[int] = set()
    others = Clock.objects.filter(ticket_id__in=clocks, fires_at__isnull=False)
    for ticket_id, kind, fires_at in others.exclude(kind=Clock.Kind.NEXT_TELLING).values_list(
        "ticket_id", "kind", "fires_at"
    ):
        if fires_at is not None:
            horizons[ticket_id] = min(horizons[ticket_id], fires_at)
        if kind == Clock.Kind.ACKNOWLEDGE:
            wanted.add(ticket_id)
    return [
        repeated
        for ticket_id in sorted(wanted)
        if (repeated := _skip(clocks[ticket_id], horizons[ticket_id])) is not None
    ]


def _skip(clock: Clock, horizon: dt.datetime) -> Repeated | None:
    """Move one telling on to its first instant at or after `horizon`, where the engine goes on."""
    if clock.step is None or clock.due_at is None or clock.due_at >= horizon:
        return None
    hours = hours_of(clock.calendar_version_id)
    last, following, times = clock.due_at, due_at(hours, clock.due_at, clock.step.wait), 1
    while following < horizon:
        last, following, times = following, due_at(hours, following, clock.step.wait), times + 1
    standing = clock.ticket.standing
    Clock.objects.filter(pk=clock.pk).update(
        started_at=last,
        running_since=last,
        recorded_at=last,
        due_at=following,
        fires_at=following,
        round=F("round") + times,
    )
    Standing.objects.filter(pk=standing.pk).update(round=F("round") + times)
    return Repeated(clock.ticket_id, standing.seq, standing.round, times)
