"""Admin pages of contacts, contact lists, providers and the outbox."""

from notifications.admin import contacts, methods, outbox, providers

__all__ = ["contacts", "methods", "outbox", "providers"]
