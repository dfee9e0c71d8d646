"""Contacts and contact lists to edit."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from accounts.admin import TimeZoneInput
from accounts.models import Role, Team, User
from core.admin import BelayAdmin, LabelledFormSet, LabelledInline, Section
from core.db import database_now
from core.errors import Refused
from notifications.admin.methods import MethodInline, save_methods, tests_panel
from notifications.admin.transfer import CONTACTS, ENTRIES, TransferPages
from notifications.models import (
    Contact,
    ContactList,
    ContactListEntry,
    ContactMethod,
    OnCallSchedule,
    Weekday,
)
from notifications.operations import send_test
from notifications.rules.language import MEND, language_code
from notifications.rules.quiet import problem_of
from tickets.models import Severity

ESCALATION = Section(10, "Escalation")


class BoxesField(SimpleArrayField):
    """Several of a few choices as a row of boxes."""

    def __init__(self, *args: Any, choices: Any, **kwargs: Any) -> None:
        kwargs.update(required=False, widget=forms.CheckboxSelectMultiple(choices=choices))
        super().__init__(forms.TypedChoiceField(choices=choices, coerce=int), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return [str(item) for item in value] if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        return sorted(self.base_field.clean(item) for item in value or [])

    def clean(self, value: Any) -> Any:
        """Return what is ticked as integers. Raises ValidationError."""
        return self.to_python(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return sorted(map(str, initial or [])) != sorted(map(str, data or []))


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    """A contact; a role names the team whose lead, or the schedule on which whoever is on call is told."""

    quiet_days = BoxesField(
        choices=Weekday.choices, help_text="Days that are quiet from midnight to midnight."
    )

    class Meta:
        model = Contact
        fields = (
            "name",
            "kind",
            "user",
            "team",
            "schedule",
            "time_zone",
            "language",
            "quiet_from",
            "quiet_until",
            "quiet_days",
            "is_active",
        )
        widgets = {  # noqa: RUF012 - as Django documents it
            "time_zone": TimeZoneInput,
            "quiet_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        }

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
        self._check_schedule(cleaned)
        self._check_quiet(cleaned)
        return cleaned

    def clean_language(self) -> str:
        """Return the language's code in small letters. Raises ValidationError."""
        text = str(self.cleaned_data["language"])
        if (code := language_code(text)) is None:
            raise forms.ValidationError(f"“{text}” is no code of a language. {MEND}")
        return code

    def _check_schedule(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("kind") == Contact.Kind.ON_CALL:
            if not cleaned.get("schedule"):
                self.add_error("schedule", "Choose the schedule on which whoever is on call is told.")
            if cleaned.get("user"):
                self.add_error("user", "Whoever is on call is told: leave this empty.")
        elif cleaned.get("schedule"):
            self.add_error("schedule", "Only “whoever is on call” has a schedule: leave this empty.")

    def _check_quiet(self, cleaned: dict[str, Any]) -> None:
        if {"quiet_from", "quiet_until", "quiet_days"}.intersection(self.errors):
            return
        problem = problem_of(
            cleaned.get("quiet_from"), cleaned.get("quiet_until"), cleaned.get("quiet_days") or ()
        )
        if problem is not None:
            self.add_error(problem.field, f"{problem.message} {problem.mend}")


@admin.register(Contact)
class ContactAdmin(TransferPages, BelayAdmin):
    """Whom Belay tells; switched off, not deleted: notifications and escalations name them."""

    section = ESCALATION
    section_order = 40
    panel_place = "notifications.contact"
    change_form_template = "admin/belay/contact.html"
    transfer = CONTACTS
    form = ContactForm
    fieldsets = (
        (None, {"fields": ("name", "kind", "user", "team", "schedule", "is_active")}),
        (
            "When and how they are told",
            {"fields": ("time_zone", "language", ("quiet_from", "quiet_until"), "quiet_days")},
        ),
    )
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

    def save_formset(self, request: Any, form: Any, formset: Any, change: Any) -> None:
        """Save the ways to reach them by the operations that every other page uses."""
        if formset.model is ContactMethod:
            save_methods(request, formset)
        else:
            super().save_formset(request, form, formset, change)

    def get_urls(self) -> list[URLPattern]:
        """Add the button that sends a test, and the part of the page that shows what became of it."""
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/send-test/",
                wrap(require_POST(self.send_test_view)),
                name="notifications_contact_send_test",
            ),
            path("<int:pk>/tests/", wrap(self.tests_view), name="notifications_contact_tests"),
            *super().get_urls(),
        ]

    def send_test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test to one of the contact's methods."""
        number = request.POST.get("method", "")
        method = get_object_or_404(
            ContactMethod.objects.select_related("contact"),
            contact=pk,
            pk=int(number) if number.isdecimal() and len(number) < 19 else 0,
        )
        actor = request.user if isinstance(request.user, User) else None
        try:
            send_test(method=method, actor=actor, now=database_now())
        except Refused as refused:
            messages.warning(request, str(refused))
        return redirect(reverse("admin:notifications_contact_change", args=[pk]) + "#method-tests")

    def tests_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what became of the tests, for a page that asks again and again."""
        contact = get_object_or_404(Contact, pk=pk)
        return self._in_own_zone(request, lambda: HttpResponse(tests_panel(contact)))


class SeveritiesField(BoxesField):
    """Severities of one entry as a row of boxes; none ticked means all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, choices=Severity.choices, **kwargs)


class EntryForm(forms.ModelForm):  # type: ignore[type-arg]
    """One entry of a contact list."""

    severities = SeveritiesField()

    class Meta:
        model = ContactListEntry
        fields = ("position", "contact", "when_to_reach_out", "severities", "hours", "from_round")
        widgets = {"when_to_reach_out": forms.TextInput(attrs={"size": 30})}  # noqa: RUF012

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
class ContactListAdmin(TransferPages, BelayAdmin):
    """The ordered lists that steps tell; resolved fresh at each telling, so a change holds at once."""

    section = ESCALATION
    section_order = 30
    panel_place = "notifications.contact_list"
    transfer = ENTRIES
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
