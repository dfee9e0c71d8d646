"""How messages read, who follows what, and what somebody has seen of the bell."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Organisation
from notifications.models.providers import Channel
from tickets.models import Service, Ticket

# Channels that carry the short form; the bell shows what it is about, and whom it calls, itself.
IN_SHORT = [(one.value, one.label) for one in Channel if one not in (Channel.EMAIL, Channel.APP)]


class MessageTemplate(models.Model):
    """What an admin has made of one kind of message; without one the built-in words are used."""

    class Form(models.TextChoices):
        MAIL = "mail", "Mail"
        SHORT = "short", "Short (SMS, chat, push)"

    kind = models.CharField(max_length=40)
    form = models.CharField(max_length=5, choices=Form, default=Form.MAIL)
    # Of those whose language it is; empty is everybody else.
    language = models.CharField(max_length=12, blank=True)
    # Of a short form: the one channel it is for; empty is every channel without one of its own.
    channel = models.CharField(max_length=20, blank=True, choices=IN_SHORT)
    subject = models.CharField(max_length=300, blank=True)
    body = models.TextField(max_length=20_000)
    is_active = models.BooleanField("active", default=True)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["kind", "form", "language", "channel"], name="one_template_per_kind"
            ),
            models.CheckConstraint(condition=Q(form__in=("mail", "short")), name="template_form_known"),
            models.CheckConstraint(
                condition=Q(channel="") | Q(form="short", channel__in=[value for value, _ in IN_SHORT]),
                name="template_channel_known",
            ),
        )

    def __str__(self) -> str:
        # Kinds have names once those who write such messages are loaded.
        from notifications.rendering import name_of

        return f"{name_of(self.kind)} ({self.get_channel_display() or self.get_form_display()})"


class Watch(models.Model):
    """Somebody follows a ticket, a service, or an organisation's SEV1s."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watches")
    ticket = models.ForeignKey(
        Ticket, on_delete=models.CASCADE, null=True, blank=True, related_name="watches"
    )
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, null=True, blank=True, related_name="watches"
    )
    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, null=True, blank=True, related_name="watches"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "watches"
        constraints = (
            models.UniqueConstraint(
                fields=["user", "ticket", "service", "organisation"],
                name="one_watch_per_subject",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(ticket__isnull=False, service__isnull=True, organisation__isnull=True)
                | Q(ticket__isnull=True, service__isnull=False, organisation__isnull=True)
                | Q(ticket__isnull=True, service__isnull=True, organisation__isnull=False),
                name="watch_has_one_subject",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} watches {self.ticket or self.service or self.organisation}"


class TimelineReader(models.Model):
    """How far a reader of the timeline has come (DESIGN 2); its cursor moves in the transaction of what it caused."""

    name = models.CharField(max_length=20, primary_key=True)
    # A pg_snapshot; see tickets.cursor.
    cursor = models.TextField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}, {self.at:%H:%M:%S}"


class Bell(models.Model):
    """Up to which notification somebody has seen their bell."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    seen_through = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.user}: {self.seen_through}"
