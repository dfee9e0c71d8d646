"""The outbox: a row is written in the transaction that decides, and sent later (DESIGN 3, exactly once)."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from notifications.models.contacts import Contact, ContactMethod
from tickets.models import Ticket


class Notification(models.Model):
    """One message to one contact about one event; ends sent, dead or withdrawn."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENDING = "sending", "Sending"
        FOLDED = "folded", "In a digest"
        SENT = "sent", "Sent"
        DEAD = "dead", "Dead letter"
        WITHDRAWN = "withdrawn", "Withdrawn"

    kind = models.CharField(max_length=40)
    # Opaque here: whoever wrote the row withdraws by it (DESIGN 4).
    group = models.CharField(max_length=60, blank=True)
    ticket = models.ForeignKey(
        Ticket, on_delete=models.PROTECT, null=True, related_name="notifications", db_index=False
    )
    seq = models.PositiveIntegerField(null=True)
    round = models.PositiveIntegerField(null=True)
    contact = models.ForeignKey(
        Contact, on_delete=models.PROTECT, null=True, related_name="notifications", db_index=False
    )
    method = models.ForeignKey(
        ContactMethod, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="notifications",
        db_index=False,
    )
    channel = models.CharField(max_length=20, default="email")
    address = models.CharField(max_length=254)
    # What the message is rendered from when it is sent.
    context = models.JSONField(default=dict)
    message_id = models.CharField(max_length=120)
    # The digest that carries or carried this row; at most one in its life, after that it goes singly.
    folded_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="folded", db_index=False
    )

    state = models.CharField(max_length=9, choices=State, default=State.PENDING)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    # Set while it is being sent, too: the re-check before sending reads only this row.
    withdrawn_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)
    # When the escalation engine has drawn the consequence of a dead letter.
    handled_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["ticket", "seq", "round", "contact", "method"],
                condition=Q(round__isnull=False),
                name="one_telling_per_round",
                nulls_distinct=False,
            ),
            # Not `unique=True`, which brings a second index for searches by prefix.
            models.UniqueConstraint(fields=["message_id"], name="one_notification_per_message_id"),
            models.CheckConstraint(
                condition=Q(state__in=("pending", "sending", "folded", "sent", "dead", "withdrawn")),
                name="notification_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state="sending", lease_token__isnull=False, lease_until__isnull=False)
                | (~Q(state="sending") & Q(lease_token__isnull=True, lease_until__isnull=True)),
                name="notification_leased_while_sending",
            ),
            models.CheckConstraint(
                condition=~Q(state="folded") | Q(folded_into__isnull=False),
                name="notification_folded_into_a_digest",
            ),
        )
        indexes = (
            models.Index(fields=["due_at", "id"], condition=Q(state="pending"), name="outbox_due"),
            models.Index(fields=["lease_until", "id"], condition=Q(state="sending"), name="outbox_leased"),
            # Mail is nearly everything; what goes elsewhere is found however much mail waits.
            models.Index(
                fields=["channel", "due_at", "id"],
                condition=Q(state="pending") & ~Q(channel="email"),
                name="outbox_due_elsewhere",
            ),
            models.Index(
                fields=["group"],
                condition=Q(state__in=("pending", "sending", "folded")),
                name="outbox_by_group",
            ),
            models.Index(
                fields=["folded_into", "id"], condition=Q(folded_into__isnull=False), name="outbox_folded"
            ),
            # How much went to an address lately, and the digest that is open for it.
            models.Index(
                fields=["contact", "sent_at"], condition=Q(sent_at__isnull=False), name="outbox_sent"
            ),
            models.Index(
                fields=["dead_at", "id"],
                condition=Q(state="dead", handled_at__isnull=True),
                name="outbox_dead",
            ),
            models.Index(fields=["-id"], condition=Q(state="dead"), name="outbox_dead_latest"),
            # For people who look for what was called off, or went elsewhere than by mail: most rows are mails that
            # were sent, and stand in neither. What waits is found by outbox_due: every row waits once, and would cost
            # each an entry more.
            models.Index(fields=["-id"], condition=Q(state="withdrawn"), name="outbox_withdrawn_latest"),
            models.Index(fields=["channel", "-id"], condition=~Q(channel="email"), name="outbox_not_by_mail"),
            models.Index(fields=["ticket", "id"], name="outbox_by_ticket"),
            models.Index(fields=["contact", "-id"], name="outbox_by_contact"),
            models.Index(fields=["user", "-id"], name="outbox_by_user"),
        )

    def __str__(self) -> str:
        return f"{self.kind} to {self.address} ({self.get_state_display().lower()})"


class Delivery(models.Model):
    """One attempt to send a notification on its channel."""

    notification = models.ForeignKey(Notification, on_delete=models.PROTECT, related_name="deliveries")
    attempt = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    ok = models.BooleanField()
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"attempt {self.attempt}: {'sent' if self.ok else self.answer}"


class TickRecord(models.Model):
    """When an engine last completed a tick; the pacemaker and the watchdog read it (DESIGN 4)."""

    name = models.CharField(max_length=20, primary_key=True)
    completed_at = models.DateTimeField()
    started_at = models.DateTimeField()
    runs = models.PositiveBigIntegerField(default=0)
    # Who completed the last one, and how many of all were the pacemaker's: each of those is an intervention.
    ticked_by = models.CharField(max_length=20, default="worker")
    pacemaker_runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.completed_at:%H:%M:%S}"
