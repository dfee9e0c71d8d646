"""Bring database, ticks and static files up to this release."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from helpdesk import static


class Command(BaseCommand):
    help = "Migrate, write beat's ticks and collect static files; quick when there is nothing to do."
    requires_system_checks: tuple[str, ...] = ()

    def handle(self, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if pending:
            self.stdout.write(f"migrating the database: {len(pending)} steps")
            call_command("migrate", interactive=False, verbosity=0)
        call_command("sync_ticks")
        if count := static.collect():
            self.stdout.write(f"collected {count} static files")
