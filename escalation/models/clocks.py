"""Clocks: one running deadline of one ticket each (DESIGN 1)."""

import datetime as dt
from typing import Any

from django.db import models
from django.db.models import Q

from calendars.models import CalendarVersion
from core.bulk import make
from escalation.models.paths import PathVersion, Step
from tickets.models import Ticket

LIVE = ("running", "paused")


class Clock(models.Model):
    """A deadline with all that explains it: start, budget, pauses, and the calendar it is counted in."""

    class Kind(models.TextChoices):
        FIRST_RESPONSE = "first_response", "First response"
        NEXT_RESPONSE = "next_response", "Next response"
        RESOLUTION = "resolution", "Resolution"
        STAKEHOLDER_UPDATE = "stakeholder_update", "Stakeholder update"
        TIER_TIME = "tier_time", "Time at this tier"
        ACKNOWLEDGE = "acknowledge", "Acknowledge"
        NEXT_TELLING = "next_telling", "Next telling"
        FOLLOW_UP = "follow_up", "Follow up"
        REQUEST = "request", "Answer to the requester's wish"
        QUESTION = "question", "Answer to a question sent back"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FIRED = "fired", "Due and handled"
        MET = "met", "Met"
        CANCELLED = "cancelled", "No longer wanted"

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="clocks")
    kind = models.CharField(max_length=20, choices=Kind)
    state = models.CharField(max_length=9, choices=State, default=State.RUNNING)
    # The step clocks belong to one seq; promises have none.
    seq = models.PositiveIntegerField(null=True)
    round = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    # When the row was written: a tick claims only clocks recorded before it began (DESIGN 4).
    recorded_at = models.DateTimeField()
    budget = models.DurationField()
    # What was used before `running_since`; time used stays used.
    used = models.DurationField()
    running_since = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    warn_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True)
    # The next of warning and due; null when stopped, so that idle is one index probe (DESIGN 2).
    fires_at = models.DateTimeField(null=True)
    # [[from, to or null], ...] in ISO 8601, UTC.
    pauses = models.JSONField(default=list)
    calendar_version = models.ForeignKey(
        CalendarVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    path_version = models.ForeignKey(PathVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    fired_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["ticket", "kind"], condition=Q(state__in=LIVE), name="one_live_clock_per_kind"
            ),
            models.CheckConstraint(
                condition=Q(state="running", due_at__isnull=False, fires_at__isnull=False)
                | (~Q(state="running") & Q(fires_at__isnull=True)),
                name="clock_fires_while_running",
            ),
        )
        indexes = (
            models.Index(fields=["fires_at", "id"], condition=Q(fires_at__isnull=False), name="clock_due"),
            # The board counts updates that are overdue; `round` is how often the promise was missed.
            models.Index(
                fields=["-round", "ticket"],
                condition=Q(kind="stakeholder_update", state__in=LIVE, round__gt=0),
                name="clock_update_overdue",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of #{self.ticket_id}"

    @property
    def is_live(self) -> bool:
        return self.state in LIVE


def new_clock(
    ticket: Ticket,
    kind: str,
    *,
    seq: int | None,
    step_id: int | None,
    path_version_id: int,
    calendar_version_id: int,
    budget: dt.timedelta,
    used: dt.timedelta,
    since: dt.datetime,
    recorded_at: dt.datetime,
    round_number: int,
) -> Clock:
    """Return a clock that runs from `since`, not yet written; its instants are still to be computed."""
    values: dict[str, Any] = {
        "id": None,
        "ticket_id": ticket.id,
        "kind": kind,
        "state": Clock.State.RUNNING.value,
        "seq": seq,
        "round": round_number,
        "started_at": since,
        "recorded_at": recorded_at,
        "budget": budget,
        "used": used,
        "running_since": since,
        "due_at": None,
        "warn_at": None,
        "warned_at": None,
        "fires_at": None,
        "pauses": [],
        "calendar_version_id": calendar_version_id,
        "path_version_id": path_version_id,
        "step_id": step_id,
        "fired_at": None,
        "stopped_at": None,
    }
    return make(Clock, values, ticket=ticket)
