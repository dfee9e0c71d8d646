"""Create an admin with a password of their own: for an installation that starts without the demo."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Role
from accounts.operations import create_user
from core.errors import Refused


class Command(BaseCommand):
    help = "Create an admin and print a generated password, this once."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="?", default="admin@example.com")
        parser.add_argument("--name", default="Admin")

    def handle(self, *args: Any, email: str, name: str, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        try:
            create_user(email=email, name=name, role=Role.ADMIN, password=password)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"admin {email}, password {password} (shown only now)")
