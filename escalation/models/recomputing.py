"""Applying a newer version of a path or calendar to open tickets: one row per preview and what came of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from calendars.models import Calendar, CalendarVersion
from escalation.models.paths import EscalationPath, PathVersion


class RecomputeJob(models.Model):
    """A preview, and if somebody wants it, the change itself, batch by batch; the row is all there is to it.

    A worker that dies leaves the row as the last batch committed it, and another goes on from the cursor.
    """

    class State(models.TextChoices):
        PREVIEWING = "previewing", "Preview is computed"
        PREVIEWED = "previewed", "Preview is there"
        QUEUED = "queued", "Waits for a worker"
        RUNNING = "running", "Under way"
        STOPPED = "stopped", "Stopped"
        DONE = "done", "Done"
        FAILED = "failed", "Preview failed"

    # Either a path or a calendar.
    path = models.ForeignKey(EscalationPath, on_delete=models.PROTECT, null=True, related_name="+")
    path_version = models.ForeignKey(
        PathVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, null=True, related_name="+")
    calendar_version = models.ForeignKey(
        CalendarVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    # What a path's clocks are counted in, as of the preview: {calendar id: version id}.
    calendar_versions = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.PREVIEWING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    previewed_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # When a worker last said that it is at work; an old one means that it is gone.
    heartbeat_at = models.DateTimeField(null=True)
    # Whose turn it is: one who finds another's mark here leaves.
    runner = models.UUIDField(null=True)
    # Exact, counted by the database when the preview was made and again at the start.
    tickets = models.PositiveIntegerField(default=0)
    seen = models.PositiveIntegerField(default=0)
    preview = models.JSONField(null=True)
    # The last ticket that is done with.
    cursor = models.BigIntegerField(default=0)
    moved = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    # The first ones that failed: [[ticket, error], ...].
    failures = models.JSONField(default=list)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "change of open tickets"
        verbose_name_plural = "changes of open tickets"
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    path__isnull=False,
                    path_version__isnull=False,
                    calendar__isnull=True,
                    calendar_version__isnull=True,
                )
                | Q(
                    path__isnull=True,
                    path_version__isnull=True,
                    calendar__isnull=False,
                    calendar_version__isnull=False,
                ),
                name="job_is_about_one_thing",
            ),
            models.UniqueConstraint(
                fields=["path"], condition=Q(state__in=("queued", "running")), name="one_job_at_work_per_path"
            ),
            models.UniqueConstraint(
                fields=["calendar"],
                condition=Q(state__in=("queued", "running")),
                name="one_job_at_work_per_calendar",
            ),
            models.CheckConstraint(
                condition=Q(state="done", finished_at__isnull=False) | ~Q(state="done"),
                name="job_done_says_when",
            ),
        )
        indexes = (
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(state__in=("previewing", "queued", "running")),
                name="job_at_work",
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject}, version {self.number}"

    @property
    def subject(self) -> str:
        """The name of the path or calendar."""
        return str(self.path if self.path_id is not None else self.calendar)

    @property
    def number(self) -> int:
        """The number of the version it moves tickets to."""
        target = self.path_version if self.path_version is not None else self.calendar_version
        return target.number if target is not None else 0

    @property
    def done(self) -> int:
        """How many tickets are done with, one way or another."""
        return self.moved + self.skipped + self.failed

    @property
    def is_waiting_for_worker(self) -> bool:
        return self.state in (self.State.PREVIEWING, self.State.QUEUED, self.State.RUNNING)
