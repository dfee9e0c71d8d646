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


class NewerVersionSerializer(serializers.Serializer[Any]):
    """The version in force now, where a clock counts by an older one."""

    number = serializers.IntegerField()
    since = Instant()


class CountedWindowSerializer(serializers.Serializer[Any]):
    """A stretch of open time, and how much of it the clock counted."""

    opens = Instant()
    closes = Instant()
    taken_seconds = Seconds(source="taken")
    paused_seconds = Seconds(source="paused", help_text="What pauses took out of it.")


class PauseSerializer(serializers.Serializer[Any]):
    """When a clock stood still; `until` is null while it still does."""

    since = Instant()
    until = Instant(allow_null=True)


class ExplainedClockSerializer(serializers.Serializer[Any]):
    """One live clock with everything that makes its deadline."""

    kind = serializers.ChoiceField(choices=Clock.Kind.choices)
    name = serializers.CharField(source="label")
    state = serializers.ChoiceField(choices=Clock.State.choices)
    started_at = Instant()
    counted_from = Instant(help_text="Where the windows begin.")
    due_at = Instant(allow_null=True, help_text="Null while it stands still.")
    budget_seconds = Seconds(source="budget")
    used_seconds = Seconds(source="used")
    counted_seconds = Seconds(source="counted", help_text="What the windows add up to.")
    budget_from = serializers.CharField(source="source", help_text="Where its time comes from, in words.")
    path = serializers.CharField()
    path_version = serializers.IntegerField()
    newer_path = NewerVersionSerializer(allow_null=True)
    calendar = serializers.CharField()
    calendar_version = serializers.IntegerField()
    newer_calendar = NewerVersionSerializer(allow_null=True)
    warn_percent = serializers.IntegerField()
    warn_at = Instant(allow_null=True)
    warned_at = Instant(allow_null=True)
    pauses = serializers.SerializerMethodField()
    windows = CountedWindowSerializer(many=True)
    then = serializers.CharField(help_text="What happens when it is due, in words.")

    @extend_schema_field(PauseSerializer(many=True))
    def get_pauses(self, clock: Any) -> Any:
        rows = [{"since": since, "until": until} for since, until in clock.pauses]
        return PauseSerializer(rows, many=True, context=self.context).data


class EndedClockSerializer(serializers.Serializer[Any]):
    """A clock that ended at the current step."""

    name = serializers.CharField(source="label")
    outcome = serializers.CharField()
    at = Instant()


class ExplanationSerializer(Document):
    """Why a ticket's deadlines are when they are: the most urgent clock first."""

    step = serializers.CharField(help_text="Empty for a ticket that stands on no path.")
    path = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    newer = NewerVersionSerializer(allow_null=True)
    clocks = ExplainedClockSerializer(many=True)
    ended = EndedClockSerializer(many=True)
