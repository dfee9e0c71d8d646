"""Let each channel's senders find their own rows; concurrently, for the outbox is a big table."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
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
                condition=models.Q(("state", "pending")),
                fields=["channel", "due_at", "id"],
                name="outbox_due_by_channel",
            ),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "sending")),
                fields=["channel", "lease_until", "id"],
                name="outbox_leased_by_channel",
            ),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "dead")), fields=["-id"], name="outbox_dead_latest"
            ),
        ),
        RemoveIndexConcurrently(
            model_name="notification",
            name="outbox_due",
        ),
        RemoveIndexConcurrently(
            model_name="notification",
            name="outbox_leased",
        ),
    ]
