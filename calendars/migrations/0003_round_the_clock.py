"""Create the built-in 24x7 calendar that SEV1 counts in unless its path says otherwise (DESIGN 3)."""

from typing import Any

from django.db import migrations
from django.utils import timezone

# As `calendars.rules.as_mapping` writes it; spelled out, since a migration imports no code that moves on.
HOURS = {
    "tz": "UTC",
    "week": {day: [] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
    "holidays": [],
    "date_overrides": {},
    "breaks": {},
    "always": True,
}


def create(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    calendars = apps.get_model("calendars", "Calendar").objects.using(alias)
    if calendars.filter(is_built_in=True).exists():
        return
    calendar = calendars.create(
        name="24x7",
        description="Round the clock, every day of the year. Comes with Belay.",
        is_default=True,
        is_built_in=True,
    )
    versions = apps.get_model("calendars", "CalendarVersion").objects.using(alias)
    calendar.current = versions.create(
        calendar=calendar, number=1, hours=HOURS, created_at=timezone.now(), created_by_name="Belay"
    )
    calendar.save(update_fields=["current"])


class Migration(migrations.Migration):
    dependencies = [("calendars", "0002_calendar_version_immutable")]

    # Not undone: the version can't be deleted; going back to zero drops its table.
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
