"""The one signal that tickets send."""

from django.dispatch import Signal

# Sent once per outermost operation, inside its transaction, with `events` (the batch's timeline events, each with
# its locked `ticket`) and `work` (the operation under way), by `send`: a failing receiver rolls everything back.
# Only notifications and escalation receive it; a test pins the list. What receivers record is sent in a further
# round, to a bounded depth. Everything else reads the timeline by a cursor (DESIGN 2).
ticket_events = Signal()
