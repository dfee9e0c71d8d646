"""Reads about contacts, on-call schedules and the outbox."""

from notifications.queries.lists import Rung, last_tick, methods_of, resolve_lists
from notifications.queries.oncall import load_schedules, people_on_call

__all__ = [
    "Rung",
    "last_tick",
    "load_schedules",
    "methods_of",
    "people_on_call",
    "resolve_lists",
]
