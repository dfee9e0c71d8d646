"""Escalation in the admin: paths to edit, their running state to look at."""

from escalation.admin import paths, recomputing, state

__all__ = ["paths", "recomputing", "state"]
