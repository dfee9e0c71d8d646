"""How views describe themselves in the OpenAPI document."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.permissions import AllowAny

from api.idempotency import HEADER
from api.problems import MEDIA_TYPE, problem
from api.serializers.common import ProblemSerializer

_KEY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Makes the request safe to repeat: for 24 hours the same key with the same request changes nothing and "
    "is answered the same; with another request it is refused (422). 1 to 200 visible ASCII characters.",
)

_EXAMPLES = {
    "400": problem(
        "invalid",
        400,
        "severity: “9” is no severity.",
        field="severity",
        value=9,
        mend="Take one of 1, 2, 3, 4.",
        errors=[
            {
                "field": "severity",
                "message": "“9” is no severity.",
                "value": 9,
                "mend": "Take one of 1, 2, 3, 4.",
            }
        ],
    ),
    "401": problem("unauthenticated", 401, "Authentication credentials were not provided."),
    "403": problem("not-allowed", 403, "Robin (Requester) may not escalate.", mend="Ask a lead or an admin."),
    "404": problem("not-found", 404, "There is nothing here that you can see."),
    "409": problem(
        "moved",
        409,
        "#4711 is at Second line since 3 s.",
        field="seq",
        value=1,
        mend="Look again, then decide anew.",
        seq=2,
        tier=2,
    ),
    "413": problem("too-large", 413, "The request has 9,000,000 bytes; at most 1,300,000 are taken here."),
    "415": problem("unsupported-media-type", 415, 'Unsupported media type "text/plain" in request.'),
    "422": problem(
        "key-reused",
        422,
        "This key came with another request before.",
        field=HEADER,
        value="a1",
        mend="Take a new key.",
    ),
    "429": problem("throttled", 429, "Request was throttled.", mend="Wait 12 seconds."),
}

_SAYS = {
    "400": "Something in the request is wrong; it names the field, the value and what would mend it.",
    "401": "No token or session, or one that holds no longer.",
    "403": "You may not do this.",
    "404": "There is nothing here that you can see.",
    "409": "The ticket has changed since you looked, or the first request with this key is still under way.",
    "413": "The body is too large.",
    "415": "The body is neither JSON nor, where files are taken, a form.",
    "422": "The idempotency key came with another request before.",
    "429": "Too many requests; `Retry-After` says how many seconds to wait.",
}


class BelaySchema(AutoSchema):
    """Adds what holds for every operation: the problem documents, the Idempotency-Key."""

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        return [*parameters, _KEY] if self._takes_key() else parameters

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        # What people outside don't get is required of no answer, though it is read-only.
        internal: frozenset[str] = getattr(serializer, "internal", frozenset())
        if internal and "required" in schema:
            schema["required"] = [name for name in schema["required"] if name not in internal]
        return schema

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for status in self._problems():
            example = OpenApiExample(
                _EXAMPLES[status]["title"], _EXAMPLES[status], response_only=True, status_codes=[status]
            )
            answer = OpenApiResponse(ProblemSerializer, _SAYS[status], [example])
            bodies[status] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                answer, status, (MEDIA_TYPE,), direction
            )
        return bodies

    def _problems(self) -> list[str]:
        public = AllowAny in getattr(self.view, "permission_classes", ())
        # Where anybody may knock, a 401 says that they are not who they say.
        found = ["401", "429"] if public else ["401", "403", "429"]
        lists = self._is_list_view()
        if self.method in ("POST", "PATCH"):
            found += ["400", "413", "415"]
        elif lists:
            found += ["400"]
        if "{" in self.path:
            found += ["404"]
        if self._takes_key():
            found += ["409", "422"]
        return sorted(found)

    def _takes_key(self) -> bool:
        handler = getattr(self.view, getattr(self.view, "action", None) or self.method.lower(), None)
        return bool(getattr(handler, "takes_idempotency_key", False))
