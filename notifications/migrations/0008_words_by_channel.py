"""Let a short form have words for one channel."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0007_outbox_latest"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="messagetemplate",
            name="one_template_per_kind",
        ),
        migrations.AddField(
            model_name="messagetemplate",
            name="channel",
            field=models.CharField(
                blank=True,
                choices=[
                    ("sms", "SMS"),
                    ("slack", "Slack"),
                    ("teams", "Microsoft Teams"),
                    ("mattermost", "Mattermost"),
                    ("telegram", "Telegram"),
                    ("ntfy", "ntfy"),
                    ("apprise", "Another service (Apprise)"),
                    ("webhook", "Webhook"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="messagetemplate",
            constraint=models.UniqueConstraint(
                fields=("kind", "form", "language", "channel"), name="one_template_per_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="messagetemplate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("channel", ""),
                    models.Q(
                        (
                            "channel__in",
                            ["sms", "slack", "teams", "mattermost", "telegram", "ntfy", "apprise", "webhook"],
                        ),
                        ("form", "short"),
                    ),
                    _connector="OR",
                ),
                name="template_channel_known",
            ),
        ),
    ]
