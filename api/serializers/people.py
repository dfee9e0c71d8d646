"""People, teams and organisations."""

from typing import Any

from rest_framework import serializers

from accounts.models import Role, Tier, User
from accounts.rules import Verb
from api.fields import Instant
from api.serializers.common import Document, NamedSerializer, PersonSerializer


class MeSerializer(Document):
    """Who you are and what you may do."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    organisation = NamedSerializer(allow_null=True)
    teams = NamedSerializer(many=True)
    time_zone = serializers.CharField()
    language = serializers.CharField()
    at_work = serializers.BooleanField()
    may = serializers.SerializerMethodField(
        help_text="The verbs your role allows; which tickets they reach is another matter."
    )

    def get_may(self, user: User) -> list[str]:
        return [verb.value for verb in Verb if user.may(verb)]


class TeamSerializer(Document):
    """People who hold tickets of one tier together."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    tier = serializers.ChoiceField(choices=Tier.choices)
    lead = PersonSerializer(allow_null=True)
    members = PersonSerializer(many=True, source="active_members")
    capacity = serializers.IntegerField(help_text="How many open tickets the team can carry well.")
    is_active = serializers.BooleanField()


class OrganisationSerializer(Document):
    """A customer or a part of the own house whose people open tickets."""

    internal = frozenset({"vip", "domains"})

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    vip = serializers.BooleanField()
    domains: Any = serializers.ListField(child=serializers.CharField())


class TokenSerializer(Document):
    """A token that signs a program in; the token itself is shown once, when it is made."""

    id = serializers.CharField(source="token_key", help_text="The first characters of the token.")
    created_at = Instant(source="created")
    expires_at = Instant(source="expiry", allow_null=True, help_text="Null: never.")
    is_current = serializers.SerializerMethodField(help_text="Whether this request came with it.")

    def get_is_current(self, token: Any) -> bool:
        request = self.context["request"]
        return bool(getattr(request.auth, "digest", None) == token.digest)


class NewTokenSerializer(Document):
    """A token, in full, this once."""

    token = serializers.CharField(
        help_text="For the header `Authorization: Token …`; kept nowhere in this form."
    )
    id = serializers.CharField()
    expires_at = Instant(allow_null=True)
    user = MeSerializer()
