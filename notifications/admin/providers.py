"""Providers: the accounts with services that carry SMS, chat and push for many contacts."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from accounts.models import User
from core.admin import BelayAdmin, instant_text, put_refusal
from core.db import database_now
from core.errors import Refused
from core.panels import register_panel
from notifications.admin.contacts import ESCALATION
from notifications.admin.methods import secret_input
from notifications.models import Channel, Provider
from notifications.operations import check_provider, save_provider, try_provider
from notifications.operations.ways import BY_APPRISE

_CHANNELS = [(str(channel.value), str(channel.label)) for channel in Channel if channel in BY_APPRISE]


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider; its URL is written and never shown."""

    url = forms.CharField(
        label="URL",
        required=False,
        max_length=2000,
        help_text="An Apprise URL with {to} where the contact's address goes, such as "
        "twilio://SID:token@+15551234567/{to}, tgram://bottoken/{to} or ntfys://token@ntfy.example.com/{to}. It is "
        "stored encrypted and never shown again; empty leaves it as it is.",
    )
    channel = forms.ChoiceField(choices=_CHANNELS)

    class Meta:
        model = Provider
        fields = ("name", "channel", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["url"].widget = secret_input(kept=bool(self.instance.pk))
        self.fields["url"].widget.attrs["class"] = "vLargeTextField"

    def clean(self) -> dict[str, Any] | None:
        """Check the URL as the operation does, which has the last word."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_provider(
                    name=cleaned["name"],
                    channel=cleaned["channel"],
                    url=cleaned["url"],
                    provider=self.instance if self.instance.pk else None,
                )
            except Refused as refused:
                put_refusal(self, refused)
        return cleaned


def _test_panel(provider: Provider) -> str:
    return render_to_string("admin/belay/provider_test.html", {"provider": provider})


register_panel("notifications.provider", "Test", _test_panel)


@admin.register(Provider)
class ProviderAdmin(BelayAdmin):
    """Who carries a channel; the first one that is switched on is taken where a contact names none."""

    section = ESCALATION
    section_order = 45
    panel_place = "notifications.provider"
    change_form_template = "admin/belay/provider.html"
    form = ProviderForm
    list_display = ("name", "channel", "shown", "is_active", "changed")
    list_filter = ("channel", "is_active")
    search_fields = ("name", "shown")
    ordering = ("channel", "pk")
    fields = ("name", "channel", "service", "url", "is_active")
    readonly_fields = ("service",)

    @admin.display(description="service", empty_value="–")
    def service(self, provider: Any) -> Any:
        """Return what may be shown of the URL."""
        return provider.shown or None

    @admin.display(description="changed", ordering="changed_at")
    def changed(self, provider: Any) -> str:
        """Return when it was changed."""
        return instant_text(provider.changed_at)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save by the operation."""
        values = form.cleaned_data
        saved = save_provider(
            name=values["name"],
            channel=values["channel"],
            url=values["url"],
            is_active=values["is_active"],
            provider=Provider.objects.get(pk=obj.pk) if change else None,
            actor=request.user if isinstance(request.user, User) else None,
            now=database_now(),
        )
        obj.pk, obj.shown, obj.secret = saved.pk, saved.shown, saved.secret

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Switched off, not deleted: contacts name it."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the button that sends a test."""
        view = self.admin_site.admin_view(require_POST(self.send_test_view))
        return [
            path("<int:pk>/send-test/", view, name="notifications_provider_send_test"),
            *super().get_urls(),
        ]

    def send_test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test to an address, and say what the provider answered."""
        provider = get_object_or_404(Provider, pk=pk)
        address = request.POST.get("address", "").strip()[:254]
        if address:
            actor = request.user if isinstance(request.user, User) else None
            taken, answer = try_provider(provider=provider, address=address, actor=actor, now=database_now())
            tell = messages.success if taken else messages.error
            tell(request, f"{address}: {'sent' if taken else 'not sent'}. {provider} answered: {answer}")
        else:
            messages.warning(request, "Give an address to send the test to.")
        return redirect(reverse("admin:notifications_provider_change", args=[pk]))
