"""People, teams and organisations in the admin; people are switched off, never deleted (DESIGN 3)."""

import logging
import zoneinfo
from smtplib import SMTPException
from typing import Any, ClassVar

from allauth.account.admin import EmailAddressAdmin
from allauth.account.decorators import secure_admin_login
from allauth.account.forms import ResetPasswordForm
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialAccountAdmin, SocialAppAdmin
from allauth.socialaccount.models import SocialToken
from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from django import forms
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.db import models, transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from knox.admin import AuthTokenAdmin

from accounts.models import Membership, Organisation, Role, Team, User
from accounts.operations import CHANGEABLE, change_user, create_user
from accounts.rules import clean_domains, clean_email
from core.admin import BelayAdmin, LabelledInline, Section
from core.errors import Refused

log = logging.getLogger("belay.admin")

PEOPLE = Section(20, "People")

# Importing django.contrib.auth's own page has registered it; nobody belongs to groups here, roles decide.
admin.site.unregister(auth_admin.Group)  # type: ignore[attr-defined]
# One door: /sign-in/, with its lock-out and second factor. Who is signed in but no admin reads a 403.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


SIGNING_IN = Section(80, "Signing in")
for page in (
    EmailAddressAdmin,
    SocialAccountAdmin,
    SocialAppAdmin,
    AccessAttemptAdmin,
    AccessFailureLogAdmin,
    AccessLogAdmin,
    AuthTokenAdmin,
):
    page.section = SIGNING_IN
# What other houses handed us for our people is nobody's to read.
admin.site.unregister(SocialToken)
if admin.site.is_registered(Authenticator):
    admin.site.unregister(Authenticator)


class TimeZoneInput(forms.TextInput):
    """A time zone's name, with the known ones to choose from; shared by every page that asks for one."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Write the field and the zones of the tz database that are places."""
        own = attrs or {}
        zones_id = f"{own.get('id', name)}_zones"
        zones = sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone or zone == "UTC")
        options = format_html_join("", '<option value="{}"></option>', ((zone,) for zone in zones))
        field = super().render(name, value, {**own, "list": zones_id}, renderer)
        return format_html('{}<datalist id="{}">{}</datalist>', field, zones_id, options)


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """A person; the password can be set or asked for by mail, and is never shown."""

    teams = forms.ModelMultipleChoiceField(
        Team.objects.order_by("tier", "name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Whose tickets this person works.",
    )
    new_password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html,
    )
    send_link = forms.BooleanField(
        label="Mail a link to set the password",
        required=False,
        help_text="The link works once, for three days.",
    )

    class Meta:
        model = User
        fields = CHANGEABLE
        widgets: ClassVar = {"time_zone": TimeZoneInput}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["teams"] = list(self.instance.teams.values_list("pk", flat=True))
        else:
            self.initial.setdefault("send_link", True)

    def clean_email(self) -> str:
        """Take capitals for small letters, and refuse an address that somebody has."""
        email = clean_email(self.cleaned_data["email"])
        if User.objects.filter(email=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This email address is taken.")
        return email

    def clean(self) -> dict[str, Any] | None:
        """Check the password against the rules, and that an admin remains."""
        cleaned = super().clean() or self.cleaned_data
        if password := cleaned.get("new_password"):
            person = User(email=cleaned.get("email", ""), name=cleaned.get("name", ""))
            try:
                validate_password(password, person)
            except forms.ValidationError as error:
                self.add_error("new_password", error)
        if self.instance.pk and self.instance.role == Role.ADMIN:
            stays = cleaned.get("role") == Role.ADMIN and cleaned.get("is_active")
            others = User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=self.instance.pk)
            if not stays and not others.exists():
                field = "role" if cleaned.get("is_active") else "is_active"
                self.add_error(field, "This is the last admin. Make somebody else an admin first.")
        return cleaned


@admin.register(User)
class UserAdmin(BelayAdmin):
    """People: created, changed and switched off here; no hash of a password ever leaves the database."""

    section = PEOPLE
    section_order = 10
    panel_place = "accounts.user"
    form = UserForm
    list_display = ("name", "email", "role", "organisation", "is_active", "at_work")
    list_filter = ("role", "is_active", "at_work")
    list_select_related = ("organisation",)
    search_fields = ("name", "email")
    ordering = ("name", "pk")
    fieldsets = (
        (None, {"fields": ("name", "email", "role", "is_active", "at_work")}),
        ("What they see", {"fields": ("organisation", "sees_organisation", "only_own_teams", "teams")}),
        ("Where they are", {"fields": ("time_zone", "language")}),
        ("Password", {"fields": ("new_password", "send_link")}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        gone = isinstance(obj, User) and obj.anonymised_at is not None
        return not gone and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Create or change the person through the operations, in one transaction."""
        cleaned = form.cleaned_data
        password = cleaned["new_password"] or None
        with transaction.atomic():
            if not change:
                made = create_user(email=cleaned["email"], name=cleaned["name"], role=cleaned["role"])
                obj.pk = made.pk
                # Nobody chose one: the domain of the address did.
                cleaned["organisation"] = cleaned["organisation"] or made.organisation
            saved = change_user(
                user_id=obj.pk,
                changes={field: cleaned[field] for field in CHANGEABLE},
                team_ids=[team.pk for team in cleaned["teams"]],
                password=password,
                actor=_actor(request),
            )
        obj.refresh_from_db()
        if cleaned["send_link"]:
            # After the commit: a slow mail server holds no row locked, and a failed one undoes nothing.
            transaction.on_commit(lambda: _mail_link(request, saved))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Leave the teams to `save_model`."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Say in words what only a race can still bring up after the form's own checks."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Refused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return redirect(request.path)


class _WithPeople:
    """Inlines and forms that choose among those who work tickets, asked for once per page."""

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the active people who work tickets."""
        if db_field.related_model is User:
            agents = User.objects.filter(is_active=True).exclude(role=Role.REQUESTER).order_by("name", "pk")
            kwargs["queryset"] = agents
            field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
            if not hasattr(request, "belay_agents"):
                request.belay_agents = [(agent.pk, str(agent)) for agent in agents]
            field.choices = [("", "– nobody –"), *request.belay_agents]
            return field
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class MemberInline(_WithPeople, LabelledInline[Membership, Team]):
    """The people of a team."""

    model = Membership
    extra = 1
    verbose_name = "member"
    verbose_name_plural = "members"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Membership]:
        """Fetch members with their people, by name."""
        return super().get_queryset(request).select_related("user", "team").order_by("user__name", "pk")


@admin.register(Authenticator)
class SecondFactorAdmin(BelayAdmin):
    """Second factors, without their secrets: a lost one is taken away, so that its owner can set up another."""

    section = SIGNING_IN
    section_order = 10
    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    ordering = ("-pk",)
    fields = ("user", "type", "created_at", "last_used_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Team)
class TeamAdmin(_WithPeople, BelayAdmin):
    """Teams with their members; a team is switched off, not deleted: tickets and paths name it."""

    section = PEOPLE
    section_order = 20
    panel_place = "accounts.team"
    list_display = ("name", "tier", "lead", "people", "capacity", "is_active")
    list_filter = ("tier", "is_active")
    list_select_related = ("lead",)
    search_fields = ("name",)
    ordering = ("tier", "name")
    fields = ("name", "tier", "lead", "capacity", "is_active")
    inlines = (MemberInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Count the members along."""
        return super().get_queryset(request).annotate(people_count=models.Count("memberships"))

    @admin.display(description="people", ordering="people_count")
    def people(self, team: Any) -> int:
        """Return how many members the team has."""
        return int(team.people_count)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return isinstance(obj, Membership)


class OrganisationForm(forms.ModelForm):  # type: ignore[type-arg]
    """An organisation; domains are compared in small letters."""

    class Meta:
        model = Organisation
        fields = ("name", "vip", "domains")

    def clean_domains(self) -> list[str]:
        """Take what is before an @ away, and capitals."""
        return clean_domains(self.cleaned_data["domains"])


@admin.register(Organisation)
class OrganisationAdmin(BelayAdmin):
    """Organisations: renamed, not deleted, since tickets name them."""

    section = PEOPLE
    section_order = 30
    panel_place = "accounts.organisation"
    form = OrganisationForm
    list_display = ("name", "vip", "known_domains")
    list_filter = ("vip",)
    search_fields = ("name",)
    ordering = ("name",)

    @admin.display(description="mail domains")
    def known_domains(self, organisation: Any) -> str:
        """Return the domains in one line."""
        return ", ".join(organisation.domains)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _actor(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise TypeError("the admin is open to people only")
    return user


def _mail_link(request: HttpRequest, user: User) -> None:
    """Mail a link to set the password, the same one that "forgotten password" mails; called after the commit."""
    form = ResetPasswordForm({"email": user.email})
    try:
        if form.is_valid():
            form.save(request)
            messages.info(request, f"A link to set the password goes to {user.email}.")
            return
    except (OSError, SMTPException) as error:
        log.warning("no link could be mailed: %s", error)
    messages.warning(request, f"No link could be mailed to {user.email}. Try again from this page later.")
