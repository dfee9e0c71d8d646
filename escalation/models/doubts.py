"""What is doubtful about the paths in force, kept so that a page reads it instead of working it out."""

from django.db import models

from escalation.models.paths import EscalationPath
from escalation.rules.lint import ERROR, WARNING
from tickets.models import Severity


class PathDoubt(models.Model):
    """One doubt about one active path, as `escalation.rules.lint.Doubt`; only `record_doubts` writes them."""

    class Level(models.TextChoices):
        WARNING = WARNING, "Worth a look"
        ERROR = ERROR, "Somebody may be left without help"

    path = models.ForeignKey(EscalationPath, on_delete=models.PROTECT, related_name="doubts", db_index=False)
    # In the order of the page, from 1.
    number = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40)
    level = models.CharField(max_length=7, choices=Level)
    message = models.TextField()
    mend = models.TextField()
    field = models.CharField(max_length=100)
    step = models.PositiveSmallIntegerField(null=True)
    severity = models.PositiveSmallIntegerField(choices=Severity, null=True)
    since = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["path", "number"], name="one_doubt_per_number"),)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"
