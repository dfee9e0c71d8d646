"""People, teams and organisations."""

import zoneinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast, Lower, Now
from django.db.models.lookups import Exact

from accounts.rules import Reach, Verb, clean_email, initials_of, reach


class Tier(models.IntegerChoices):
    """Who holds a ticket; integers, so that they order (DESIGN 1)."""

    L1 = 1, "L1"
    L2 = 2, "L2"
    L3 = 3, "L3"
    MANAGEMENT = 4, "Management"


class Role(models.TextChoices):
    REQUESTER = "requester", "Requester"
    AGENT = "agent", "Agent"
    LEAD = "lead", "Team lead"
    MANAGER = "manager", "Manager"
    ADMIN = "admin", "Admin"


def check_time_zone(name: str) -> None:
    """Refuse a name that the time zone database does not know."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:  # "Europe" is a folder
        raise ValidationError(
            f"“{name}” is no time zone. Take a name like Europe/Berlin or America/New_York."
        ) from error


class Organisation(models.Model):
    """A customer or a part of the own house whose people open tickets."""

    name = models.CharField(max_length=200, unique=True)
    vip = models.BooleanField("VIP", default=False, help_text="Paths may treat its tickets differently.")
    domains = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="Mail domains, separated by commas: who writes from one of them belongs here.",
    )

    class Meta:
        constraints = (
            # Looked up by an array's @>, which knows capitals from small letters.
            models.CheckConstraint(
                condition=Exact(
                    Cast("domains", models.TextField()), Lower(Cast("domains", models.TextField()))
                ),
                name="organisation_domains_small",
                violation_error_message="Write domains in small letters.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Find people by their email address, whatever its capitals."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=clean_email(username or ""))


class User(AbstractBaseUser):
    """A person who signs in by email; people are anonymised, never deleted (DESIGN 3)."""

    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=12, choices=Role, default=Role.REQUESTER)
    organisation = models.ForeignKey(
        Organisation, on_delete=models.PROTECT, null=True, blank=True, related_name="people"
    )
    sees_organisation = models.BooleanField(
        "sees the organisation's tickets",
        default=False,
        help_text="A requester who follows all tickets of the organisation, not only their own.",
    )
    only_own_teams = models.BooleanField(
        "sees only own teams",
        default=False,
        help_text="Narrows an agent or lead to the tickets of their teams.",
    )
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    language = models.CharField(max_length=12, default="en")
    is_active = models.BooleanField(
        "active", default=True, help_text="Switch off instead of deleting: the timeline keeps its people."
    )
    at_work = models.BooleanField(
        default=True, help_text="Off while away: reopened tickets then go back to the team."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    anonymised_at = models.DateTimeField(null=True, blank=True, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    objects = UserManager()

    class Meta:
        constraints = (
            # With it, unique means unique whatever the capitals; sign-in looks for small letters only.
            models.CheckConstraint(
                condition=Q(email=Lower("email")),
                name="user_email_small",
                violation_error_message="Write the email address in small letters.",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="user_role_known"),
        )

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Tell whether Django's admin is open to this person."""
        return self.is_active and self.role == Role.ADMIN

    @property
    def is_superuser(self) -> bool:
        """Tell the same in the word that other packages ask for."""
        return self.is_staff

    @property
    def is_agent(self) -> bool:
        """Tell whether this person works tickets (agent, lead, manager or admin)."""
        return self.is_active and self.role != Role.REQUESTER

    @property
    def is_lead(self) -> bool:
        """Tell whether this person may decide for teams."""
        return self.may(Verb.LEAD)

    @property
    def initials(self) -> str:
        return initials_of(self.name)

    def may(self, verb: Verb) -> bool:
        """Tell whether the role allows `verb` at all; which tickets it reaches is the Scope's matter."""
        return self.is_active and reach(self.role, verb) > Reach.NOTHING

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return self.is_staff

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email


class Team(models.Model):
    """People who hold tickets of one tier together."""

    name = models.CharField(max_length=100, unique=True)
    tier = models.PositiveSmallIntegerField(choices=Tier)
    lead = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="led_teams")
    capacity = models.PositiveIntegerField(
        default=20, help_text="How many open tickets the team can carry well."
    )
    is_active = models.BooleanField("active", default=True)
    members = models.ManyToManyField(User, through="Membership", related_name="teams", blank=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(tier__in=Tier.values), name="team_tier_known"),)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")

    class Meta:
        constraints = (models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team"),)

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"
