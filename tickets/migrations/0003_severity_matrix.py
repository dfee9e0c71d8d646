"""Fill the severity matrix with the values it ships with."""

from typing import Any, ClassVar

from django.db import migrations

# (impact, urgency, severity), 1 is the highest each
CELLS = [
    (1, 1, 1),
    (1, 2, 2),
    (1, 3, 3),
    (2, 1, 2),
    (2, 2, 3),
    (2, 3, 4),
    (3, 1, 3),
    (3, 2, 4),
    (3, 3, 4),
]


def fill(apps: Any, schema_editor: Any) -> None:
    cell = apps.get_model("tickets", "SeverityCell")
    cell.objects.bulk_create(
        [cell(impact=impact, urgency=urgency, severity=severity) for impact, urgency, severity in CELLS],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tickets", "0002_timeline_guard")]
    operations: ClassVar = [migrations.RunPython(fill, migrations.RunPython.noop)]
