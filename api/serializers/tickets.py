"""Tickets as they are shown."""

import datetime as dt
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Tier
from api.fields import Instant, Seconds
from api.serializers.common import Document, NamedSerializer, PersonSerializer
from escalation.models import Clock, EscalationRequest, Step
from tickets.models import Complexity, EntryKind, Impact, Severity, Source, Status, Ticket, Urgency

INTERNAL = frozenset(
    {
        "severity_overridden",
        "complexity",
        "source",
        "team",
        "tags",
        "seq",
        "reopened_count",
        "merged_into",
        "is_major",
        "incident",
        "historic",
        "next_due_at",
        "tier_due_at",
        "tier_since",
        "unacknowledged_since",
        "set_aside_at",
    }
)


class TicketSerializer(Document):
    """A ticket. Requesters see the public facts; the fields that are not required are for those who work tickets."""

    internal = INTERNAL

    id = serializers.IntegerField(source="pk", help_text="The number people call the ticket by.")
    subject = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    severity = serializers.ChoiceField(choices=Severity.choices, help_text="1 is the worst.")
    severity_overridden = serializers.BooleanField(
        help_text="Set by a person; the matrix no longer changes it."
    )
    impact = serializers.ChoiceField(choices=Impact.choices, help_text="1 is high.")
    urgency = serializers.ChoiceField(choices=Urgency.choices, help_text="1 is high.")
    complexity = serializers.ChoiceField(choices=Complexity.choices)
    tier = serializers.ChoiceField(choices=Tier.choices, help_text="Who holds it; 4 is management.")
    team = NamedSerializer(allow_null=True)
    assignee = PersonSerializer(allow_null=True)
    requester = PersonSerializer()
    organisation = NamedSerializer(allow_null=True)
    service = NamedSerializer(allow_null=True)
    category = NamedSerializer(allow_null=True)
    source: Any = serializers.ChoiceField(choices=Source.choices)
    tags: Any = serializers.ListField(child=serializers.CharField())
    seq = serializers.SerializerMethodField(
        help_text="Which step change this is; the verbs that move the ticket want it. Null: on no path."
    )
    opened_at = Instant()
    resolved_at = Instant(allow_null=True)
    closed_at = Instant(allow_null=True)
    last_requester_at = Instant(allow_null=True, help_text="When the customer last spoke.")
    last_answer_at = Instant(allow_null=True, help_text="When they were last answered.")
    reopened_count = serializers.IntegerField()
    merged_into = serializers.IntegerField(
        source="merged_into_id", allow_null=True, help_text="The ticket that goes on in its place."
    )
    is_major = serializers.BooleanField(help_text="A major incident, to which others can be linked.")
    incident = serializers.IntegerField(
        source="incident_id", allow_null=True, help_text="The major incident that goes on for it."
    )
    historic = serializers.BooleanField(help_text="Imported: it has a past, but no clocks.")
    next_due_at = Instant(allow_null=True, help_text="The next deadline of any kind.")
    tier_due_at = Instant(allow_null=True, help_text="When its time at this tier runs out.")
    tier_since = Instant(allow_null=True)
    unacknowledged_since = Instant(
        allow_null=True, help_text="Since when its step waits for somebody to take it."
    )
    set_aside_at = Instant(
        allow_null=True, help_text="Since when Belay fails to process it; its lead is told."
    )

    def get_seq(self, ticket: Ticket) -> int | None:
        standing = getattr(ticket, "standing", None)
        return standing.seq if standing is not None else None


class RungSerializer(serializers.Serializer[Any]):
    """One step of the ticket's path, seen from the ticket."""

    position = serializers.IntegerField()
    name = serializers.CharField()
    tier = serializers.ChoiceField(choices=Tier.choices)
    team = serializers.CharField(source="team_name", help_text="Empty: no team.")
    mode = serializers.SerializerMethodField()
    place = serializers.ChoiceField(
        source="state",
        choices=[("past", "Below"), ("now", "Here"), ("ahead", "Above")],
        help_text="Seen from where the ticket stands: `past` is below, `ahead` above.",
    )
    since = Instant(allow_null=True, help_text="When the ticket last came here.")
    held_seconds = Seconds(source="held", allow_null=True, help_text="How long it was here in all.")
    contact_lists: Any = serializers.ListField(
        source="list_ids", child=serializers.IntegerField(), help_text="Ids, in order; empty: queue only."
    )
    acknowledge_within_seconds = Seconds(source="acknowledge_within", allow_null=True)
    work_within_seconds = Seconds(source="work_within", allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=Step.Mode.choices))
    def get_mode(self, rung: Any) -> str:
        return Step.Mode.TRANSFERS if rung.transfers else Step.Mode.INVOLVES


class LadderSerializer(serializers.Serializer[Any]):
    """Where the ticket stands on its path."""

    path = serializers.CharField(source="path_name")
    version = serializers.IntegerField()
    seq = serializers.IntegerField(help_text="The verbs that move the ticket want it.")
    step_position = serializers.IntegerField()
    since = Instant()
    acknowledged_at = Instant(allow_null=True)
    acknowledged_by = serializers.CharField(help_text="Empty: nobody yet.")
    unacknowledged_since = Instant(allow_null=True)
    open_request = serializers.SerializerMethodField(help_text="The id of the requester's unanswered wish.")
    steps = RungSerializer(many=True)

    def get_open_request(self, ladder: Any) -> int | None:
        request = ladder.open_request
        return request.pk if request is not None and request.state == EscalationRequest.State.OPEN else None


class TicketDetailSerializer(TicketSerializer):
    """A ticket and where it stands on its path."""

    internal = INTERNAL | {"ladder"}

    ladder = serializers.SerializerMethodField()

    @extend_schema_field(LadderSerializer(allow_null=True))
    def get_ladder(self, ticket: Ticket) -> Any:
        ladder = self.context.get("ladder")
        return LadderSerializer(ladder).data if ladder is not None else None


class AttachmentSerializer(serializers.Serializer[Any]):
    """A file; fetch its bytes from `url`."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    content_type = serializers.CharField(
        help_text="As the sender called it; downloads are always plain bytes."
    )
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    url = serializers.HyperlinkedIdentityField(view_name="api:attachment")


class HandoffSerializer(serializers.Serializer[Any]):
    """What the next tier needs to know."""

    impact = serializers.CharField(required=False)
    tried = serializers.CharField(required=False)
    suspected = serializers.CharField(required=False)
    next_action = serializers.CharField(required=False)


class EntrySerializer(Document):
    """One contribution to the conversation; replies and updates are public."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.ChoiceField(choices=EntryKind.choices)
    is_public = serializers.BooleanField()
    author = PersonSerializer(allow_null=True)
    from_requester = serializers.BooleanField()
    body = serializers.CharField()
    handoff = serializers.SerializerMethodField()
    at = Instant()
    erased_at = Instant(allow_null=True)
    attachments = AttachmentSerializer(many=True)

    @extend_schema_field(HandoffSerializer(allow_null=True))
    def get_handoff(self, entry: Any) -> Any:
        return dict(entry.fields) or None


class EventSerializer(Document):
    """One event of the timeline; `data` holds the facts, `text` what a person wrote with it."""

    seq = serializers.IntegerField(help_text="Counts up per ticket, without gaps.")
    kind = serializers.CharField()
    actor = PersonSerializer(allow_null=True, help_text="Null: Belay itself.")
    at = Instant()
    happened_at = Instant(allow_null=True, help_text="For imported events: when it really happened.")
    data: Any = serializers.JSONField()
    text = serializers.SerializerMethodField()
    hash = serializers.SerializerMethodField(
        help_text="Chains this event to the one before it, in hexadecimal."
    )

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}, "nullable": True})
    def get_text(self, event: Any) -> Any:
        if (entry := getattr(event, "entry", None)) is not None:
            return {"body": entry.body, **entry.fields}
        if (payload := getattr(event, "payload", None)) is not None:
            return payload.text
        return None

    def get_hash(self, event: Any) -> str:
        return bytes(event.hash).hex()


class ClockSerializer(Document):
    """One live deadline of a ticket."""

    id = serializers.IntegerField(source="pk")
    ticket = serializers.IntegerField(source="ticket_id")
    kind = serializers.ChoiceField(choices=Clock.Kind.choices)
    state = serializers.ChoiceField(choices=Clock.State.choices)
    seq = serializers.IntegerField(
        allow_null=True, help_text="The step change it belongs to; null: a promise."
    )
    started_at = Instant()
    due_at = Instant(allow_null=True, help_text="Null while it stands still.")
    warn_at = Instant(allow_null=True)
    warned_at = Instant(allow_null=True)
    budget_seconds = Seconds(source="budget", help_text="Counted inside the calendar's open time.")
    left_seconds = serializers.SerializerMethodField(
        help_text="Until `due_at`, by the wall clock; negative when late, null while it stands still."
    )

    def get_left_seconds(self, clock: Clock) -> float | None:
        if clock.due_at is None:
            return None
        now: dt.datetime = self.context["view"].now
        return round((clock.due_at - now).total_seconds(), 3)
