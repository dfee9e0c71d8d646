"""What tickets are sorted by: categories, services, and the matrix that proposes a severity."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Team


class Severity(models.IntegerChoices):
    """How bad it is; 1 is the worst (DESIGN 1)."""

    SEV1 = 1, "SEV1"
    SEV2 = 2, "SEV2"
    SEV3 = 3, "SEV3"
    SEV4 = 4, "SEV4"


class Impact(models.IntegerChoices):
    """How many are affected."""

    HIGH = 1, "High"
    MEDIUM = 2, "Medium"
    LOW = 3, "Low"


class Urgency(models.IntegerChoices):
    """How soon it hurts."""

    HIGH = 1, "High"
    MEDIUM = 2, "Medium"
    LOW = 3, "Low"


class Category(models.Model):
    """A kind of request, such as Network or Accounts."""

    name = models.CharField(max_length=100, unique=True)
    is_active = models.BooleanField("active", default=True)

    class Meta:
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Service(models.Model):
    """Something the organisation runs and tickets are about; the small catalogue (DESIGN 1)."""

    class Criticality(models.IntegerChoices):
        VITAL = 1, "Vital"
        IMPORTANT = 2, "Important"
        USEFUL = 3, "Useful"

    name = models.CharField(max_length=100, unique=True)
    description = models.CharField(max_length=300, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="owned_services",
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="services")
    criticality = models.PositiveSmallIntegerField(choices=Criticality, default=Criticality.USEFUL)
    is_active = models.BooleanField("active", default=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(criticality__in=(1, 2, 3)), name="service_criticality_known"),
        )

    def __str__(self) -> str:
        return self.name


class SeverityCell(models.Model):
    """One cell of the severity matrix: impact x urgency proposes a severity; editable by admins."""

    impact = models.PositiveSmallIntegerField(choices=Impact)
    urgency = models.PositiveSmallIntegerField(choices=Urgency)
    severity = models.PositiveSmallIntegerField(choices=Severity)

    class Meta:
        verbose_name = "severity matrix cell"
        verbose_name_plural = "severity matrix"
        constraints = (
            models.UniqueConstraint(fields=["impact", "urgency"], name="one_severity_per_cell"),
            models.CheckConstraint(
                condition=Q(impact__in=Impact.values)
                & Q(urgency__in=Urgency.values)
                & Q(severity__in=Severity.values),
                name="severity_cell_known",
            ),
        )

    def __str__(self) -> str:
        return (
            f"{self.get_impact_display()} impact, {self.get_urgency_display().lower()} urgency: "
            f"{self.get_severity_display()}"
        )
