"""The ways to reach a contact, as rows of the contact's page; secrets are written there and never shown."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as format_date

from accounts.models import User
from core.admin import LabelledFormSet, LabelledInline, put_refusal
from core.db import database_now
from core.errors import Refused
from core.panels import register_panel
from notifications.models import Contact, ContactMethod, Notification, Provider
from notifications.operations import add_method, change_method, check_way, remove_method
from notifications.trials import last_tests

State = Notification.State


def secret_input(*, kept: bool) -> forms.PasswordInput:
    """Return a field whose content never comes back, not even beside an error."""
    hint = "stored" if kept else ""
    return forms.PasswordInput(attrs={"autocomplete": "new-password", "placeholder": hint})


class MethodForm(forms.ModelForm):  # type: ignore[type-arg]
    """One way to reach a contact, checked by its channel."""

    secret_url = forms.CharField(label="secret URL", required=False, max_length=2000, strip=True)

    class Meta:
        model = ContactMethod
        fields = ("channel", "address", "provider", "position", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed = ""
        self.fields["address"].required = False
        self.fields["secret_url"].widget = secret_input(kept=bool(self.instance.secret))
        self.fields["address"].widget.attrs["class"] = ""
        # Another channel is another way: it has to be proven by itself.
        self.fields["channel"].disabled = self.instance.pk is not None

    def clean(self) -> dict[str, Any] | None:
        """Check the address by its channel, and bring it into the form in which it is stored."""
        cleaned = super().clean() or self.cleaned_data
        self.typed = cleaned.get("address") or ""
        if self.errors or not self.changed_data:
            return cleaned
        try:
            way = check_way(
                contact=self.instance.contact,
                channel=cleaned["channel"],
                address=self.typed,
                secret_url=cleaned["secret_url"],
                provider=cleaned["provider"],
                old=self.instance if self.instance.pk else None,
            )
        except Refused as refused:
            put_refusal(self, refused)
        else:
            cleaned["address"] = way.address
        return cleaned


class MethodFormSet(LabelledFormSet):
    """An empty row stands at the end of the order until somebody says otherwise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        last = max((method.position for method in self.get_queryset()), default=0)
        self.initial_extra = [{"position": last + place} for place in range(1, self.extra + 1)]


class MethodInline(LabelledInline[ContactMethod, Contact]):
    """How a contact is reached, the first position first."""

    model = ContactMethod
    form = MethodForm
    formset = MethodFormSet
    extra = 1
    verbose_name = "way to reach them"
    verbose_name_plural = "ways to reach them"
    fields = ("position", "channel", "address", "secret_url", "provider", "is_active", "works")
    readonly_fields = ("works",)
    ordering = ("position", "pk")

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the providers with the channel that each carries, asked for once per page."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "provider":
            if not hasattr(request, "belay_providers"):
                request.belay_providers = [
                    (provider.pk, f"{provider} ({provider.get_channel_display()})")
                    for provider in Provider.objects.order_by("channel", "name")
                ]
            field.choices = [("", "the first"), *request.belay_providers]
        return field

    @admin.display(description="works")
    def works(self, method: Any) -> str:
        """Return since when a way is known to work, or to fail."""
        if method.pk is None:
            return "–"
        if method.failing_since is not None:
            return f"failing since {_day(method.failing_since)}"
        return f"since {_day(method.proven_at)}" if method.proven_at is not None else "not proven"


def _day(at: dt.datetime) -> str:
    return format_date(timezone.localtime(at), "j M Y")


def save_methods(request: HttpRequest, formset: Any) -> None:
    """Carry out what the rows say, each by its operation; what is refused after all is said on the next page."""
    actor = request.user if isinstance(request.user, User) else None
    formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
    now = database_now()
    for form in formset.forms:
        method, gone = form.instance, form in formset.deleted_forms
        try:
            if gone and method.pk:
                formset.deleted_objects.append(method)
                remove_method(method=method, actor=actor, now=now)
            elif not gone and form.has_changed():
                _save(request, formset, form, actor)
        except Refused as refused:
            messages.error(request, f"{method}: {refused}")


def _save(request: HttpRequest, formset: Any, form: MethodForm, actor: User | None) -> None:
    values, now = form.cleaned_data, database_now()
    known = {name: values[name] for name in ("secret_url", "provider", "position", "is_active")}
    if form.instance.pk:
        old = ContactMethod.objects.select_related("contact").get(pk=form.instance.pk)
        kept = change_method(method=old, address=form.typed, actor=actor, now=now, **known)
        formset.changed_objects.append((kept.method, form.changed_data))
    else:
        kept = add_method(
            contact=formset.instance,
            channel=values["channel"],
            address=form.typed,
            actor=actor,
            now=now,
            **known,
        )
        formset.new_objects.append(kept.method)
    if kept.signing_key:
        messages.warning(
            request,
            f"Signing key of {kept.method}, shown this once: {kept.signing_key}",
        )


def tests_panel(contact: Contact) -> str:
    """Return, for each way to reach a contact, the button that tests it and what became of the last test."""
    methods = list(contact.methods.order_by("position", "pk"))
    tests = last_tests(methods)
    rows = [(method, tests.get(method.pk)) for method in methods]
    waiting = any(
        test is not None and test.state in (State.PENDING, State.SENDING) and not test.answer
        for _, test in rows
    )
    live = reverse("admin:notifications_contact_tests", args=[contact.pk]) if waiting else ""
    return render_to_string("admin/belay/method_tests.html", {"rows": rows, "live": live, "contact": contact})


register_panel("notifications.contact", "Tests", tests_panel)
