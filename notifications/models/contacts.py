"""Contacts and the ordered lists in which they are told (DESIGN 1)."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import Team, check_time_zone
from tickets.models import Severity


class Contact(models.Model):
    """A person, a role that resolves to a person when the telling happens, or a room."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        LEAD = "lead", "Whoever leads the team"
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
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    is_active = models.BooleanField("active", default=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(kind="lead", team__isnull=False, user__isnull=True)
                | (~Q(kind="lead") & Q(team__isnull=True)),
                name="contact_role_has_team",
            ),
        )

    def __str__(self) -> str:
        return self.name


class ContactMethod(models.Model):
    """One way to reach a contact; the lowest position is tried first."""

    class Channel(models.TextChoices):
        EMAIL = "email", "Email"

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="methods")
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.EMAIL)
    address = models.CharField(max_length=254)
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
    contacts = models.ManyToManyField(Contact, through="ContactListEntry", related_name="lists")

    def __str__(self) -> str:
        return self.name


class ContactListEntry(models.Model):
    """One contact on a list, with instructions on when to reach out."""

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
