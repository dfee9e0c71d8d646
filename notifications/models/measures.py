"""What the engines have counted, for /metrics: a few hundred rows, written once a tick."""

from django.db import models


class Measure(models.Model):
    """One counter, or one bucket of a histogram; only ever rises."""

    name = models.CharField(max_length=60)
    # JSON with sorted keys: the same labels are the same text.
    labels = models.CharField(max_length=200)
    value = models.FloatField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["name", "labels"], name="one_measure_per_labels"),)

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"
