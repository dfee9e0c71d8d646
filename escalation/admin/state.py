"""Clocks, standings, escalations and wishes: to look at (STYLE 17)."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from core.admin import ReadOnlyAdmin
from core.db import database_now
from core.panels import register_panel
from escalation.models import Clock, Escalation, EscalationPath, EscalationRequest, HandoffQuestion, Standing
from escalation.queries import clocks_of, escalations_of, ladder_of
from tickets.admin import AT_WORK
from tickets.models import Service, Ticket


class OfATicket(ReadOnlyAdmin):
    """State that belongs to a ticket and is found by its number."""

    section = AT_WORK
    number_search = ("ticket_id",)
    search_help_text = "A ticket's number."

    @admin.display(description="ticket")
    def ticket_number(self, row: Any) -> Any:
        """Return a link to the ticket."""
        link = reverse("admin:tickets_ticket_change", args=[row.ticket_id])
        return format_html('<a href="{}">#{}</a>', link, row.ticket_id)


@admin.register(Standing)
class StandingAdmin(OfATicket):
    """Where each ticket stands on its path."""

    section_order = 20
    list_display = ("pk", "ticket_number", "version", "step", "seq", "since", "set_aside_because")
    list_select_related = ("version__path", "step")
    fields = (
        "ticket",
        "version",
        "step",
        "seq",
        "since",
        "automatic_steps",
        "allowances",
        "falls",
        "suspended_at",
        "failures",
        "set_aside_because",
    )


@admin.register(Clock)
class ClockAdmin(OfATicket):
    """Every deadline with all that explains it."""

    section_order = 30
    list_display = ("pk", "ticket_number", "kind", "state", "started_at", "budget", "due_at", "fires_at")
    list_filter = ("state", "kind")
    fields = (
        "ticket",
        "kind",
        "state",
        "seq",
        "round",
        "started_at",
        "recorded_at",
        "budget",
        "used",
        "running_since",
        "warn_at",
        "warned_at",
        "due_at",
        "fires_at",
        "fired_at",
        "stopped_at",
        "pauses",
        "calendar_version",
        "path_version",
        "step",
    )


@admin.register(Escalation)
class EscalationAdmin(OfATicket):
    """Every change of step, up or down."""

    section_order = 40
    list_display = (
        "pk",
        "ticket_number",
        "seq",
        "kind",
        "trigger",
        "to_step",
        "at",
        "late_by",
        "acknowledged_at",
    )
    list_filter = ("kind", "trigger", "to_tier")
    list_select_related = ("to_step",)
    fields = (
        "ticket",
        "seq",
        "kind",
        "trigger",
        "co_triggers",
        "path_version",
        "from_step",
        "to_step",
        "from_tier",
        "to_tier",
        "at",
        "due_at",
        "late_by",
        "actor",
        "handoff",
        "acknowledged_at",
        "acknowledged_by",
        "acknowledged_contact",
        "acknowledged_via",
        "historic",
    )


@admin.register(EscalationRequest)
class RequestAdmin(OfATicket):
    """Requesters' wishes that a ticket climbs, and their answers."""

    section_order = 50
    list_display = ("pk", "ticket_number", "seq", "requested_by", "requested_at", "state", "answered_by")
    list_filter = ("state",)
    list_select_related = ("requested_by", "answered_by")
    fields = (
        "ticket",
        "seq",
        "requested_by",
        "requested_at",
        "reason",
        "state",
        "answered_at",
        "answered_by",
        "answer",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the ticket along."""
        return super().get_queryset(request).select_related("ticket")


@admin.register(HandoffQuestion)
class QuestionAdmin(OfATicket):
    """What steps asked the senders of their handoffs."""

    section_order = 60
    list_display = ("pk", "ticket_number", "seq", "asked_by", "asked_to", "asked_at", "state", "answered_by")
    list_filter = ("state",)
    list_select_related = ("asked_by", "asked_to", "answered_by")
    fields = (
        "ticket",
        "seq",
        "asked_by",
        "asked_to",
        "lead",
        "asked_at",
        "question",
        "state",
        "answered_at",
        "answered_by",
        "answer",
    )


def _clocks_panel(ticket: Ticket) -> str:
    now = database_now()
    context = {"clocks": clocks_of(ticket, now), "ladder": ladder_of(ticket, now)}
    return render_to_string("admin/belay/clocks.html", context)


def _escalations_panel(ticket: Ticket) -> str:
    return render_to_string("admin/belay/escalations.html", {"rows": escalations_of(ticket)})


def _paths_panel(service: Service) -> str:
    paths = EscalationPath.objects.filter(is_active=True, current__isnull=False).select_related("current")
    named = [
        path
        for path in paths.order_by("is_default", "position", "pk")
        if path.current is not None and service.pk in path.current.conditions.get("services", ())
    ]
    return render_to_string("admin/belay/paths_of_service.html", {"paths": named})


register_panel("tickets.ticket", "Clocks", _clocks_panel)
register_panel("tickets.ticket", "Escalations", _escalations_panel)
register_panel("tickets.service", "Paths that name this service", _paths_panel)
