"""Contacts and contact lists to edit."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.db import models
from django.http import HttpRequest

from accounts.admin import TimeZoneInput
from accounts.models import Role, Team, User
from core.admin import BelayAdmin, LabelledFormSet, LabelledInline, Section
from notifications.models import (
    Contact,
    ContactList,
    ContactListEntry,
    ContactMethod,
    OnCallSchedule,
)
from tickets.models import Severity

ESCALATION = Section(10, "Escalation")


class MethodForm(forms.ModelForm):  # type: ignore[type-arg]
    """One way to reach a contact; a mail address must be one."""

    class Meta:
        model = ContactMethod
        fields = ("channel", "address", "position", "is_active")

    def clean(self) -> dict[str, Any] | None:
        """Check the address by its channel."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("channel") == ContactMethod.Channel.EMAIL and cleaned.get("address"):
            try:
                forms.EmailField().clean(cleaned["address"])
            except forms.ValidationError as error:
                self.add_error("address", error)
        return cleaned


class MethodInline(LabelledInline[ContactMethod, Contact]):
    """How a contact is reached, the first position first."""

    model = ContactMethod
    form = MethodForm
    extra = 1
    verbose_name = "way to reach them"
    verbose_name_plural = "ways to reach them"
    fields = ("position", "channel", "address", "is_active", "proven", "failing")
    readonly_fields = ("proven", "failing")
    ordering = ("position", "pk")

    @admin.display(description="known to work since", empty_value="not proven")
    def proven(self, method: Any) -> Any:
        """Return when the method was proven."""
        return method.proven_at

    @admin.display(description="failing since", empty_value="–")
    def failing(self, method: Any) -> Any:
        """Return since when the method fails."""
        return method.failing_since


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    """A contact; a role names the team whose lead is told or the schedule of whoever is on call, others neither."""

    class Meta:
        model = Contact
        fields = ("name", "kind", "user", "team", "schedule", "time_zone", "is_active")
        widgets = {"time_zone": TimeZoneInput}  # noqa: RUF012 - as Django documents it

    def clean(self) -> dict[str, Any] | None:
        """Say what the database would refuse in words."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("kind") == Contact.Kind.LEAD:
            if not cleaned.get("team"):
                self.add_error("team", "Choose the team whose lead is told.")
            if cleaned.get("user"):
                self.add_error("user", "Whoever leads the team is told: leave this empty.")
        elif cleaned.get("team"):
            self.add_error("team", "Only “whoever leads the team” has a team: leave this empty.")
        if cleaned.get("kind") == Contact.Kind.ON_CALL:
            if not cleaned.get("schedule"):
                self.add_error("schedule", "Choose the schedule whose people are told.")
            if cleaned.get("user"):
                self.add_error("user", "Whoever is on call is told: leave this empty.")
        elif cleaned.get("schedule"):
            self.add_error("schedule", "Only “whoever is on call” has a schedule: leave this empty.")
        return cleaned


@admin.register(Contact)
class ContactAdmin(BelayAdmin):
    """Whom Belay tells; switched off, not deleted: notifications and escalations name them."""

    section = ESCALATION
    section_order = 40
    panel_place = "notifications.contact"
    form = ContactForm
    list_display = ("name", "kind", "ways", "time_zone", "is_active")
    list_filter = ("kind", "is_active")
    search_fields = ("name", "methods__address")
    ordering = ("name", "pk")
    inlines = (MethodInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the methods along."""
        return (
            super().get_queryset(request).select_related("team__lead", "schedule").prefetch_related("methods")
        )

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the people who work tickets, by name."""
        if db_field.name == "user":
            people = User.objects.exclude(role=Role.REQUESTER)
            kwargs["queryset"] = people.order_by("name", "pk")
        elif db_field.name == "team":
            kwargs["queryset"] = Team.objects.order_by("tier", "name")
        elif db_field.name == "schedule":
            kwargs["queryset"] = OnCallSchedule.objects.order_by("name")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description="reached by")
    def ways(self, contact: Any) -> str:
        """Return the working methods in one line."""
        if contact.kind == Contact.Kind.LEAD:
            lead = contact.team.lead if contact.team else None
            return f"the lead of {contact.team}: {lead}" if lead else f"{contact.team} has no lead"
        if contact.kind == Contact.Kind.ON_CALL:
            return f"whoever is on call on {contact.schedule}"
        ways = sorted((m for m in contact.methods.all() if m.is_active), key=lambda m: (m.position, m.pk))
        return ", ".join(str(way) for way in ways) or "nothing"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return isinstance(obj, ContactMethod)


class SeveritiesField(SimpleArrayField):
    """Severities of one entry as a row of boxes; none ticked means all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(required=False, widget=forms.CheckboxSelectMultiple(choices=Severity.choices))
        super().__init__(forms.TypedChoiceField(choices=Severity.choices, coerce=int), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return [str(item) for item in value] if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        return sorted(self.base_field.clean(item) for item in value or [])

    def clean(self, value: Any) -> Any:
        """Return the severities as integers. Raises ValidationError."""
        return self.to_python(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return sorted(map(str, initial or [])) != sorted(map(str, data or []))


class EntryForm(forms.ModelForm):  # type: ignore[type-arg]
    """One entry of a contact list."""

    severities = SeveritiesField()

    class Meta:
        model = ContactListEntry
        fields = ("position", "contact", "when_to_reach_out", "severities", "hours", "from_round")
        widgets = {"when_to_reach_out": forms.TextInput(attrs={"size": 48})}  # noqa: RUF012

    def has_changed(self) -> bool:
        """Take a new row that names nobody and says nothing as empty, whatever its numbers."""
        numbers = {"position", "from_round", "hours"}
        return super().has_changed() and (bool(self.instance.pk) or not set(self.changed_data) <= numbers)


class EntryFormSet(LabelledFormSet):
    """Empty rows stand at the end of the order until somebody says otherwise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        last = max((entry.position for entry in self.get_queryset()), default=0)
        self.initial_extra = [{"position": last + place} for place in range(1, self.extra + 1)]


class EntryInline(LabelledInline[ContactListEntry, ContactList]):
    """Who is told, in order, with when to reach out."""

    model = ContactListEntry
    form = EntryForm
    formset = EntryFormSet
    extra = 2
    verbose_name = "contact"
    verbose_name_plural = "contacts, in the order in which they are told"
    ordering = ("position", "pk")

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer all contacts, asked for once per page."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "contact":
            if not hasattr(request, "belay_contacts"):
                contacts = Contact.objects.order_by("name", "pk")
                request.belay_contacts = [
                    (contact.pk, contact.name + ("" if contact.is_active else " (switched off)"))
                    for contact in contacts
                ]
            field.choices = [("", "– nobody –"), *request.belay_contacts]
        return field


@admin.register(ContactList)
class ContactListAdmin(BelayAdmin):
    """The ordered lists that steps tell; resolved fresh at each telling, so a change holds at once."""

    section = ESCALATION
    section_order = 30
    panel_place = "notifications.contact_list"
    list_display = ("name", "told", "description")
    search_fields = ("name", "contacts__name")
    ordering = ("name",)
    inlines = (EntryInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the entries along, in order."""
        entries = ContactListEntry.objects.select_related("contact").order_by("position", "pk")
        return super().get_queryset(request).prefetch_related(models.Prefetch("entries", queryset=entries))

    @admin.display(description="told, in order")
    def told(self, contact_list: Any) -> str:
        """Return the contacts in one line."""
        return ", ".join(entry.contact.name for entry in contact_list.entries.all()) or "nobody"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return isinstance(obj, ContactListEntry)
