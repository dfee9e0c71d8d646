"""Contacts and contact lists as CSV: how they are written, read, and what reading them would change. Pure."""
