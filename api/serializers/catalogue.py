"""What tickets are sorted by, and the escalation paths."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Tier
from api.fields import Instant, Seconds
from api.serializers.common import Document, NamedSerializer, PersonSerializer
from escalation.models import PathVersion, Step
from tickets.models import Service, Severity


class ServiceSerializer(Document):
    """Something the organisation runs and tickets are about."""

    internal = frozenset({"owner", "team", "criticality"})

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    owner = PersonSerializer(allow_null=True)
    team = NamedSerializer(allow_null=True)
    criticality = serializers.ChoiceField(choices=Service.Criticality.choices, help_text="1 is vital.")
    is_active = serializers.BooleanField()


class CategorySerializer(Document):
    """A kind of request."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    is_active = serializers.BooleanField()


class CellSerializer(serializers.Serializer[Any]):
    """One cell of the escalation matrix: what one step has at one severity; null where the matrix gives no time."""

    severity = serializers.ChoiceField(choices=Severity.choices)
    acknowledge_within_seconds = Seconds(source="acknowledge_within", allow_null=True)
    work_within_seconds = Seconds(source="work_within", allow_null=True)


class PromiseSerializer(serializers.Serializer[Any]):
    """What requesters are promised at one severity; null where nothing is."""

    severity = serializers.ChoiceField(choices=Severity.choices)
    first_response_seconds = Seconds(source="first_response", allow_null=True)
    next_response_seconds = Seconds(source="next_response", allow_null=True)
    resolution_seconds = Seconds(source="resolution", allow_null=True)
    update_every_seconds = Seconds(source="update_every", allow_null=True)


class StepSerializer(Document):
    """One rung of a path, with its row of the escalation matrix."""

    position = serializers.IntegerField(help_text="From 1, the lowest.")
    name = serializers.CharField()
    tier = serializers.ChoiceField(choices=Tier.choices)
    team = NamedSerializer(allow_null=True)
    mode = serializers.ChoiceField(
        choices=Step.Mode.choices,
        help_text="`transfers`: team and owner change. `involves`: the people at work stay.",
    )
    calendar = NamedSerializer(allow_null=True, help_text="Null: the path's.")
    telling = serializers.ChoiceField(choices=Step.Telling.choices)
    wait_seconds = Seconds(source="wait", help_text="Before the next contact or the next round.")
    rounds = serializers.IntegerField()
    skip_when = serializers.JSONField(
        allow_null=True, help_text="Conditions under which a ticket skips this step; null: never."
    )
    contact_lists = serializers.SerializerMethodField(help_text="Who is told, in order; empty: queue only.")
    matrix = CellSerializer(many=True, source="cells")

    @extend_schema_field(NamedSerializer(many=True))
    def get_contact_lists(self, step: Any) -> Any:
        return [{"id": row.contact_list_id, "name": row.contact_list.name} for row in step.ordered_lists]


class PathVersionSerializer(Document):
    """What a path says now. A ticket keeps the version it entered with."""

    number = serializers.IntegerField()
    calendar = NamedSerializer()
    sev1_round_the_clock = serializers.BooleanField()
    conditions = serializers.JSONField(help_text="Which tickets take this path; empty: all.")
    fallback = NamedSerializer(help_text="The contact told when a step has nobody to reach.")
    hold_pauses = serializers.BooleanField()
    follow_up_days = serializers.IntegerField(help_text="Business days until a waiting ticket comes back.")
    warn_percent = serializers.IntegerField()
    on_first_response_due = serializers.ChoiceField(choices=PathVersion.OnDue.choices)
    on_next_response_due = serializers.ChoiceField(choices=PathVersion.OnDue.choices)
    on_resolution_due = serializers.ChoiceField(choices=PathVersion.OnDue.choices)
    created_at = Instant()
    steps = StepSerializer(many=True, source="ordered_steps")
    promises = PromiseSerializer(many=True, source="ordered_targets")


class PathSerializer(Document):
    """An escalation path with its version in force. The first active one whose conditions match is taken."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    position = serializers.IntegerField(
        help_text="Paths are tried from the lowest position on, the default one last."
    )
    is_default = serializers.BooleanField()
    is_active = serializers.BooleanField()
    version = PathVersionSerializer(source="current", allow_null=True)
