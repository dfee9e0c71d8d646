"""Admin pages of contacts, contact lists, on call and the outbox."""

from notifications.admin import contacts, oncall, outbox

__all__ = ["contacts", "oncall", "outbox"]
