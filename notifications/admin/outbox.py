"""The outbox to look at, with a second try for dead letters."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.models import User
from core.admin import ReadOnlyAdmin
from core.db import database_now
from core.panels import register_panel
from notifications.models import Delivery, Notification, TickRecord
from notifications.operations import retry_dead_letter
from tickets.admin import AT_WORK, RECORDS
from tickets.models import Ticket

NEWEST = 50


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """The outbox; a dead letter can be sent again."""

    section = AT_WORK
    section_order = 60
    panel_place = "notifications.notification"
    change_form_template = "admin/belay/notification.html"
    list_display = ("pk", "kind", "state", "address", "ticket_number", "due_at", "sent_at", "attempts")
    list_filter = ("state", "kind", "channel")
    number_search = ("pk", "ticket_id")
    text_search = ("address",)
    search_help_text = "A ticket's or a notification's number, or the exact address."
    fields = (
        "kind",
        "state",
        "channel",
        "address",
        "contact",
        "user",
        "ticket",
        "seq",
        "round",
        "group",
        "created_at",
        "due_at",
        "attempts",
        "sent_at",
        "dead_at",
        "handled_at",
        "withdrawn_at",
        "lease_until",
        "folded_into",
        "answer",
        "message_id",
        "context",
    )

    def get_urls(self) -> list[Any]:
        """Add the button's address."""
        again = self.admin_site.admin_view(self.send_again)
        name = "notifications_notification_send_again"
        return [path("<int:pk>/send-again/", again, name=name), *super().get_urls()]

    def send_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put a dead letter back into the outbox; by POST only."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not isinstance(request.user, User) or not request.user.is_staff:
            raise PermissionDenied
        row = get_object_or_404(Notification, pk=pk)
        if retry_dead_letter(notification_id=row.pk, actor=request.user, now=database_now()):
            messages.success(request, f"{row.address} is tried again now.")
        else:
            state = row.get_state_display().lower()
            messages.warning(request, f"This is no dead letter any more ({state}); nothing was done.")
        return redirect(reverse("admin:notifications_notification_change", args=[pk]))

    @admin.display(description="ticket")
    def ticket_number(self, row: Any) -> Any:
        """Return a link to the ticket, if it is about one."""
        if row.ticket_id is None:
            return None
        link = reverse("admin:tickets_ticket_change", args=[row.ticket_id])
        return format_html('<a href="{}">#{}</a>', link, row.ticket_id)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Attempts to send, one row each."""

    section = RECORDS
    section_order = 30
    list_display = ("pk", "notification_number", "attempt", "at", "ok", "answer")
    list_filter = ("ok",)
    number_search = ("notification_id",)
    search_help_text = "A notification's number."
    fields = ("notification", "attempt", "at", "ok", "answer")

    @admin.display(description="notification")
    def notification_number(self, row: Any) -> Any:
        """Return a link to the notification."""
        link = reverse("admin:notifications_notification_change", args=[row.notification_id])
        return format_html('<a href="{}">{}</a>', link, row.notification_id)


@admin.register(TickRecord)
class TickRecordAdmin(ReadOnlyAdmin):
    """When each engine last completed a tick."""

    section = RECORDS
    section_order = 40
    list_display = ("name", "started_at", "completed_at", "runs")
    number_search = ()
    text_search = ("name",)
    search_help_text = "An engine's name."
    ordering = ("name",)
    fields = ("name", "started_at", "completed_at", "runs")


def _notifications_panel(ticket: Ticket) -> str:
    rows = Notification.objects.filter(ticket=ticket).select_related("contact").order_by("-pk")
    found = list(rows[: NEWEST + 1])
    return render_to_string(
        "admin/belay/notifications.html", {"rows": found[:NEWEST], "more": len(found) > NEWEST, "cap": NEWEST}
    )


def _deliveries_panel(notification: Notification) -> str:
    rows = notification.deliveries.order_by("-pk")[:NEWEST]
    return render_to_string("admin/belay/deliveries.html", {"rows": list(rows)})


register_panel("tickets.ticket", "Notifications", _notifications_panel)
register_panel("notifications.notification", "Attempts", _deliveries_panel)
