"""What came of joining tickets."""

from rest_framework import serializers

from api.serializers.common import Document


class ResolvedSerializer(Document):
    """How many tickets were resolved."""

    resolved = serializers.IntegerField()
