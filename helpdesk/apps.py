"""The shell as a Django app: it carries the commands that start and watch everything."""

from django.apps import AppConfig


class HelpdeskConfig(AppConfig):
    """Makes the Celery app current, so that `shared_task` finds it."""

    name = "helpdesk"

    def ready(self) -> None:
        from helpdesk import celery  # noqa: F401
