"""Admin pages of contacts, contact lists, on call, providers, message templates and the outbox."""

from notifications.admin import contacts, methods, oncall, outbox, providers, wording

__all__ = ["contacts", "methods", "oncall", "outbox", "providers", "wording"]
