"""What the people of a step ask the sender of a handoff."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models import Entry, Ticket


class HandoffQuestion(models.Model):
    """A question sent back to whoever escalated; once per handoff, with a clock of its own (DESIGN 3, by hand)."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        UNANSWERED = "unanswered", "Nobody answered in time"
        OVERTAKEN = "overtaken", "The ticket moved on"

    ticket = models.ForeignKey(
        Ticket, on_delete=models.PROTECT, related_name="handoff_questions", db_index=False
    )
    # The handoff is the climb with this seq.
    seq = models.PositiveIntegerField()
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asked_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # Who is asked next, and may answer in the sender's place.
    lead = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    question = models.TextField()
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    answer = models.ForeignKey(Entry, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["ticket", "seq"], name="one_question_per_handoff"),
            models.CheckConstraint(
                condition=(Q(state="answered") & Q(answered_by__isnull=False, answer__isnull=False))
                | (~Q(state="answered") & Q(answered_by__isnull=True, answer__isnull=True)),
                name="question_answered_by_somebody",
            ),
            models.CheckConstraint(condition=~Q(question=""), name="question_has_words"),
        )

    def __str__(self) -> str:
        return f"question about #{self.ticket_id}: {self.get_state_display().lower()}"
