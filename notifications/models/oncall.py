"""On-call schedules: layered rotations, overrides and time off that resolve to people at any moment (DESIGN 1)."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Team, Tier, check_time_zone
from calendars.models import Calendar


class Weekday(models.IntegerChoices):
    """As datetime counts them."""

    MONDAY = 0, "Monday"
    TUESDAY = 1, "Tuesday"
    WEDNESDAY = 2, "Wednesday"
    THURSDAY = 3, "Thursday"
    FRIDAY = 4, "Friday"
    SATURDAY = 5, "Saturday"
    SUNDAY = 6, "Sunday"


def every_day() -> list[int]:
    """Return the days of the week, Monday first."""
    return list(Weekday.values)


class OnCallSchedule(models.Model):
    """Who is on call for a team or a duty; resolved fresh at each telling."""

    name = models.CharField(max_length=100, unique=True)
    description = models.CharField(max_length=300, blank=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="schedules")
    tier = models.PositiveSmallIntegerField(
        choices=Tier, null=True, blank=True, help_text="Where the board shows it; empty: the team's tier."
    )
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[check_time_zone],
        help_text="Handoffs fall on this wall clock, summer and winter.",
    )
    covers = models.ForeignKey(
        Calendar,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="hours to cover",
        help_text="When somebody has to be on call: outside of them nobody is no gap. Empty: at every moment.",
    )
    is_active = models.BooleanField("active", default=True)

    class Meta:
        verbose_name = "on-call schedule"
        constraints = (
            models.CheckConstraint(
                condition=Q(tier__isnull=True) | Q(tier__in=Tier.values), name="schedule_tier_known"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Rotation(models.Model):
    """People who take turns; the highest level that has somebody answers, rotations of one level together."""

    class Unit(models.TextChoices):
        HOURLY = "hourly", "Hours"
        DAILY = "daily", "Days"
        WEEKLY = "weekly", "Weeks"
        MONTHLY = "monthly", "Months"

    schedule = models.ForeignKey(OnCallSchedule, on_delete=models.CASCADE, related_name="rotations")
    name = models.CharField(max_length=100)
    level = models.PositiveSmallIntegerField(
        default=1, help_text="A higher level goes before a lower one wherever it has somebody."
    )
    unit = models.CharField("hands over by", max_length=7, choices=Unit, default=Unit.WEEKLY)
    length = models.PositiveSmallIntegerField("every", default=1)
    # Wall time in the schedule's zone, without a zone of its own: it stays at nine when the clocks change.
    starts_on = models.DateField()
    handoff_time = models.TimeField("hands over at")
    ends_on = models.DateField(null=True, blank=True, help_text="The first day without it; empty: for good.")
    aligned = models.BooleanField(
        "hands over with the calendar",
        default=False,
        help_text="On Mondays or on the first of the month, instead of counting from the start.",
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["schedule", "name"], name="one_rotation_per_name"),
            models.CheckConstraint(condition=Q(length__gte=1, length__lte=1000), name="rotation_has_length"),
            models.CheckConstraint(
                condition=Q(unit__in=("hourly", "daily", "weekly", "monthly")), name="rotation_unit_known"
            ),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")),
                name="rotation_ends_after_start",
                violation_error_message="A rotation ends after it has started.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} of {self.schedule}"


class RotationWindow(models.Model):
    """When a rotation is on call at all: days and wall times; over midnight if it ends before it starts."""

    rotation = models.ForeignKey(Rotation, on_delete=models.CASCADE, related_name="windows")
    days = ArrayField(models.PositiveSmallIntegerField(choices=Weekday), default=every_day)
    start = models.TimeField()
    # The same as the start: a whole day from then.
    end = models.TimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(days__len__gte=1) & Q(days__contained_by=list(Weekday.values)),
                name="window_days_known",
            ),
        )

    def __str__(self) -> str:
        return f"{self.start:%H:%M}–{self.end:%H:%M}"


class RotationMember(models.Model):
    """Somebody's turn; who shares a position is on call together."""

    rotation = models.ForeignKey(Rotation, on_delete=models.CASCADE, related_name="members")
    contact = models.ForeignKey("notifications.Contact", on_delete=models.PROTECT, related_name="turns")
    position = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["rotation", "position", "contact"], name="one_turn_per_position"),
        )

    def __str__(self) -> str:
        return f"{self.contact} in {self.rotation}"


class OnCallOverride(models.Model):
    """For once otherwise: somebody besides, instead of somebody, not at all, or instead of everybody."""

    class Kind(models.TextChoices):
        ADD = "add", "Also on call"
        REPLACE = "replace", "Takes over from"
        REMOVE = "remove", "Not on call"
        INSTEAD = "instead", "Alone on call"

    schedule = models.ForeignKey(OnCallSchedule, on_delete=models.CASCADE, related_name="overrides")
    kind = models.CharField(max_length=7, choices=Kind)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # Who comes; nobody where somebody is only taken off.
    contact = models.ForeignKey(
        "notifications.Contact", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Who is taken off.
    replaces = models.ForeignKey(
        "notifications.Contact", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        verbose_name = "on-call override"
        indexes = (models.Index(fields=["schedule", "ends_at"], name="override_by_end"),)
        constraints = (
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="override_ends_after_start"),
            models.CheckConstraint(
                condition=Q(kind__in=("add", "instead"), contact__isnull=False, replaces__isnull=True)
                | Q(kind="replace", contact__isnull=False, replaces__isnull=False) & ~Q(contact=F("replaces"))
                | Q(kind="remove", contact__isnull=True, replaces__isnull=False),
                name="override_names_its_people",
            ),
        )

    def __str__(self) -> str:
        who = self.contact or self.replaces
        return f"{self.get_kind_display()}: {who}"


class TimeOff(models.Model):
    """Somebody is away: on every schedule their substitute is on call instead, or nobody in their place."""

    contact = models.ForeignKey("notifications.Contact", on_delete=models.CASCADE, related_name="times_off")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    substitute = models.ForeignKey(
        "notifications.Contact", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "times off"
        indexes = (models.Index(fields=["contact", "ends_at"], name="time_off_by_end"),)
        constraints = (
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="time_off_ends_after_start"),
            models.CheckConstraint(
                condition=Q(substitute__isnull=True) | ~Q(substitute=F("contact")),
                name="time_off_substitute_is_another",
                violation_error_message="Nobody stands in for themselves.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.contact} is away"


class CalendarFeed(models.Model):
    """A private iCal address: one person's shifts, or one schedule as that person may see it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feeds")
    schedule = models.ForeignKey(
        OnCallSchedule, on_delete=models.CASCADE, null=True, blank=True, related_name="feeds"
    )
    # Signed into the address; a new one makes the old address worthless.
    nonce = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["user", "schedule"], name="one_feed_per_schedule", nulls_distinct=False
            ),
        )

    def __str__(self) -> str:
        return f"feed of {self.user}"
