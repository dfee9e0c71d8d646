"""Let people find what was called off and what went elsewhere than by mail; concurrently: it is a big table."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("notifications", "0006_outbox_by_channel"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "withdrawn")), fields=["-id"], name="outbox_withdrawn_latest"
            ),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("channel", "email"), _negated=True),
                fields=["channel", "-id"],
                name="outbox_not_by_mail",
            ),
        ),
    ]
