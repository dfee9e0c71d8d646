"""What the admin page of a schedule shows of it, with the way to where it is changed."""

from django.template.loader import render_to_string

from core.panels import register_panel
from notifications.models import OnCallSchedule, Rotation
from web.oncall import words


def _rotations(schedule: OnCallSchedule) -> str:
    rows = Rotation.objects.filter(schedule=schedule).prefetch_related("windows", "members__contact")
    said = [words.rotation(row) for row in rows.order_by("-level", "pk")]
    return render_to_string("admin/belay/rotations.html", {"schedule": schedule, "rotations": said})


def register() -> None:
    """Register the panels; called from the app's `ready()`."""
    register_panel("notifications.on_call_schedule", "Rotations", _rotations)
