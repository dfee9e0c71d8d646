"""What several documents share: people and other rows as references, and the problem document."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from accounts.models import User
from accounts.rules import Verb
from api.problems import SLUGS


def sees_inside(context: Mapping[str, Any]) -> bool:
    """Tell whether the caller may see internal facts; the OpenAPI document, which no one calls for, shows them all."""
    if "request" not in context or getattr(context.get("view"), "swagger_fake_view", False):
        return True
    user = context["request"].user
    return isinstance(user, User) and user.may(Verb.READ_NOTES)


class Document(serializers.Serializer[Any]):
    """What the API answers; fields named in `internal` are left out for people outside."""

    internal: frozenset[str] = frozenset()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields: dict[str, serializers.Field[Any, Any, Any, Any]] = super().get_fields()
        if self.internal and not sees_inside(self.context):
            fields = {name: field for name, field in fields.items() if name not in self.internal}
        return fields


class NamedSerializer(Document):
    """A row by id and name."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()


class PersonSerializer(Document):
    """A person; the email address is shown to those who work tickets only."""

    internal = frozenset({"email"})

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    email = serializers.EmailField()


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Which field; dots lead into nested ones.")
    message = serializers.CharField()
    value = serializers.JSONField(
        required=False, allow_null=True, help_text="What was sent; never a password."
    )
    mend = serializers.CharField(help_text="What would be accepted; empty where the message says it.")


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457, application/problem+json)."""

    type = serializers.CharField(
        help_text="The kind of problem, for programs: `urn:belay:problem:` and one of "
        + ", ".join(f"`{slug}`" for slug in SLUGS)
        + "."
    )
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, in a sentence.")
    field = serializers.CharField(required=False, help_text="Which field it is about.")
    value = serializers.JSONField(required=False, allow_null=True, help_text="What was sent.")
    mend = serializers.CharField(required=False, help_text="What to do about it.")
    errors: Any = FieldErrorSerializer(
        many=True, required=False, help_text="All errors of the request, field by field."
    )
    seq = serializers.IntegerField(required=False, help_text="`moved`: where the ticket stands now.")
    tier = serializers.IntegerField(required=False, help_text="`moved`: the tier it is at now.")
