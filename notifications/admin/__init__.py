"""Admin pages of contacts, contact lists, providers, message templates and the outbox."""

from notifications.admin import contacts, methods, outbox, providers, wording

__all__ = ["contacts", "methods", "outbox", "providers", "wording"]
