"""Create an admin with a password of their own and, in an empty house, a first escalation path."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import Role
from accounts.operations import create_user
from core.db import database_now
from core.errors import Refused
from escalation.operations import ensure_default_path


class Command(BaseCommand):
    help = "Create an admin and print a generated password, this once."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="?", default="admin@example.com")
        parser.add_argument("--name", default="Admin")

    def handle(self, *args: Any, email: str, name: str, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        try:
            with transaction.atomic():
                admin = create_user(email=email, name=name, role=Role.ADMIN, password=password)
                path = ensure_default_path(admin=admin, now=database_now())
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"admin {email}, password {password} (shown only now)")
        if path is not None:
            self.stdout.write(
                "first escalation path: Standard, from the service desk to this admin; edit it in admin"
            )
