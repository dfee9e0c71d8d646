"""Where a ticket stands on its path, and every change of step it went through."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from escalation.models.paths import PathVersion, Step
from notifications.models import Contact
from tickets.models import Entry, Ticket


class Standing(models.Model):
    """Where a ticket stands: the pinned version, the step, and the seq that every verb carries."""

    ticket = models.OneToOneField(Ticket, on_delete=models.PROTECT, primary_key=True, related_name="standing")
    version = models.ForeignKey(PathVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="+", db_index=False)
    seq = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()
    # Automatic changes of step so far, and how many falls, reopenings and changes of path allow more (DESIGN 3).
    automatic_steps = models.PositiveIntegerField(default=0)
    allowances = models.PositiveIntegerField(default=0)
    # The last round of telling at this seq; rounds only ever rise, so that each telling is unique.
    round = models.PositiveIntegerField(default=0)
    # Contacts who said at this seq that they can't: they are not told again until the step is told anew.
    declined = ArrayField(models.BigIntegerField(), default=list)
    falls = models.PositiveIntegerField(default=0)
    # Processing that failed in a row, for the backoff of a ticket set aside.
    failures = models.PositiveIntegerField(default=0)
    # Since when a major incident goes on for the ticket: what it takes over stands still, nobody is told.
    suspended_at = models.DateTimeField(null=True)
    # How often a higher step was asked for help at this seq.
    consulted = models.PositiveSmallIntegerField(default=0)
    set_aside_because = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"#{self.ticket_id} at {self.step}"


class Escalation(models.Model):
    """One change of step of one ticket, up or down; (ticket, seq) is unique (DESIGN 3, exactly once)."""

    class Kind(models.TextChoices):
        ENTERED = "entered", "Entered the path"
        CLIMB = "climb", "Climbed"
        FALL = "fall", "De-escalated"
        RETURN = "return", "Reopened"
        REMAP = "remap", "Path changed"

    class Trigger(models.TextChoices):
        OPENED = "opened", "Ticket opened"
        PATH = "path", "Conditions of the path"
        FIRST_RESPONSE = "first_response", "First response overdue"
        NEXT_RESPONSE = "next_response", "Next response overdue"
        RESOLUTION = "resolution", "Resolution overdue"
        STAKEHOLDER_UPDATE = "stakeholder_update", "Stakeholder update overdue"
        TIER_TIME = "tier_time", "Time at the tier ran out"
        ACKNOWLEDGE = "acknowledge", "Nobody acknowledged"
        REQUEST = "request", "Requester's wish unanswered"
        AGENT = "agent", "An agent"
        LEAD = "lead", "A lead"
        REQUESTER = "requester", "The requester"
        RULE = "rule", "A rule"
        MONITORING = "monitoring", "Monitoring"
        REOPENED = "reopened", "Ticket reopened"
        CHANGED = "changed", "Severity, category, service or organisation changed"
        MERGED = "merged", "A ticket of a higher tier was merged into it"
        HISTORY = "history", "Imported history"

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="escalations", db_index=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=7, choices=Kind)
    trigger = models.CharField(max_length=20, choices=Trigger)
    # The other clocks that were due at the same claim, spent with this step: [{"kind", "due_at"}, ...].
    co_triggers = models.JSONField(default=list)
    # Null for imported history, which climbed no path of ours.
    path_version = models.ForeignKey(
        PathVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    from_step = models.ForeignKey(Step, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    to_step = models.ForeignKey(Step, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    from_tier = models.PositiveSmallIntegerField(null=True)
    to_tier = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    # The deadline that caused it, and how long after it the engine decided.
    due_at = models.DateTimeField(null=True)
    late_by = models.DurationField(null=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    handoff = models.ForeignKey(Entry, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    acknowledged_contact = models.ForeignKey(
        Contact, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    acknowledged_via = models.CharField(max_length=12, blank=True)
    historic = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["ticket", "seq"], name="one_escalation_per_seq"),
            models.CheckConstraint(
                condition=Q(acknowledged_at__isnull=True) | ~Q(acknowledged_via=""),
                name="acknowledgement_says_how",
            ),
        )
        indexes = (models.Index(fields=["-at", "-id"], name="escalation_by_time"),)

    def __str__(self) -> str:
        return f"#{self.ticket_id} seq {self.seq}: {self.get_kind_display().lower()}"


class EscalationRequest(models.Model):
    """The requester's wish that the ticket climbs; once per step, granted or declined by a lead (DESIGN 3)."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        GRANTED = "granted", "Granted"
        DECLINED = "declined", "Declined"
        EXPIRED = "expired", "Unanswered in time"
        OVERTAKEN = "overtaken", "The ticket moved by itself"

    ticket = models.ForeignKey(
        Ticket, on_delete=models.PROTECT, related_name="escalation_requests", db_index=False
    )
    seq = models.PositiveIntegerField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    requested_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    answer = models.TextField(blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["ticket", "seq"], name="one_request_per_step"),)

    def __str__(self) -> str:
        return f"wish for #{self.ticket_id}: {self.get_state_display().lower()}"
