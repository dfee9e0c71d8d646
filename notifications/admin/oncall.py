"""On call to look at: schedules, overrides and time off; they are changed on the on-call pages, by the operations."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.admin import ReadOnlyAdmin
from notifications.admin.contacts import ESCALATION
from notifications.models import OnCallOverride, OnCallSchedule, TimeOff


@admin.register(OnCallSchedule)
class OnCallScheduleAdmin(ReadOnlyAdmin):
    """Who takes turns; the panel below shows the rotations in words and leads to where they are changed."""

    section = ESCALATION
    section_order = 50
    panel_place = "notifications.on_call_schedule"
    list_display = ("name", "place", "turns", "time_zone", "is_active")
    list_filter = ("is_active", "tier")
    text_search = ("name",)
    search_help_text = "A schedule's number or exact name."
    ordering = ("name",)
    fields = ("name", "description", "team", "tier", "time_zone", "is_active")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch team and rotations along."""
        return super().get_queryset(request).select_related("team").prefetch_related("rotations")

    @admin.display(description="tier and team")
    def place(self, schedule: Any) -> str:
        """Return where the board shows it."""
        tier = schedule.get_tier_display() or (schedule.team.get_tier_display() if schedule.team else "")
        return ", ".join(filter(None, [tier, schedule.team.name if schedule.team else ""])) or "nowhere"

    @admin.display(description="rotations")
    def turns(self, schedule: Any) -> str:
        """Return the names of the rotations, the highest level first."""
        rows = sorted(schedule.rotations.all(), key=lambda row: (-row.level, row.pk))
        return ", ".join(row.name for row in rows) or "none: nobody is on call"


@admin.register(OnCallOverride)
class OnCallOverrideAdmin(ReadOnlyAdmin):
    """For once otherwise."""

    section = ESCALATION
    section_order = 51
    list_display = ("__str__", "schedule", "starts_at", "ends_at", "created_by")
    list_filter = ("kind", "schedule")
    ordering = ("-starts_at",)
    fields = (
        "schedule",
        "kind",
        "contact",
        "replaces",
        "starts_at",
        "ends_at",
        "note",
        "created_by",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the people along."""
        return super().get_queryset(request).select_related("schedule", "contact", "replaces", "created_by")


@admin.register(TimeOff)
class TimeOffAdmin(ReadOnlyAdmin):
    """Who is away, and who stands in."""

    section = ESCALATION
    section_order = 52
    list_display = ("contact", "substitute", "starts_at", "ends_at", "note")
    text_search = ("contact__name",)
    search_help_text = "The exact name of who is away."
    ordering = ("-starts_at",)
    fields = ("contact", "substitute", "starts_at", "ends_at", "note", "created_at")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the people along."""
        return super().get_queryset(request).select_related("contact", "substitute")
