"""The channels on which people are told, and the providers that carry them."""

from django.db import models
from django.db.models.functions import Now


class Channel(models.TextChoices):
    """How a message reaches a contact."""

    EMAIL = "email", "Email"
    SMS = "sms", "SMS"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    MATTERMOST = "mattermost", "Mattermost"
    TELEGRAM = "telegram", "Telegram"
    NTFY = "ntfy", "ntfy"
    APPRISE = "apprise", "Another service (Apprise)"
    WEBHOOK = "webhook", "Webhook"
    APP = "app", "In Belay (the bell)"


class Provider(models.Model):
    """An account with a service that carries one channel for many contacts: an SMS gateway, a bot.

    Its Apprise URL holds the credentials and “{to}”, where the contact's address goes; it is encrypted by
    core.secrets, never shown again and never logged.
    """

    name = models.CharField(max_length=100, unique=True)
    channel = models.CharField(max_length=20, choices=Channel)
    # What may be shown of the URL: the service and its host.
    shown = models.CharField(max_length=200, editable=False)
    secret = models.TextField(editable=False)
    is_active = models.BooleanField("active", default=True)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name
