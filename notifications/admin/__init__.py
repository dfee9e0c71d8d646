"""Admin pages of contacts, contact lists and the outbox."""

from notifications.admin import contacts, outbox, wording

__all__ = ["contacts", "outbox", "wording"]
