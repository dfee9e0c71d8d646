"""Escalation paths: what admins edit. A version and all its rows are immutable; a trigger sees to it."""

import datetime as dt

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from accounts.models import Team, Tier
from calendars.models import Calendar
from notifications.models import Contact, ContactList
from tickets.models import Severity

ZERO = dt.timedelta(0)


class EscalationPath(models.Model):
    """A path by name; the first one whose conditions match, by position, is taken (DESIGN 3)."""

    name = models.CharField(max_length=100, unique=True)
    description = models.CharField(max_length=300, blank=True)
    position = models.PositiveIntegerField(
        default=100, help_text="Paths are tried from the lowest position on."
    )
    is_default = models.BooleanField(
        default=False,
        help_text="Taken when no other path matches; there is exactly one, and it can't be deleted.",
    )
    is_active = models.BooleanField("active", default=True)
    current = models.ForeignKey(
        "PathVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_path"
            ),
            models.CheckConstraint(
                condition=~Q(is_default=True, is_active=False), name="default_path_stays_active"
            ),
        )

    def __str__(self) -> str:
        return self.name


class PathVersion(models.Model):
    """What a path says at one time; a ticket pins the version when it enters the path."""

    class OnDue(models.TextChoices):
        TELL_LEAD = "tell_lead", "Tell the lead"
        CLIMB = "climb", "Climb to the next step"

    path = models.ForeignKey(EscalationPath, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="+")
    sev1_round_the_clock = models.BooleanField("SEV1 counts round the clock", default=True)
    # See escalation.rules.conditions: {"severities": [1, 2], "services": [ids], "vip": true, ...}; empty matches all.
    conditions = models.JSONField(default=dict, blank=True)
    fallback = models.ForeignKey(
        Contact,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Told when a step's contact list has nobody who can be reached.",
    )
    hold_pauses = models.BooleanField("on hold pauses the clocks", default=False)
    follow_up_days = models.PositiveSmallIntegerField("follow up after business days", default=3)
    warn_percent = models.PositiveSmallIntegerField(
        "warn at", default=75, validators=[MinValueValidator(1), MaxValueValidator(99)]
    )
    on_first_response_due = models.CharField(max_length=9, choices=OnDue, default=OnDue.TELL_LEAD)
    on_next_response_due = models.CharField(max_length=9, choices=OnDue, default=OnDue.TELL_LEAD)
    on_resolution_due = models.CharField(max_length=9, choices=OnDue, default=OnDue.CLIMB)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["path", "number"], name="one_path_version_per_number"),
            models.CheckConstraint(
                condition=Q(warn_percent__gte=1, warn_percent__lte=99), name="path_warns_before_due"
            ),
            models.CheckConstraint(condition=Q(follow_up_days__gte=1), name="path_follows_up"),
        )

    def __str__(self) -> str:
        return f"{self.path} v{self.number}"


class Step(models.Model):
    """One rung of a path (DESIGN 1)."""

    class Mode(models.TextChoices):
        TRANSFERS = "transfers", "Transfers (team and owner change)"
        INVOLVES = "involves", "Involves (the people at work stay)"

    class Telling(models.TextChoices):
        ALL = "all", "Everyone at once"
        IN_TURN = "in_turn", "One after another"

    version = models.ForeignKey(PathVersion, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=100)
    tier = models.PositiveSmallIntegerField(choices=Tier)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, related_name="+")
    mode = models.CharField(max_length=9, choices=Mode, default=Mode.TRANSFERS)
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, null=True, related_name="+")
    telling = models.CharField(max_length=7, choices=Telling, default=Telling.ALL)
    wait = models.DurationField(help_text="Before the next contact, or the next round.")
    rounds = models.PositiveSmallIntegerField(default=3)
    # Conditions under which a ticket skips this step when its path is chosen (DESIGN 3); null never skips.
    skip_when = models.JSONField(null=True)
    contact_lists = models.ManyToManyField(ContactList, through="StepContactList", related_name="steps")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["version", "position"], name="one_step_per_position"),
            models.CheckConstraint(condition=Q(tier__in=Tier.values), name="step_tier_known"),
            models.CheckConstraint(condition=Q(position__gte=1), name="step_position_from_one"),
            models.CheckConstraint(condition=Q(rounds__gte=1), name="step_tells_at_least_once"),
        )

    def __str__(self) -> str:
        return self.name


class StepContactList(models.Model):
    """One of the contact lists a step tells, in order."""

    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="step_lists")
    contact_list = models.ForeignKey(ContactList, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["step", "contact_list"], name="one_list_per_step"),)

    def __str__(self) -> str:
        return f"{self.contact_list} at {self.step}"


class StepTarget(models.Model):
    """One cell of the escalation matrix: how long a step has to acknowledge and to work, per severity."""

    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="targets")
    severity = models.PositiveSmallIntegerField(choices=Severity)
    acknowledge_within = models.DurationField(null=True)
    work_within = models.DurationField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["step", "severity"], name="one_target_per_severity"),
            models.CheckConstraint(
                condition=(Q(acknowledge_within__isnull=True) | Q(acknowledge_within__gt=ZERO))
                & (Q(work_within__isnull=True) | Q(work_within__gt=ZERO)),
                name="step_target_positive",
            ),
        )

    def __str__(self) -> str:
        return f"{self.step}, {self.get_severity_display()}"


class ServiceTarget(models.Model):
    """What the requester was promised, per severity."""

    version = models.ForeignKey(PathVersion, on_delete=models.PROTECT, related_name="targets")
    severity = models.PositiveSmallIntegerField(choices=Severity)
    first_response = models.DurationField(null=True)
    next_response = models.DurationField(null=True)
    resolution = models.DurationField(null=True)
    update_every = models.DurationField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["version", "severity"], name="one_promise_per_severity"),
        )

    def __str__(self) -> str:
        return f"{self.version}, {self.get_severity_display()}"
