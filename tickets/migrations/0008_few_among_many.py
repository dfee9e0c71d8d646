"""Indexes for lists of the few among a million, and two that narrow a walk along them without a look at each ticket."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Tickets are written meanwhile.
    atomic = False

    dependencies = [
        ("tickets", "0007_incidents_are_major"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("historic", False), ("status__in", ("new", "open", "waiting", "hold"))),
                fields=["team", "tier", "tier_due_at", "id"],
                name="ticket_open_by_team_and_tier",
            ),
        ),
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(
                    ("historic", False),
                    ("severity__lte", 2),
                    ("status__in", ("new", "open", "waiting", "hold")),
                ),
                fields=["severity", "next_due_at", "id"],
                name="ticket_grave_by_due",
            ),
        ),
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("historic", False), ("status__in", ("waiting", "hold"))),
                fields=["next_due_at", "id"],
                name="ticket_waiting_by_due",
            ),
        ),
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("status__in", ("resolved", "closed"))),
                fields=["id"],
                name="ticket_done",
            ),
        ),
        RemoveIndexConcurrently(model_name="ticket", name="ticket_open_by_tier"),
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("historic", False), ("status__in", ("new", "open", "waiting", "hold"))),
                fields=["tier", "tier_due_at", "id", "service", "severity"],
                name="ticket_open_by_tier",
            ),
        ),
        RemoveIndexConcurrently(model_name="ticket", name="ticket_unacknowledged"),
        AddIndexConcurrently(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("unacknowledged_since__isnull", False)),
                fields=["unacknowledged_since", "id", "team", "service", "severity"],
                name="ticket_unacknowledged",
            ),
        ),
    ]
