"""Contacts and the ordered lists in which they are told (DESIGN 1)."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import Team, check_time_zone
from calendars.models import Calendar
from notifications.models.oncall import OnCallSchedule, Weekday
from notifications.models.providers import Channel, Provider
from tickets.models import Severity


class Contact(models.Model):
    """A person, a role that resolves to a person when the telling happens, or a room."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        LEAD = "lead", "Whoever leads the team"
        ON_CALL = "on_call", "Whoever is on call"
        ROOM = "room", "Room (shared mailbox, channel)"

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.PERSON)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="contact",
        help_text="The person's account, if they have one: then acknowledging assigns the ticket to them.",
    )
    team = models.ForeignKey(
        Team,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="role_contacts",
        help_text="For a role: whose lead is told.",
    )
    schedule = models.ForeignKey(
        OnCallSchedule,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="role_contacts",
        help_text="For “whoever is on call”: on which schedule.",
    )
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    language = models.CharField(
        max_length=12, default="en", help_text="Of the messages to them, where a template is written in it."
    )
    # Wall times in the contact's zone; from later than until is over midnight.
    quiet_from = models.TimeField(
        null=True,
        blank=True,
        help_text="Quiet hours: somebody else is told then. They never silence people on call, nor what counts round "
        "the clock.",
    )
    quiet_until = models.TimeField(null=True, blank=True)
    quiet_days = ArrayField(
        models.PositiveSmallIntegerField(choices=Weekday),
        default=list,
        blank=True,
        help_text="Days that are quiet from midnight to midnight.",
    )
    is_active = models.BooleanField("active", default=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(kind="lead", team__isnull=False, user__isnull=True)
                | (~Q(kind="lead") & Q(team__isnull=True)),
                name="contact_role_has_team",
            ),
            models.CheckConstraint(
                condition=Q(kind="on_call", schedule__isnull=False, user__isnull=True)
                | (~Q(kind="on_call") & Q(schedule__isnull=True)),
                name="contact_on_call_has_schedule",
            ),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="contact_quiet_from_until",
                violation_error_message="Quiet hours need both a beginning and an end.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class ContactMethod(models.Model):
    """One way to reach a contact; the lowest position is tried first.

    `address` is shown and logged, `secret` never is: it holds what a room's own webhook address or Apprise URL gives
    away, encrypted by core.secrets. Where a provider of the channel sends, there is an address only.
    """

    Channel = Channel

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="methods")
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.EMAIL)
    address = models.CharField(max_length=254)
    # JSON, encrypted: {"url": …} and for webhooks {"url": …, "key": "whsec_…"}.
    secret = models.TextField(blank=True, editable=False)
    provider = models.ForeignKey(
        Provider,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="methods",
        help_text="Empty: the channel's first provider that is switched on.",
    )
    position = models.PositiveSmallIntegerField(default=1)
    is_active = models.BooleanField("active", default=True)
    proven_at = models.DateTimeField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["contact", "channel", "address"], name="one_method_per_address"),
        )

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.address}"


class ContactList(models.Model):
    """The ordered list that a step tells."""

    name = models.CharField(max_length=100, unique=True)
    description = models.CharField(max_length=300, blank=True)
    calendar = models.ForeignKey(
        Calendar,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="business hours",
        help_text="What its entries mean by business hours; empty: the step's calendar.",
    )
    contacts = models.ManyToManyField(Contact, through="ContactListEntry", related_name="lists")

    def __str__(self) -> str:
        return self.name


class ContactListEntry(models.Model):
    """One contact on a list, with instructions on when to reach out."""

    class Hours(models.TextChoices):
        ALWAYS = "always", "At any hour"
        INSIDE = "inside", "In business hours"
        OUTSIDE = "outside", "Outside business hours"

    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="entries")
    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="entries")
    position = models.PositiveSmallIntegerField(default=1)
    when_to_reach_out = models.CharField(
        max_length=300, blank=True, help_text="In words; shown to whoever escalates and in the message."
    )
    severities = ArrayField(
        models.PositiveSmallIntegerField(choices=Severity),
        default=list,
        blank=True,
        help_text="Only for these severities (1 to 4, separated by commas); empty means all.",
    )
    hours = models.CharField(
        "told", max_length=7, choices=Hours, default=Hours.ALWAYS, help_text="At any hour, or only then."
    )
    from_round = models.PositiveSmallIntegerField(
        default=1, help_text="Told from this round on; 1 means from the start."
    )

    class Meta:
        verbose_name_plural = "contact list entries"
        constraints = (
            models.UniqueConstraint(fields=["contact_list", "contact"], name="one_entry_per_contact"),
            models.CheckConstraint(condition=Q(from_round__gte=1), name="entry_round_positive"),
        )

    def __str__(self) -> str:
        return f"{self.contact} on {self.contact_list}"
