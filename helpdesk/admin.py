"""Beat's schedule in the admin: the system's ticks are to be seen there, not to be changed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from helpdesk.ticks import SYSTEM

admin.site.unregister(PeriodicTask)


def _is_ours(task: Any) -> bool:
    return isinstance(task, PeriodicTask) and task.name.startswith(SYSTEM)


@admin.register(PeriodicTask)
class ScheduleAdmin(PeriodicTaskAdmin):
    """django-celery-beat's page, without a way to stop the engine by accident."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_ours(obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_ours(obj) and bool(super().has_delete_permission(request, obj))

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the system's ticks out of what an action of the list could be run on."""
        tasks = super().get_queryset(request)
        if request.method == "POST" and "action" in request.POST:
            return tasks.exclude(name__startswith=SYSTEM)
        return tasks
