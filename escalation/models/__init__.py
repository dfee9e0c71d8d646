"""Paths, clocks and escalations."""

from escalation.models.clocks import Clock
from escalation.models.escalations import Escalation, EscalationRequest, Standing
from escalation.models.incidents import IncidentNews
from escalation.models.paths import (
    EscalationPath,
    PathVersion,
    ServiceTarget,
    Step,
    StepContactList,
    StepTarget,
)
from escalation.models.questions import HandoffQuestion

__all__ = [
    "Clock",
    "Escalation",
    "EscalationPath",
    "EscalationRequest",
    "HandoffQuestion",
    "IncidentNews",
    "PathVersion",
    "ServiceTarget",
    "Standing",
    "Step",
    "StepContactList",
    "StepTarget",
]
