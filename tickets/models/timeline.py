"""The append-only events of a ticket: audit trail, live stream and source of every report (DESIGN 3)."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Func

from tickets.models.ticket import Ticket


class TransactionId(models.Field[str, str]):
    """PostgreSQL's 64-bit transaction id; readers use it as a cursor that loses nothing (DESIGN 2)."""

    def db_type(self, connection: Any) -> str:
        return "xid8"


class Event(models.Model):
    """One thing that happened; a trigger refuses UPDATE and DELETE, `hash` chains it to the one before."""

    # No indexes of their own: (ticket, seq) serves, and nobody looks events up by actor or cause.
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=40)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    at = models.DateTimeField()
    # When it really happened, for imported events; `at` is then when it was recorded.
    happened_at = models.DateTimeField(null=True)
    historic = models.BooleanField(default=False)
    cause = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    # Facts without personal text: ids, from, to, durations in seconds.
    data = models.JSONField(default=dict)
    # Salted digest of the erasable text that belongs to it (Payload or Entry).
    digest = models.BinaryField(null=True)
    hash = models.BinaryField()
    x = TransactionId(db_default=Func(function="pg_current_xact_id"), editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["ticket", "seq"], name="one_event_per_seq"),)
        indexes = (models.Index(fields=["x"], name="event_by_transaction"),)

    def __str__(self) -> str:
        return f"{self.kind} on #{self.ticket_id}"

    @property
    def when(self) -> Any:
        """The instant to show and to measure by."""
        return self.happened_at or self.at


class Payload(models.Model):
    """The personal text of an event (a reason, a handoff); erasable, while the event stays."""

    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="payload")
    text = models.JSONField(default=dict)
    salt = models.BinaryField()
    erased_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"text of event {self.event_id}"


class Seal(models.Model):
    """One seal over the heads of all chains that changed since the last one; seals are chained too."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    # The pg_snapshot up to which events are sealed.
    upto = models.TextField()
    heads = models.PositiveIntegerField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"seal {self.number}"


class SealedHead(models.Model):
    """The last event of one ticket's chain when it was sealed."""

    seal = models.ForeignKey(Seal, on_delete=models.PROTECT, related_name="sealed")
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="+")
    seq = models.PositiveIntegerField()
    hash = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["seal", "ticket"], name="one_head_per_seal"),)

    def __str__(self) -> str:
        return f"#{self.ticket_id} at {self.seq}"
