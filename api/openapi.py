"""What the OpenAPI document says about the API as a whole; settings take it from here, so it imports nothing."""

DESCRIPTION = """\
The REST API of Belay, the helpdesk that drops no ticket between two people.

**Signing in.** `POST /api/v1/auth/token/` gives a token; send it as `Authorization: Token …`. Browsers may use their
session with Django's CSRF token. What you see and may do is what you see and may do on the pages.

**Values.** Instants are ISO 8601 in UTC. Durations are numbers of seconds; their names end in `_seconds`. Severities
are 1 (the worst) to 4, tiers 1 to 4, of which 4 is management. Unknown fields and parameters are refused, not ignored.

**Lists** come as `{"next": URL or null, "results": […]}`. Follow `next`; rows that are added meanwhile shift nothing.

**Verbs that move a ticket** or ask another step (`escalate`, `deescalate`, `acknowledge`, `consult`, `send-back`,
`answer`) want the `seq` you saw. If the ticket has moved since, nothing happens: the answer is 409, its `type`
`urn:belay:problem:moved`, with the `seq` and `tier` it has now.

**Repeating a request.** Every POST on tickets takes an `Idempotency-Key`: sent again with the same key within 24 hours
it changes nothing and is answered the same, with the header `Idempotent-Replayed: true`.

**Errors** are problem documents (RFC 9457) that name the field, the value and what would mend it.
"""

SETTINGS = {
    "TITLE": "Belay",
    "DESCRIPTION": DESCRIPTION,
    "VERSION": "1",
    "LICENSE": {"name": "MIT"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "TAGS": [
        {"name": "tickets", "description": "Open, find and work tickets; move them along their path."},
        {"name": "attachments", "description": "Files that came with a conversation."},
        {"name": "escalations", "description": "Every change of step, of all tickets."},
        {"name": "escalation-requests", "description": "The requesters' wishes that their tickets climb."},
        {"name": "clocks", "description": "Every running deadline."},
        {"name": "notifications", "description": "Who was told what, and whether it arrived."},
        {"name": "paths", "description": "Escalation paths with their matrix."},
        {"name": "teams", "description": "Who holds tickets."},
        {"name": "services", "description": "What tickets are about."},
        {"name": "categories", "description": "Kinds of requests."},
        {"name": "organisations", "description": "Whose people open tickets."},
        {"name": "me", "description": "Who is calling."},
        {"name": "auth", "description": "Tokens."},
    ],
    "ENUM_NAME_OVERRIDES": {
        "Tier": "accounts.models.Tier",
        "Role": "accounts.models.Role",
        "Status": "tickets.models.Status",
        "Severity": "tickets.models.Severity",
        # Impact and urgency are the same three words.
        "Level": "tickets.models.Impact",
        "Complexity": "tickets.models.Complexity",
        "Source": "tickets.models.Source",
        "Criticality": "tickets.models.Service.Criticality",
        "EntryKind": "tickets.models.EntryKind",
        "ClockKind": "escalation.models.Clock.Kind",
        "ClockState": "escalation.models.Clock.State",
        "EscalationKind": "escalation.models.Escalation.Kind",
        "EscalationTrigger": "escalation.models.Escalation.Trigger",
        "HandoffQuestionState": "escalation.models.HandoffQuestion.State",
        "EscalationRequestState": "escalation.models.EscalationRequest.State",
        "StepMode": "escalation.models.Step.Mode",
        "Telling": "escalation.models.Step.Telling",
        "OnDue": "escalation.models.PathVersion.OnDue",
        "NotificationState": "notifications.models.Notification.State",
        "Channel": "notifications.models.ContactMethod.Channel",
        "Place": [("past", "Below"), ("now", "Here"), ("ahead", "Above")],
    },
}
