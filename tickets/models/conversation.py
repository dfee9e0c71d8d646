"""What is said on a ticket; the text rows are erasable, the timeline holds salted digests of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.ticket import Ticket
from tickets.models.timeline import Event


class EntryKind(models.TextChoices):
    REPLY = "reply", "Reply"
    NOTE = "note", "Note"
    UPDATE = "update", "Stakeholder update"
    HANDOFF = "handoff", "Handoff"


class Entry(models.Model):
    """One contribution to the conversation; replies and stakeholder updates are public."""

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="entries", db_index=False)
    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="entry")
    kind = models.CharField(max_length=8, choices=EntryKind)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="entries"
    )
    from_requester = models.BooleanField(default=False)
    body = models.TextField()
    salt = models.BinaryField()
    # Handoff fields (impact, tried, suspected, next_action), for the pages that show them apart.
    fields = models.JSONField(default=dict)
    at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "entries"
        constraints = (
            models.CheckConstraint(condition=Q(kind__in=EntryKind.values), name="entry_kind_known"),
        )
        indexes = (models.Index(fields=["ticket", "id"], name="entry_by_ticket"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on #{self.ticket_id}"

    @property
    def is_public(self) -> bool:
        return self.kind in (EntryKind.REPLY, EntryKind.UPDATE)


def attachment_path(attachment: "Attachment", name: str) -> str:
    """Store a file under its content's digest: no name from outside ever becomes a path."""
    return f"attachments/{attachment.sha256[:2]}/{attachment.sha256}"


class Attachment(models.Model):
    """A file that came with an entry."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="attachments")
    file = models.FileField(upload_to=attachment_path, max_length=200)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100, default="application/octet-stream")
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.name
