"""Escalation paths: one page to read, edit and publish them (DESIGN 8)."""

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
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
from escalation.admin.reading import TICKET_CAP, history_of, tickets_on, who_is_told
from escalation.admin.recomputing import apply_url
from escalation.linting import lint_path
from escalation.models import EscalationPath, PathDoubt, PathVersion
from escalation.operations.publishing import PathChanged, PathSpec, fingerprint, publish_path, spec_of
from escalation.rules.lint import Doubt
from escalation.rules.problems import SEVERITIES
from notifications.admin.contacts import ESCALATION


@admin.register(EscalationPath)
class EscalationPathAdmin(BelayAdmin):
    """Paths, in the order in which they are tried; saving publishes a version, nothing is ever deleted."""

    section = ESCALATION
    section_order = 10
    panel_place = "escalation.path"
    actions = None
    ordering = ("is_default", "position", "pk")
    search_fields = ("name", "description")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the versions in force and their steps along."""
        return super().get_queryset(request).select_related("current").prefetch_related("current__steps")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns; the names that conditions mean are read once per request."""
        if not hasattr(request, "belay_choices"):
            request.belay_choices = load_choices()  # type: ignore[attr-defined]
        choices: Choices = request.belay_choices  # type: ignore[attr-defined]

        @admin.display(description="taken by")
        def taken_by(path: EscalationPath) -> str:
            if path.is_default:
                return "all other tickets"
            conditions = path.current.conditions if path.current is not None else {}
            return " and ".join(conditions_in_words(conditions, choices)) or "every ticket"

        return ("name", taken_by, "position", "default", "is_active", "version", "steps_in_order")

    @admin.display(description="default", boolean=True)
    def default(self, path: Any) -> bool:
        """Tell whether it is the default path."""
        return bool(path.is_default)

    @admin.display(description="version")
    def version(self, path: Any) -> int | None:
        """Return the number of the version in force."""
        return path.current.number if path.current is not None else None

    @admin.display(description="steps")
    def steps_in_order(self, path: Any) -> str:
        """Return the steps in one line."""
        steps = path.current.steps.all() if path.current is not None else ()
        return " → ".join(step.name for step in sorted(steps, key=lambda step: step.position))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show, rearrange or publish the path."""
        return self._in_own_zone(request, lambda: self._page(request, object_id))

    def _page(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        path = self.get_object(request, object_id) if object_id is not None else None
        if object_id is not None and path is None:
            raise Http404
        if not (self.has_add_permission(request) if path is None else self.has_change_permission(request)):
            raise PermissionDenied
        choices = load_choices()
        warnings: tuple[Doubt, ...] = ()
        if request.method == "POST" and "_do" in request.POST:
            editor = act(choices, request.POST, request.POST["_do"])
        elif request.method == "POST":
            editor = PathEditor(choices, data=request.POST.copy())
            saved = self._publish(request, editor, path)
            if saved is not None:
                return redirect("admin:escalation_escalationpath_change", saved.path_id)
        else:
            spec = self._spec(request, path)
            editor = PathEditor(choices, spec=spec, seen=fingerprint(path) if path is not None else "")
            if path is not None:
                warnings = lint_path(spec, path_id=path.pk, now=database_now())
        return TemplateResponse(
            request,
            "admin/escalation/path.html",
            {
                **self.admin_site.each_context(request),
                "title": f"Escalation path {path.name}" if path is not None else "Add an escalation path",
                "opts": self.opts,
                "path": path,
                "editor": editor,
                "errors": editor.errors(),
                "warnings": [(warning, editor.anchor(warning.field)) for warning in warnings],
                "steps": _steps(editor, warnings),
                "more_steps": len(editor.steps) < MOST_STEPS,
                "severities": SEVERITIES,
                "promise_labels": PROMISE_LABELS.values(),
                "in_words": conditions_in_words(path.current.conditions, choices)
                if path is not None and path.current is not None
                else [],
                "on_path": tickets_on(path) if path is not None else 0,
                "ticket_cap": TICKET_CAP,
                "history": history_of(path, choices) if path is not None else [],
                "panels": panels_for(self.panel_place, path) if path is not None else [],
            },
        )

    def _spec(self, request: HttpRequest, path: EscalationPath | None) -> PathSpec:
        """Return what the page starts with: the path, a copy of one, or a usual beginning."""
        if path is not None:
            return spec_of(path)
        source = request.GET.get("copy_of", "")
        if source.isascii() and source.isdecimal():
            found = EscalationPath.objects.filter(pk=int(source), current__isnull=False).first()
            if found is None:
                raise Http404
            spec = spec_of(found)
            position = min(spec.position + 1, 32767)
            return replace(spec, name=f"{spec.name} (copy)"[:100], position=position, is_default=False)
        calendar = Calendar.objects.filter(is_default=True).first()
        there_is_a_default = EscalationPath.objects.filter(is_default=True).exists()
        return initial_spec(calendar.pk if calendar is not None else None, is_default=not there_is_a_default)

    def _publish(
        self, request: HttpRequest, editor: PathEditor, path: EscalationPath | None
    ) -> PathVersion | None:
        """Publish through the operation; return None when the page says why not."""
        if not editor.is_valid():
            return None
        if not isinstance(request.user, User):
            raise PermissionDenied
        spec, now = editor.spec(), database_now()
        seen = editor.path.cleaned_data["seen"] if path is not None else None
        try:
            version = publish_path(
                path_id=path.pk if path is not None else None,
                spec=spec,
                actor=request.user,
                now=now,
                seen=seen,
            )
        except PathChanged as changed:
            editor.put(changed)
            if path is not None and editor.data is not None:
                # Whoever has read the warning and saves again replaces what the other one wrote.
                editor.data["seen"] = fingerprint(EscalationPath.objects.get(pk=path.pk))
            return None
        except Refused as refused:
            editor.put(refused)
            return None
        self._report(request, path, version)
        doubts = PathDoubt.objects.filter(path=version.path).count()
        if doubts:
            text = "1 thing about it is" if doubts == 1 else f"{doubts} things about it are"
            messages.warning(request, f"{text} worth a look: see below.")
        return version

    def _report(self, request: HttpRequest, before: EscalationPath | None, version: PathVersion) -> None:
        path = version.path
        if before is None:
            self.log_addition(request, path, "Version 1")
            messages.success(request, f"“{path.name}” is there; tickets that match take it from now on.")
            return
        if version.pk == before.current_id:
            self.log_change(request, path, "No new version")
            messages.success(
                request, f"Saved. The path says what it said, so version {version.number} stays."
            )
            return
        self.log_change(request, path, f"Version {version.number}")
        pinned = tickets_on(path, older_than=version)
        count = f"{TICKET_CAP} or more" if pinned > TICKET_CAP else str(pinned)
        tickets = f"{count} open {'ticket keeps' if pinned == 1 else 'tickets keep'} running by"
        its = "its" if pinned == 1 else "their"
        if not pinned:
            text = f"Version {version.number} is in force. No open ticket runs by an older one."
            messages.success(request, text)
            return
        offer = f"Apply version {version.number} to {'it' if pinned == 1 else 'them'}…"
        text = f"Version {version.number} is in force. {tickets} {its} version."
        messages.success(request, format_html('{} <a href="{}">{}</a>', text, apply_url(path), offer))


def _steps(editor: PathEditor, warnings: tuple[Doubt, ...]) -> list[dict[str, Any]]:
    """Return what stands beside each step's form: its warnings, and who would be told now."""
    named = [
        tuple(
            int(value) for value in (str(field.value() or "") for field in step.lists()) if value.isdecimal()
        )
        for step in editor.steps
    ]
    doubtful = {editor.anchor(warning.field) for warning in warnings}
    return [
        {
            "form": step,
            "told": told,
            "tells": bool(lists),
            "first": step.place == 1,
            "last": step.place == len(editor.steps),
            "cells": [
                (severity, [(cell, cell.auto_id in doubtful) for cell in cells])
                for severity, *cells in step.cells()
            ],
        }
        for step, told, lists in zip(editor.steps, who_is_told(named, database_now()), named, strict=True)
    ]
