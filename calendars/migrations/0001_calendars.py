"""Calendars and their versions."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Calendar",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("description", models.TextField(blank=True, default="")),
                (
                    "is_default",
                    models.BooleanField(
                        default=False,
                        help_text="What new escalation paths start with. One calendar is the default.",
                        verbose_name="default",
                    ),
                ),
                (
                    "is_built_in",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="Round the clock: comes with Belay and stays.",
                        verbose_name="built in",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CalendarVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("hours", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("created_by_name", models.CharField(blank=True, default="", max_length=200)),
                (
                    "calendar",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="calendars.calendar",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="calendar",
            name="current",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="calendars.calendarversion",
                verbose_name="current version",
            ),
        ),
        migrations.AddConstraint(
            model_name="calendarversion",
            constraint=models.UniqueConstraint(fields=("calendar", "number"), name="one_version_per_number"),
        ),
        migrations.AddConstraint(
            model_name="calendarversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="calendar_version_counts_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="calendar",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="calendar_name_given"
            ),
        ),
        migrations.AddConstraint(
            model_name="calendar",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_default", True)), fields=("is_default",), name="one_default_calendar"
            ),
        ),
        migrations.AddConstraint(
            model_name="calendar",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_built_in", True)),
                fields=("is_built_in",),
                name="one_built_in_calendar",
            ),
        ),
    ]
