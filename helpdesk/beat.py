"""Beat's scheduler: the one that keeps its schedule in the database, made proof against a clock that was set back."""

import datetime as dt

from celery.schedules import schedstate
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry


class Entry(ModelEntry):
    """A task and when it was last rung."""

    last_run_at: dt.datetime

    def is_due(self) -> schedstate:
        """Take a last time that lies in the future for now: it was written by another clock, or before a correction.

        Otherwise nothing would be rung until this clock has caught up.
        """
        self.last_run_at = min(self.last_run_at, self._default_now())
        state: schedstate = super().is_due()
        return state


class Scheduler(DatabaseScheduler):
    """Celery beat's scheduler (settings.CELERY_BEAT_SCHEDULER)."""

    Entry = Entry
