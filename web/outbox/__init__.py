"""The outbox for leads and admins: what was told to whom, what became of it, and another try."""
