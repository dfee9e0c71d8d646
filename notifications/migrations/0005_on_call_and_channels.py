"""On-call schedules, channels and their providers, quiet hours, message templates, watchers and the bell."""

import accounts.models
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import notifications.models.oncall
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_people"),
        ("calendars", "0004_holiday_source"),
        ("notifications", "0004_digests"),
        ("tickets", "0008_few_among_many"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Bell",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("seen_through", models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="CalendarFeed",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("nonce", models.UUIDField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="MessageTemplate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                (
                    "form",
                    models.CharField(
                        choices=[("mail", "Mail"), ("short", "Short (SMS, chat, push)")],
                        default="mail",
                        max_length=5,
                    ),
                ),
                ("language", models.CharField(blank=True, max_length=12)),
                ("subject", models.CharField(blank=True, max_length=300)),
                ("body", models.TextField(max_length=20000)),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OnCallOverride",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("add", "Also on call"),
                            ("replace", "Takes over from"),
                            ("remove", "Not on call"),
                            ("instead", "Alone on call"),
                        ],
                        max_length=7,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("note", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "on-call override",
            },
        ),
        migrations.CreateModel(
            name="OnCallSchedule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("description", models.CharField(blank=True, max_length=300)),
                (
                    "tier",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        choices=[(1, "L1"), (2, "L2"), (3, "L3"), (4, "Management")],
                        help_text="Where the board shows it; empty: the team's tier.",
                        null=True,
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        help_text="Handoffs fall on this wall clock, summer and winter.",
                        max_length=64,
                        validators=[accounts.models.check_time_zone],
                    ),
                ),
                (
                    "covers",
                    models.ForeignKey(
                        blank=True,
                        help_text="When somebody has to be on call: outside of them nobody is no gap. Empty: at every moment.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="calendars.calendar",
                        verbose_name="hours to cover",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
            ],
            options={
                "verbose_name": "on-call schedule",
            },
        ),
        migrations.CreateModel(
            name="TimelineReader",
            fields=[
                ("name", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("cursor", models.TextField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Provider",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("email", "Email"),
                            ("sms", "SMS"),
                            ("slack", "Slack"),
                            ("teams", "Microsoft Teams"),
                            ("mattermost", "Mattermost"),
                            ("telegram", "Telegram"),
                            ("ntfy", "ntfy"),
                            ("apprise", "Another service (Apprise)"),
                            ("webhook", "Webhook"),
                            ("app", "In Belay (the bell)"),
                        ],
                        max_length=20,
                    ),
                ),
                ("shown", models.CharField(editable=False, max_length=200)),
                ("secret", models.TextField(editable=False)),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Rotation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "level",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="A higher level goes before a lower one wherever it has somebody.",
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        choices=[
                            ("hourly", "Hours"),
                            ("daily", "Days"),
                            ("weekly", "Weeks"),
                            ("monthly", "Months"),
                        ],
                        default="weekly",
                        max_length=7,
                        verbose_name="hands over by",
                    ),
                ),
                ("length", models.PositiveSmallIntegerField(default=1, verbose_name="every")),
                ("starts_on", models.DateField()),
                ("handoff_time", models.TimeField(verbose_name="hands over at")),
                (
                    "ends_on",
                    models.DateField(
                        blank=True, help_text="The first day without it; empty: for good.", null=True
                    ),
                ),
                (
                    "aligned",
                    models.BooleanField(
                        default=False,
                        help_text="On Mondays or on the first of the month, instead of counting from the start.",
                        verbose_name="hands over with the calendar",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RotationMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(default=1)),
            ],
        ),
        migrations.CreateModel(
            name="RotationWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "days",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(
                            choices=[
                                (0, "Monday"),
                                (1, "Tuesday"),
                                (2, "Wednesday"),
                                (3, "Thursday"),
                                (4, "Friday"),
                                (5, "Saturday"),
                                (6, "Sunday"),
                            ]
                        ),
                        default=notifications.models.oncall.every_day,
                        size=None,
                    ),
                ),
                ("start", models.TimeField()),
                ("end", models.TimeField()),
            ],
        ),
        migrations.CreateModel(
            name="TimeOff",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("note", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name_plural": "times off",
            },
        ),
        migrations.CreateModel(
            name="Watch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name_plural": "watches",
            },
        ),
        migrations.AddField(
            model_name="contact",
            name="language",
            field=models.CharField(
                default="en",
                help_text="Of the messages to them, where a template is written in it.",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="quiet_days",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveSmallIntegerField(
                    choices=[
                        (0, "Monday"),
                        (1, "Tuesday"),
                        (2, "Wednesday"),
                        (3, "Thursday"),
                        (4, "Friday"),
                        (5, "Saturday"),
                        (6, "Sunday"),
                    ]
                ),
                blank=True,
                default=list,
                help_text="Days that are quiet from midnight to midnight.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="quiet_from",
            field=models.TimeField(
                blank=True,
                help_text="Quiet hours: somebody else is told then. They never silence people on call, nor what counts round the clock.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="quiet_until",
            field=models.TimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="contactlist",
            name="calendar",
            field=models.ForeignKey(
                blank=True,
                help_text="What its entries mean by business hours; empty: the step's calendar.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="calendars.calendar",
                verbose_name="business hours",
            ),
        ),
        migrations.AddField(
            model_name="contactlistentry",
            name="hours",
            field=models.CharField(
                choices=[
                    ("always", "At any hour"),
                    ("inside", "In business hours"),
                    ("outside", "Outside business hours"),
                ],
                default="always",
                help_text="At any hour, or only then.",
                max_length=7,
                verbose_name="told",
            ),
        ),
        migrations.AddField(
            model_name="contactmethod",
            name="secret",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AlterField(
            model_name="contact",
            name="kind",
            field=models.CharField(
                choices=[
                    ("person", "Person"),
                    ("lead", "Whoever leads the team"),
                    ("on_call", "Whoever is on call"),
                    ("room", "Room (shared mailbox, channel)"),
                ],
                default="person",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="contactmethod",
            name="channel",
            field=models.CharField(
                choices=[
                    ("email", "Email"),
                    ("sms", "SMS"),
                    ("slack", "Slack"),
                    ("teams", "Microsoft Teams"),
                    ("mattermost", "Mattermost"),
                    ("telegram", "Telegram"),
                    ("ntfy", "ntfy"),
                    ("apprise", "Another service (Apprise)"),
                    ("webhook", "Webhook"),
                    ("app", "In Belay (the bell)"),
                ],
                default="email",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="calendarfeed",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="feeds", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="messagetemplate",
            name="changed_by",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="oncalloverride",
            name="contact",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="notifications.contact",
            ),
        ),
        migrations.AddField(
            model_name="oncalloverride",
            name="created_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="oncalloverride",
            name="replaces",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="notifications.contact",
            ),
        ),
        migrations.AddField(
            model_name="oncallschedule",
            name="team",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="schedules",
                to="accounts.team",
            ),
        ),
        migrations.AddField(
            model_name="oncalloverride",
            name="schedule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="overrides",
                to="notifications.oncallschedule",
            ),
        ),
        migrations.AddField(
            model_name="calendarfeed",
            name="schedule",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="feeds",
                to="notifications.oncallschedule",
            ),
        ),
        migrations.AddField(
            model_name="contact",
            name="schedule",
            field=models.ForeignKey(
                blank=True,
                help_text="For “whoever is on call”: on which schedule.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="role_contacts",
                to="notifications.oncallschedule",
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "on_call"), ("schedule__isnull", False), ("user__isnull", True)),
                    models.Q(models.Q(("kind", "on_call"), _negated=True), ("schedule__isnull", True)),
                    _connector="OR",
                ),
                name="contact_on_call_has_schedule",
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("quiet_from__isnull", True), ("quiet_until__isnull", True)),
                    models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                    _connector="OR",
                ),
                name="contact_quiet_from_until",
                violation_error_message="Quiet hours need both a beginning and an end.",
            ),
        ),
        migrations.AddField(
            model_name="contactmethod",
            name="provider",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: the channel's first provider that is switched on.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="methods",
                to="notifications.provider",
            ),
        ),
        migrations.AddField(
            model_name="rotation",
            name="schedule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rotations",
                to="notifications.oncallschedule",
            ),
        ),
        migrations.AddField(
            model_name="rotationmember",
            name="contact",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="turns", to="notifications.contact"
            ),
        ),
        migrations.AddField(
            model_name="rotationmember",
            name="rotation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="notifications.rotation",
            ),
        ),
        migrations.AddField(
            model_name="rotationwindow",
            name="rotation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="windows",
                to="notifications.rotation",
            ),
        ),
        migrations.AddField(
            model_name="timeoff",
            name="contact",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="times_off",
                to="notifications.contact",
            ),
        ),
        migrations.AddField(
            model_name="timeoff",
            name="substitute",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="notifications.contact",
            ),
        ),
        migrations.AddField(
            model_name="watch",
            name="organisation",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="watches",
                to="accounts.organisation",
            ),
        ),
        migrations.AddField(
            model_name="watch",
            name="service",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="watches",
                to="tickets.service",
            ),
        ),
        migrations.AddField(
            model_name="watch",
            name="ticket",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="watches",
                to="tickets.ticket",
            ),
        ),
        migrations.AddField(
            model_name="watch",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="watches",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="messagetemplate",
            constraint=models.UniqueConstraint(
                fields=("kind", "form", "language"), name="one_template_per_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="messagetemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(("form__in", ("mail", "short"))), name="template_form_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="oncallschedule",
            constraint=models.CheckConstraint(
                condition=models.Q(("tier__isnull", True), ("tier__in", [1, 2, 3, 4]), _connector="OR"),
                name="schedule_tier_known",
            ),
        ),
        migrations.AddIndex(
            model_name="oncalloverride",
            index=models.Index(fields=["schedule", "ends_at"], name="override_by_end"),
        ),
        migrations.AddConstraint(
            model_name="oncalloverride",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="override_ends_after_start"
            ),
        ),
        migrations.AddConstraint(
            model_name="oncalloverride",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("contact__isnull", False),
                        ("kind__in", ("add", "instead")),
                        ("replaces__isnull", True),
                    ),
                    models.Q(
                        ("contact__isnull", False),
                        ("kind", "replace"),
                        ("replaces__isnull", False),
                        models.Q(("contact", models.F("replaces")), _negated=True),
                    ),
                    models.Q(("contact__isnull", True), ("kind", "remove"), ("replaces__isnull", False)),
                    _connector="OR",
                ),
                name="override_names_its_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="calendarfeed",
            constraint=models.UniqueConstraint(
                fields=("user", "schedule"), name="one_feed_per_schedule", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="rotation",
            constraint=models.UniqueConstraint(fields=("schedule", "name"), name="one_rotation_per_name"),
        ),
        migrations.AddConstraint(
            model_name="rotation",
            constraint=models.CheckConstraint(
                condition=models.Q(("length__gte", 1), ("length__lte", 1000)), name="rotation_has_length"
            ),
        ),
        migrations.AddConstraint(
            model_name="rotation",
            constraint=models.CheckConstraint(
                condition=models.Q(("unit__in", ("hourly", "daily", "weekly", "monthly"))),
                name="rotation_unit_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="rotation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ends_on__isnull", True), ("ends_on__gt", models.F("starts_on")), _connector="OR"
                ),
                name="rotation_ends_after_start",
                violation_error_message="A rotation ends after it has started.",
            ),
        ),
        migrations.AddConstraint(
            model_name="rotationmember",
            constraint=models.UniqueConstraint(
                fields=("rotation", "position", "contact"), name="one_turn_per_position"
            ),
        ),
        migrations.AddConstraint(
            model_name="rotationwindow",
            constraint=models.CheckConstraint(
                condition=models.Q(("days__len__gte", 1), ("days__contained_by", [0, 1, 2, 3, 4, 5, 6])),
                name="window_days_known",
            ),
        ),
        migrations.AddIndex(
            model_name="timeoff",
            index=models.Index(fields=["contact", "ends_at"], name="time_off_by_end"),
        ),
        migrations.AddConstraint(
            model_name="timeoff",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="time_off_ends_after_start"
            ),
        ),
        migrations.AddConstraint(
            model_name="timeoff",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("substitute__isnull", True),
                    models.Q(("substitute", models.F("contact")), _negated=True),
                    _connector="OR",
                ),
                name="time_off_substitute_is_another",
                violation_error_message="Nobody stands in for themselves.",
            ),
        ),
        migrations.AddConstraint(
            model_name="watch",
            constraint=models.UniqueConstraint(
                fields=("user", "ticket", "service", "organisation"),
                name="one_watch_per_subject",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="watch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("organisation__isnull", True), ("service__isnull", True), ("ticket__isnull", False)
                    ),
                    models.Q(
                        ("organisation__isnull", True), ("service__isnull", False), ("ticket__isnull", True)
                    ),
                    models.Q(
                        ("organisation__isnull", False), ("service__isnull", True), ("ticket__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="watch_has_one_subject",
            ),
        ),
    ]
