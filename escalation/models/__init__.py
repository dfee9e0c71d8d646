"""Paths, clocks and escalations."""

from escalation.models.clocks import Clock
from escalation.models.doubts import PathDoubt
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
from escalation.models.recomputing import RecomputeJob

__all__ = [
    "Clock",
    "Escalation",
    "EscalationPath",
    "EscalationRequest",
    "HandoffQuestion",
    "IncidentNews",
    "PathDoubt",
    "PathVersion",
    "RecomputeJob",
    "ServiceTarget",
    "Standing",
    "Step",
    "StepContactList",
    "StepTarget",
]
