"""What happened on a major incident and has to be carried to the tickets that are linked to it."""

from django.db import models
from django.db.models import Q

from tickets.models import Event, Ticket


class IncidentNews(models.Model):
    """One such thing: a receiver leaves it, since it locks no further ticket; the engine carries it on in batches."""

    class What(models.TextChoices):
        UPDATED = "updated", "The stakeholders were updated"
        FINISHED = "finished", "The incident is over"
        REOPENED = "reopened", "The incident is back"

    incident = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="+", db_index=False)
    what = models.CharField(max_length=8, choices=What)
    at = models.DateTimeField()
    # What happened, on the incident's timeline: the mails about an update say its words.
    event = models.ForeignKey(
        Event, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, editable=False
    )
    # After a failure it rests until then; null: it is carried on with the next tick.
    rests_until = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "incident news"
        indexes = (models.Index(fields=["id"], condition=Q(done_at__isnull=True), name="incident_news_left"),)

    def __str__(self) -> str:
        return f"#{self.incident_id}: {self.get_what_display().lower()}"
