"""Escalation paths: one page to read, edit and publish them (DESIGN 8)."""

import datetime as dt
from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from accounts.models import User
from calendars.models import Calendar
from core.admin import BelayAdmin
from core.db import database_now
from core.errors import Refused
from core.panels import panels_for
from escalation.admin.choices import Choices, conditions_in_words, load_choices
from escalation.admin.editor import MOST_STEPS, PathEditor, act, initial_spec
from escalation.admin.forms import PROMISE_LABELS
from escalation.admin.reading import TICKET_CAP, history_of, lint_path, tickets_on, who_is_told
from escalation.models import EscalationPath, PathVersion
from escalation.operations.publishing import PathChanged, PathSpec, fingerprint, publish_path, spec_of
from escalation.rules.lint import Warning
from escalation.rules.problems import SEVERITIES
from notifications.admin import ESCALATION


@admin.register(EscalationPath)
class EscalationPathAdmin(BelayAdmin):
    """Paths, in the order in which they are tried; saving publishes a version, nothing is ever deleted."""

    section = ESCALATION
    section_order = 10
    panel_place = "escalation.path"
    actions = None
    list_display = ("name", "taken_by", "position", "is_default", "is_active", "version", "steps_in_order")
    ordering = ("is_default", "position", "pk")
    list_select_related = ("current",)
    search_fields = ("name", "description")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the steps of the versions in force along."""
        steps = models.Prefetch("current__steps")
        return super().get_queryset(request).select_related("current").prefetch_related(steps)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Read the names that conditions mean once for the whole list."""
        request.belay_choices = load_choices()  # type: ignore[attr-defined]
        self._choices_of = request.belay_choices  # type: ignore[attr-defined]
        return super().changelist_view(request, extra_context)
