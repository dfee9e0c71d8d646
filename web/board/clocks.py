"""A ticket's clocks in a few lines, for the card over its chip."""

import datetime as dt
from dataclasses import dataclass

from escalation.models import Clock
from escalation.models.clocks import LIVE
from tickets.models import Ticket


@dataclass(frozen=True, slots=True)
class ClockLine:
    """One clock as the card shows it."""

    label: str
    paused: bool
    due_at: dt.datetime | None
    share: float
    left: dt.timedelta | None

    @property
    def percent(self) -> int:
        return round(100 * self.share)


def clock_lines(ticket: Ticket, now: dt.datetime) -> list[ClockLine]:
    """Return the live clocks that people watch, the most urgent first."""
    clocks = Clock.objects.filter(ticket=ticket, state__in=LIVE).exclude(kind=Clock.Kind.NEXT_TELLING)
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    lines = []
    for clock in sorted(clocks, key=lambda clock: clock.due_at or far):
        paused = clock.state == Clock.State.PAUSED
        left = clock.due_at - now if clock.due_at is not None and not paused else None
        lines.append(
            ClockLine(
                label=str(clock.get_kind_display()),
                paused=paused,
                due_at=clock.due_at if not paused else None,
                share=_share(clock, left),
                left=left,
            )
        )
    return lines


def _share(clock: Clock, left: dt.timedelta | None) -> float:
    """Return how much of the way from start to deadline is gone, 0..1; of a paused clock, how much of its budget."""
    if left is None:
        return min(1.0, clock.used / clock.budget) if clock.budget else 0.0
    if clock.due_at is None or clock.due_at <= clock.started_at:
        return 1.0
    return min(1.0, max(0.0, 1 - left / (clock.due_at - clock.started_at)))
