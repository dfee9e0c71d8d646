"""Escalations, wishes for one, and notifications as they are shown."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Tier
from api.fields import Instant, Seconds
from api.serializers.common import Document, NamedSerializer, PersonSerializer
from api.serializers.tickets import HandoffSerializer
from escalation.models import Clock, Escalation, EscalationRequest
from notifications.models import ContactMethod, Notification


class StepRefSerializer(serializers.Serializer[Any]):
    """A step by its place on the path."""

    position = serializers.IntegerField()
    name = serializers.CharField()
    tier = serializers.ChoiceField(choices=Tier.choices)


class CoTriggerSerializer(serializers.Serializer[Any]):
    """Another clock that was due at the same time, spent with this escalation."""

    kind = serializers.ChoiceField(choices=Clock.Kind.choices)
    due_at = serializers.DateTimeField()


class PathRefSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="path_id")
    name = serializers.CharField(source="path.name")
    version = serializers.IntegerField(source="number")


class EscalationSerializer(Document):
    """One change of step of one ticket, up or down, numbered by `seq`."""

    id = serializers.IntegerField(source="pk")
    ticket = serializers.IntegerField(source="ticket_id")
    seq = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Escalation.Kind.choices)
    trigger = serializers.ChoiceField(choices=Escalation.Trigger.choices)
    co_triggers = CoTriggerSerializer(many=True)
    path = PathRefSerializer(source="path_version", allow_null=True)
    from_step = StepRefSerializer(allow_null=True)
    to_step = StepRefSerializer(allow_null=True)
    from_tier = serializers.ChoiceField(choices=Tier.choices, allow_null=True)
    to_tier = serializers.ChoiceField(choices=Tier.choices)
    at = Instant()
    due_at = Instant(allow_null=True, help_text="The deadline that caused it.")
    late_seconds = Seconds(source="late_by", allow_null=True, help_text="How long after it Belay decided.")
    actor = PersonSerializer(allow_null=True, help_text="Null: Belay itself.")
    reason = serializers.SerializerMethodField(help_text="What the person wrote; empty for clocks.")
    handoff = serializers.SerializerMethodField()
    acknowledged_at = Instant(allow_null=True)
    acknowledged_by = PersonSerializer(allow_null=True)
    acknowledged_contact = NamedSerializer(allow_null=True)
    acknowledged_via = serializers.CharField()
    historic = serializers.BooleanField()

    @extend_schema_field(HandoffSerializer(allow_null=True))
    def get_handoff(self, escalation: Escalation) -> Any:
        return dict(escalation.handoff.fields) or None if escalation.handoff is not None else None

    def get_reason(self, escalation: Escalation) -> str:
        reasons: dict[tuple[int, int], str] = self.context.get("reasons", {})
        return reasons.get((escalation.ticket_id, escalation.seq), "")


class EscalationRequestSerializer(Document):
    """The requester's wish that the ticket climbs; once per step, granted or declined by a lead."""

    id = serializers.IntegerField(source="pk")
    ticket = serializers.IntegerField(source="ticket_id")
    seq = serializers.IntegerField()
    requested_by = PersonSerializer()
    reason = serializers.CharField()
    requested_at = Instant()
    state = serializers.ChoiceField(choices=EscalationRequest.State.choices)
    answered_at = Instant(allow_null=True)
    answered_by = PersonSerializer(allow_null=True)
    answer = serializers.CharField()


class NotificationSerializer(Document):
    """One message to one contact; `dead` ones have failed for good."""

    id = serializers.IntegerField(source="pk")
    ticket = serializers.IntegerField(source="ticket_id", allow_null=True)
    kind = serializers.CharField()
    seq = serializers.IntegerField(allow_null=True, help_text="The step change it tells of.")
    round = serializers.IntegerField(allow_null=True)
    contact = NamedSerializer(allow_null=True)
    user = PersonSerializer(allow_null=True)
    channel = serializers.ChoiceField(choices=ContactMethod.Channel.choices)
    address = serializers.CharField()
    state = serializers.ChoiceField(choices=Notification.State.choices)
    attempts = serializers.IntegerField()
    created_at = Instant()
    due_at = Instant()
    sent_at = Instant(allow_null=True)
    dead_at = Instant(allow_null=True)
    withdrawn_at = Instant(allow_null=True)
    answer = serializers.CharField(help_text="What the receiving side said last.")
