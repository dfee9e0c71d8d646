#!/usr/bin/env python
"""Belay's commands. Finds or starts the database and the broker first, where none are named."""

import os
import sys

from helpdesk import embedded, environment

# Commands that touch neither server; `up` starts the servers itself, as it also stops them.
WITHOUT_SERVERS = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "help",
    "mailsink",
    "process",
    "makemessages",
    "spectacular",
    "startapp",
    "up",
    "version",
}


def main() -> None:
    """Run one command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")
    try:
        environment.load()
        command = sys.argv[1] if len(sys.argv) > 1 else "help"
        if command in WITHOUT_SERVERS or command.startswith("-") or "--help" in sys.argv:
            run()
        else:
            with embedded.servers():
                run()
    except environment.ConfigurationError as error:
        sys.exit(f"belay: {error}")


def run() -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
