"""Opening hours that people name, and their immutable versions."""

from django.db import models
from django.db.models import Q

LONGEST_NAME = 100


class Calendar(models.Model):
    """A named calendar; its hours are those of the current version.

    A clock stores the version it started with, so that editing a calendar never moves a running clock (DESIGN
    3).
    """

    name = models.CharField(max_length=LONGEST_NAME, unique=True)
    description = models.TextField(blank=True, default="")
    is_default = models.BooleanField(
        "default",
        default=False,
        help_text="What new escalation paths start with. One calendar is the default.",
    )
    is_built_in = models.BooleanField(
        "built in", default=False, editable=False, help_text="Round the clock: comes with Belay and stays."
    )
    # Which holidays were filled in last: {"country", "subdivision", "categories", "language"}; offered again.
    holiday_source = models.JSONField(null=True, editable=False)
    holidays_until = models.PositiveSmallIntegerField(
        "holidays filled until", null=True, editable=False, help_text="The last year that was filled in."
    )
    current = models.ForeignKey(
        "CalendarVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name="current version",
    )

    class Meta:
        constraints = (
            models.CheckConstraint(condition=~Q(name=""), name="calendar_name_given"),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_calendar"
            ),
            models.UniqueConstraint(
                fields=["is_built_in"], condition=Q(is_built_in=True), name="one_built_in_calendar"
            ),
        )

    def __str__(self) -> str:
        return self.name


class CalendarVersion(models.Model):
    """The hours of a calendar from one edit to the next; a trigger refuses any change to the row.

    `hours` is the JSON form of `calendars.rules.Hours`. The author is text: accounts is above calendars.
    """

    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    hours = models.JSONField()
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["calendar", "number"], name="one_version_per_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="calendar_version_counts_from_one"),
        )

    def __str__(self) -> str:
        return f"{self.calendar}, version {self.number}"
