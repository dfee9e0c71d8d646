"""The kinds of timeline events and of notifications that escalation adds."""

# Timeline events; `data` in brackets.
ENTERED = "escalation.entered"  # seq, to (step), tier, path, version
# seq, kind, trigger, from, to (steps), from_tier, to_tier, late_seconds, co_triggers
ESCALATED = "escalation.escalated"
TOLD_AGAIN = "escalation.told_again"  # seq, trigger, step: the top repeats, or a ticket reopened where it was
TOLD = "escalation.told"  # seq, round, step, contacts, fallback
NOBODY = "escalation.nobody"  # seq, round, step: neither list nor fallback nor admin could be told
ACKNOWLEDGED = "escalation.acknowledged"  # seq, via, contact, after_seconds
PASSED_ON = "escalation.passed_on"  # seq, contact, round
WARNED = "escalation.warned"  # clock, due_at, sent
DUE = "escalation.due"  # clock, due_at, late_seconds
FOLLOWED_UP = "escalation.followed_up"  # from (status)
REQUESTED = "escalation.requested"  # seq, request
REQUEST_ANSWERED = "escalation.request_answered"  # seq, request, state
CONSULTED = "escalation.consulted"  # seq, to, to_name, to_tier, contacts, fallback
SENT_BACK = "escalation.sent_back"  # seq, question, to (user): nothing moves
QUESTION_PASSED = "escalation.question_passed"  # seq, question, to (user): the sender's lead is asked
QUESTION_UNANSWERED = "escalation.question_unanswered"  # seq, question
QUESTION_ANSWERED = "escalation.question_answered"  # seq, question
SUSPENDED = "escalation.suspended"  # incident: it goes on for this ticket
RESUMED = "escalation.resumed"  # incident that is over; null: the ticket was unlinked
INCIDENT_UPDATED = "escalation.incident_updated"  # incident, news, clock (which the update keeps, or null)
SET_ASIDE = "escalation.set_aside"  # failures
DEAD_LETTER = "escalation.dead_letter"  # notification, contact, next (method, contact or nobody)
# what (path or calendar), name, from, to (numbers of versions), moved ([clock, outcome, from, to]), job
APPLIED = "escalation.applied"

# Notifications.
TELL = "escalation.told"
TELL_FALLBACK = "escalation.fallback"
TELL_LEAD = "escalation.lead"
TELL_OWNER = "escalation.owner"
TELL_REQUEST = "escalation.requested"
TELL_ANSWER = "escalation.answered"
TELL_CONSULT = "escalation.consulted"
TELL_QUESTION = "escalation.question"
TELL_QUESTION_ANSWER = "escalation.question_answer"
TELL_INCIDENT_UPDATE = "escalation.incident_update"
TELL_SET_ASIDE = "escalation.set_aside"
