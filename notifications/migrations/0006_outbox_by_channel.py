"""Let each channel's senders find their own rows; concurrently, for the outbox is a big table."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("notifications", "0005_on_call_and_channels"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "pending"), models.Q(("channel", "email"), _negated=True)),
                fields=["channel", "due_at", "id"],
                name="outbox_due_elsewhere",
            ),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "dead")), fields=["-id"], name="outbox_dead_latest"
            ),
        ),
    ]
