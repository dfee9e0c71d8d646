"""Escalation in the admin: paths to edit, their running state to look at."""

from escalation.admin import paths, state

__all__ = ["paths", "state"]
