"""Every change of state of escalation; pages, API, admin, mail links and engine all come through here."""

from escalation.operations.acknowledging import AlreadyAcknowledged, Moved, NotOnPath, acknowledge, pass_on
from escalation.operations.by_hand import (
    decline_request,
    deescalate,
    escalate,
    grant_request,
    request_escalation,
)
from escalation.operations.consulting import Consultation, consult
from escalation.operations.doubts import record_doubts
from escalation.operations.first_path import ensure_default_path
from escalation.operations.history import LoggedMove, LoggedTaking, record_moves
from escalation.operations.publishing import PathSpec, PromiseSpec, StepSpec, publish_path
from escalation.operations.sending_back import answer_question, send_back

__all__ = [
    "AlreadyAcknowledged",
    "Consultation",
    "LoggedMove",
    "LoggedTaking",
    "Moved",
    "NotOnPath",
    "PathSpec",
    "PromiseSpec",
    "StepSpec",
    "acknowledge",
    "answer_question",
    "consult",
    "decline_request",
    "deescalate",
    "ensure_default_path",
    "escalate",
    "grant_request",
    "pass_on",
    "publish_path",
    "record_doubts",
    "record_moves",
    "request_escalation",
    "send_back",
]
