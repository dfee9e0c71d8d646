"""Decisions about contacts, on-call schedules and delivery; pure."""
