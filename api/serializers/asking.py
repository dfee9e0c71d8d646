"""What one step asks another, as it is shown."""

from typing import Any

from rest_framework import serializers

from accounts.models import Tier
from api.fields import Instant
from api.serializers.common import Document, PersonSerializer
from escalation.models import HandoffQuestion


class ConsultationSerializer(Document):
    """A higher step that was asked for help: who was told, once."""

    ticket = serializers.IntegerField(source="ticket_id")
    seq = serializers.IntegerField()
    to_position = serializers.IntegerField()
    to_name = serializers.CharField()
    to_tier = serializers.ChoiceField(choices=Tier.choices)
    contacts: Any = serializers.ListField(
        source="contact_ids", child=serializers.IntegerField(), help_text="The contacts that were told."
    )
    at = Instant()


class HandoffQuestionSerializer(Document):
    """A question sent back to whoever escalated; once per handoff."""

    id = serializers.IntegerField(source="pk")
    ticket = serializers.IntegerField(source="ticket_id")
    seq = serializers.IntegerField(help_text="The escalation it is about.")
    asked_by = PersonSerializer()
    asked_to = PersonSerializer()
    lead = PersonSerializer(allow_null=True, help_text="Asked next, and may answer instead.")
    question = serializers.CharField()
    asked_at = Instant()
    state = serializers.ChoiceField(choices=HandoffQuestion.State.choices)
    answered_at = Instant(allow_null=True)
    answered_by = PersonSerializer(allow_null=True)
    answer = serializers.SerializerMethodField(help_text="The note that answers it; empty: none yet.")

    def get_answer(self, question: HandoffQuestion) -> str:
        return question.answer.body if question.answer is not None else ""
