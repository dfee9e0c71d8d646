"""What one step asks another, as it is shown."""

from typing import Any

from rest_framework import serializers

from accounts.models import Tier
from api.fields import Instant
from api.serializers.common import Document


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
