"""The ticket: the row that is the lock for all that belongs to it (DESIGN 2)."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Organisation, Team, Tier, User
from tickets.models.catalogue import Category, Impact, Service, Severity, Urgency
from tickets.querysets import OPEN, TicketQuerySet


class Status(models.TextChoices):
    NEW = "new", "New"
    OPEN = "open", "Open"
    WAITING = "waiting", "Waiting on customer"
    HOLD = "hold", "On hold"
    RESOLVED = "resolved", "Resolved"
    CLOSED = "closed", "Closed"


class Source(models.TextChoices):
    PORTAL = "portal", "Portal"
    AGENT = "agent", "Agent"
    EMAIL = "email", "Email"
    API = "api", "API"
    MONITORING = "monitoring", "Monitoring"
    IMPORT = "import", "Import"


class Complexity(models.IntegerChoices):
    SIMPLE = 1, "Simple"
    NORMAL = 2, "Normal"
    COMPLEX = 3, "Complex"


class Ticket(models.Model):
    """A request or an incident that somebody must hold until it is solved; its number is its id."""

    subject = models.CharField(max_length=300)
    # Requester and organisation have indexes below that serve by their first column.
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="requested_tickets", db_index=False
    )
    organisation = models.ForeignKey(
        Organisation, on_delete=models.PROTECT, null=True, blank=True, related_name="tickets", db_index=False
    )
    category = models.ForeignKey(
        Category, on_delete=models.PROTECT, null=True, blank=True, related_name="tickets"
    )
    service = models.ForeignKey(
        Service, on_delete=models.PROTECT, null=True, blank=True, related_name="tickets"
    )
    source = models.CharField(max_length=12, choices=Source, default=Source.AGENT)
    source_key = models.CharField(
        max_length=200, blank=True, help_text="The key of the imported or received record, unique per source."
    )
    impact = models.PositiveSmallIntegerField(choices=Impact, default=Impact.MEDIUM)
    urgency = models.PositiveSmallIntegerField(choices=Urgency, default=Urgency.MEDIUM)
    complexity = models.PositiveSmallIntegerField(choices=Complexity, default=Complexity.NORMAL)
    severity = models.PositiveSmallIntegerField(choices=Severity)
    severity_overridden = models.BooleanField(
        default=False, help_text="Set by a person with a reason; the matrix no longer changes it."
    )
    tier = models.PositiveSmallIntegerField(choices=Tier, default=Tier.L1)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="tickets")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="assigned_tickets",
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.NEW)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    # An imported ticket: it has a past, but no clocks and nobody is paged by it.
    historic = models.BooleanField(default=False)

    # The ticket that goes on in this one's place; see tickets.queries.surviving.
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="merged",
        db_index=False,
        editable=False,
    )

    # A major incident, and the one this ticket is linked to: it goes on for it (DESIGN 3, changes under way).
    is_major = models.BooleanField("major incident", default=False, editable=False)
    incident = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="linked",
        db_index=False,
        editable=False,
    )

    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    reopened_count = models.PositiveIntegerField(default=0)
    last_requester_at = models.DateTimeField(null=True, blank=True)
    last_answer_at = models.DateTimeField(null=True, blank=True)

    # Written only by tickets.timeline: the counters that chain the timeline (DESIGN 3, memory).
    event_seq = models.PositiveIntegerField(default=0, editable=False)
    event_hash = models.BinaryField(default=bytes, editable=False)
    last_event_at = models.DateTimeField(db_default=Now(), editable=False)

    # Written only by tickets.operations.set_ladder: lists and board sort without a join (DESIGN 2).
    next_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    tier_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    tier_since = models.DateTimeField(null=True, blank=True, editable=False)
    unacknowledged_since = models.DateTimeField(null=True, blank=True, editable=False)
    set_aside_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TicketQuerySet.as_manager()

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="ticket_severity_known"),
            models.CheckConstraint(condition=Q(tier__in=Tier.values), name="ticket_tier_known"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="ticket_status_known"),
            models.CheckConstraint(condition=Q(source__in=Source.values), name="ticket_source_known"),
            models.CheckConstraint(condition=Q(impact__in=Impact.values), name="ticket_impact_known"),
            models.CheckConstraint(condition=Q(urgency__in=Urgency.values), name="ticket_urgency_known"),
            models.CheckConstraint(
                condition=Q(complexity__in=Complexity.values), name="ticket_complexity_known"
            ),
            models.CheckConstraint(condition=~Q(subject=""), name="ticket_has_subject"),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("pk")),
                name="ticket_merged_into_another",
            ),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | Q(status="closed", historic=False),
                name="ticket_merged_is_closed",
            ),
            models.CheckConstraint(
                condition=Q(incident__isnull=True) | Q(is_major=False, historic=False),
                name="ticket_incident_is_linked_to_none",
            ),
            models.CheckConstraint(
                condition=Q(incident__isnull=True) | ~Q(incident=F("pk")),
                name="ticket_linked_to_another",
            ),
            models.UniqueConstraint(
                fields=["source", "source_key"],
                condition=~Q(source_key=""),
                name="one_ticket_per_source_key",
            ),
        )
        indexes = (
            # What stands behind the id narrows a walk along the index, without a look at each ticket.
            models.Index(
                fields=["tier", "tier_due_at", "id", "service", "severity"],
                condition=Q(status__in=OPEN, historic=False),
                name="ticket_open_by_tier",
            ),
            models.Index(
                fields=["next_due_at", "id"],
                condition=Q(status__in=OPEN, historic=False),
                name="ticket_open_by_due",
            ),
            models.Index(
                fields=["team", "next_due_at", "id"],
                condition=Q(status__in=OPEN, historic=False),
                name="ticket_open_by_team",
            ),
            # The board of one team: its tickets stand at few tiers, and the others' would be looked through in vain.
            models.Index(
                fields=["team", "tier", "tier_due_at", "id"],
                condition=Q(status__in=OPEN, historic=False),
                name="ticket_open_by_team_and_tier",
            ),
            models.Index(
                fields=["assignee", "next_due_at", "id"],
                condition=Q(status__in=OPEN, historic=False),
                name="ticket_open_by_assignee",
            ),
            # Few among many: found by walking along ticket_open_by_due they would cost a look at every open ticket.
            # Small, and written only for such tickets, so that the engine pays next to nothing for them.
            models.Index(
                fields=["severity", "next_due_at", "id"],
                condition=Q(status__in=OPEN, historic=False, severity__lte=Severity.SEV2),
                name="ticket_grave_by_due",
            ),
            models.Index(
                fields=["next_due_at", "id"],
                condition=Q(status__in=(Status.WAITING, Status.HOLD), historic=False),
                name="ticket_waiting_by_due",
            ),
            models.Index(
                fields=["id"],
                condition=Q(status__in=(Status.RESOLVED, Status.CLOSED)),
                name="ticket_done",
            ),
            models.Index(
                fields=["unacknowledged_since", "id", "team", "service", "severity"],
                condition=Q(unacknowledged_since__isnull=False),
                name="ticket_unacknowledged",
            ),
            models.Index(
                fields=["set_aside_at", "id"],
                condition=Q(set_aside_at__isnull=False),
                name="ticket_set_aside",
            ),
            models.Index(
                fields=["merged_into", "id"],
                condition=Q(merged_into__isnull=False),
                name="ticket_by_survivor",
            ),
            models.Index(
                fields=["incident", "id"],
                condition=Q(incident__isnull=False),
                name="ticket_by_incident",
            ),
            models.Index(fields=["requester", "-id"], name="ticket_by_requester"),
            models.Index(fields=["organisation", "-id"], name="ticket_by_organisation"),
            GinIndex(fields=["tags"], name="ticket_by_tag"),
        )

    def __str__(self) -> str:
        return f"#{self.pk} {self.subject}"

    @property
    def number(self) -> int:
        """The number people call the ticket by."""
        return self.pk

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def team_lead(self) -> User | None:
        """Whoever leads the team that holds the ticket, if they are there."""
        lead = self.team.lead if self.team is not None else None
        return lead if lead is not None and lead.is_active else None

    @property
    def is_waiting(self) -> bool:
        """Tell whether somebody outside is waited for (customer, vendor, change)."""
        return self.status in (Status.WAITING, Status.HOLD)
