"""Reads about contacts, on-call schedules and the outbox."""

from notifications.queries.lists import Rung, last_tick, methods_of, resolve_lists
from notifications.queries.oncall import OnCall, load_schedules, on_call_now, people_on_call

__all__ = [
    "OnCall",
    "Rung",
    "last_tick",
    "load_schedules",
    "methods_of",
    "on_call_now",
    "people_on_call",
    "resolve_lists",
]
