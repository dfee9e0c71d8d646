"""Apply the version in force to open tickets: what older versions concern, the preview, the way it goes."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from accounts.models import User
from calendars.models import Calendar
from core.admin import ReadOnlyAdmin
from core.db import database_now
from core.errors import Refused
from core.panels import register_panel
from escalation.affected import of_calendar, of_path
from escalation.models import Clock, EscalationPath, RecomputeJob
from escalation.operations.recomputing import (
    newest_number,
    preview_calendar,
    preview_path,
    start_job,
    stop_job,
)
from escalation.recomputing import STALE
from escalation.rules.recounting import OUTCOMES
from notifications.admin.contacts import ESCALATION

LATEST = 5
_At = RecomputeJob.State


@admin.register(RecomputeJob)
class RecomputeJobAdmin(ReadOnlyAdmin):
    """Previews and changes of open tickets; a row's page is the preview, the progress and its buttons."""

    section = ESCALATION
    section_order = 15
    list_display = ("pk", "what", "state", "tickets", "moved", "failed", "created_at", "requested_by")
    list_display_links = ("pk", "what")
    list_filter = ("state",)
    list_select_related = ("path", "path_version", "calendar", "calendar_version", "requested_by")
    search_help_text = "A number."

    @admin.display(description="what")
    def what(self, job: Any) -> str:
        """Return what is applied."""
        return f"version {job.number} of {'path' if job.path_id else 'calendar'} “{job.subject}”"

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks for a preview, the buttons, and the part that refreshes itself."""
        wrap = self.admin_site.admin_view
        return [
            path("path/<int:pk>/", wrap(self.of_path_view), name="escalation_apply_path"),
            path("calendar/<int:pk>/", wrap(self.of_calendar_view), name="escalation_apply_calendar"),
            path("<int:pk>/part/", wrap(self.part_view), name="escalation_apply_part"),
            path("<int:pk>/start/", wrap(require_POST(self.start_view)), name="escalation_apply_start"),
            path("<int:pk>/stop/", wrap(require_POST(self.stop_view)), name="escalation_apply_stop"),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show one job."""
        if object_id is None:
            raise PermissionDenied
        job = self.get_object(request, object_id)
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        if job is None:
            raise Http404
        return self._in_own_zone(request, lambda: self._page(request, job))

    def part_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return the part of a job's page that changes while it is under way."""
        job = self._job(pk)
        context = {**self.admin_site.each_context(request), **shown(job, database_now())}
        return self._in_own_zone(
            request, lambda: TemplateResponse(request, "admin/escalation/_recompute.html", context)
        )

    def of_path_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for a preview of a path's version in force."""
        found = EscalationPath.objects.select_related("current").filter(pk=pk, current__isnull=False).first()
        if found is None:
            raise Http404
        return self._ask(request, found, lambda user, now: preview_path(path_id=pk, actor=user, now=now))

    def of_calendar_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for a preview of a calendar's hours in force."""
        found = Calendar.objects.select_related("current").filter(pk=pk, current__isnull=False).first()
        if found is None:
            raise Http404
        return self._ask(
            request, found, lambda user, now: preview_calendar(calendar_id=pk, actor=user, now=now)
        )

    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Apply what was looked at, or go on with it."""
        return self._act(request, pk, lambda user, now: start_job(job_id=pk, actor=user, now=now))

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop after the batch under way."""
        return self._act(request, pk, lambda user, now: stop_job(job_id=pk, actor=user, now=now))

    def _page(self, request: HttpRequest, job: RecomputeJob) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Version {job.number} of {job.subject} for open tickets",
            "opts": self.opts,
            **shown(job, database_now()),
        }
        return TemplateResponse(request, "admin/escalation/recompute.html", context)

    def _ask(
        self,
        request: HttpRequest,
        subject: EscalationPath | Calendar,
        preview: Callable[[User, dt.datetime], RecomputeJob],
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            try:
                job = preview(_admin(request), database_now())
            except Refused as refused:
                messages.error(request, str(refused))
            else:
                return redirect("admin:escalation_recomputejob_change", job.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Apply version {subject.current.number if subject.current else 0} to open tickets",
            "opts": self.opts,
            **concerned(subject),
        }
        return self._in_own_zone(
            request, lambda: TemplateResponse(request, "admin/escalation/recompute_ask.html", context)
        )

    def _act(
        self, request: HttpRequest, pk: int, act: Callable[[User, dt.datetime], RecomputeJob]
    ) -> HttpResponse:
        job = self._job(pk)
        try:
            act(_admin(request), database_now())
        except Refused as refused:
            messages.error(request, str(refused))
        return redirect("admin:escalation_recomputejob_change", job.pk)

    @staticmethod
    def _job(pk: int) -> RecomputeJob:
        rows = RecomputeJob.objects.select_related(
            "path", "path_version", "calendar", "calendar_version", "requested_by", "started_by"
        )
        job = rows.filter(pk=pk).first()
        if job is None:
            raise Http404
        return job


def _admin(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def shown(job: RecomputeJob, now: dt.datetime) -> dict[str, Any]:
    """Return what the page of a job shows."""
    counting = job.state == _At.PREVIEWING
    preview = _preview(job) if job.preview is not None else None
    newest = newest_number(job)
    return {
        "job": job,
        "is_path": job.path_id is not None,
        "counting": counting,
        "live": job.is_waiting_for_worker,
        "done": job.seen if counting else job.done,
        "left": max(job.tickets - job.done, 0),
        "preview": preview,
        "newest": newest,
        "outdated": newest != job.number,
        "may_apply": job.state == _At.PREVIEWED and newest == job.number and job.tickets > 0,
        "quiet_for": _quiet_for(job, now),
        "is_sample": job.seen < job.tickets and not counting,
    }


def _quiet_for(job: RecomputeJob, now: dt.datetime) -> dt.timedelta | None:
    """Return for how long nobody has worked on what is to be worked on, None when all is well."""
    since = job.heartbeat_at or (job.created_at if job.state == _At.PREVIEWING else job.started_at)
    if not job.is_waiting_for_worker or since is None or now - since < STALE:
        return None
    return now - since


def _preview(job: RecomputeJob) -> dict[str, Any]:
    found: Mapping[str, Any] = job.preview or {}
    clocks, kinds = found["clocks"], found["kinds"]
    labels = dict(Clock.Kind.choices)
    return {
        **found,
        "all_clocks": sum(clocks.values()),
        "rows": [
            {
                "label": label,
                "clocks": clocks.get(kind, 0),
                "counts": [kinds.get(kind, {}).get(name, 0) for name in (*OUTCOMES, "at_once")],
            }
            for kind, label in labels.items()
            if kind in clocks or kind in kinds
        ],
        "largest": [_move(move, labels) for move in found["largest"]],
        "sample": [_move(move, labels) for move in found["sample"]],
    }


def _move(move: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    was, due = (dt.datetime.fromisoformat(move[side]) if move[side] else None for side in ("from", "to"))
    return {
        **move,
        "label": labels.get(move["clock"], move["clock"]),
        "was": was,
        "due": due,
        "by": abs(due - was) if was is not None and due is not None else None,
    }


def concerned(subject: EscalationPath | Calendar) -> dict[str, Any]:
    """Return what older versions of a path or calendar concern, and what was applied lately."""
    of_a_path = isinstance(subject, EscalationPath)
    if isinstance(subject, EscalationPath):
        affected = of_path(subject.current) if subject.current is not None else None
        jobs = RecomputeJob.objects.filter(path=subject)
    else:
        affected = of_calendar(subject.current) if subject.current is not None else None
        jobs = RecomputeJob.objects.filter(calendar=subject)
    counted = affected.counts_for_page() if affected is not None else (0, {})
    rows = jobs.select_related("path", "path_version", "calendar", "calendar_version", "requested_by")
    at_work = Q(state__in=(_At.QUEUED, _At.RUNNING))
    found = list(rows.annotate(at_work=at_work).order_by("-at_work", "-pk")[:LATEST])
    return {
        "subject": subject,
        "is_path": of_a_path,
        "counted": counted is not None,
        "counts": counted[1] if counted is not None else {},
        "has_older": affected is not None and bool(affected.older),
        "tickets": counted[0] if counted is not None else None,
        "jobs": found,
        "at_work": next((job for job in found if job.at_work), None),
        "apply_url": apply_url(subject),
    }


def apply_url(subject: EscalationPath | Calendar) -> str:
    """Return the page that asks for a preview."""
    kind = "path" if isinstance(subject, EscalationPath) else "calendar"
    return reverse(f"admin:escalation_apply_{kind}", args=[subject.pk])


def _panel(subject: EscalationPath | Calendar) -> str:
    return render_to_string("admin/belay/apply.html", concerned(subject))


register_panel("escalation.path", "Open tickets on older versions", _panel)
register_panel("calendars.calendar", "Open tickets that count by older hours", _panel)
