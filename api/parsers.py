"""Bodies, with a limit before anything is read."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser, MultiPartParser

from api.problems import TooLarge

# The longest text as escaped JSON (six bytes a character), and room for the rest.
_JSON_LIMIT = 6 * settings.BELAY_MAX_BODY + 100_000
_FORM_LIMIT = settings.BELAY_MAX_FILES * settings.BELAY_MAX_FILE_BYTES + _JSON_LIMIT


class Json(JSONParser):
    """JSON; neither too long nor nested beyond what Python reads."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        check_length(parser_context, _JSON_LIMIT)
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error


class Form(MultiPartParser):
    """multipart/form-data, for requests with files."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        check_length(parser_context, _FORM_LIMIT)
        return super().parse(stream, media_type, parser_context)


def check_length(parser_context: Mapping[str, Any] | None, limit: int) -> None:
    """Refuse a body that says it is longer than `limit` bytes; WSGI reads no further than it says. Raises TooLarge."""
    meta = parser_context["request"].META if parser_context else {}
    try:
        length = int(meta.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise ParseError("The Content-Length is no number.") from error
    if length > limit:
        raise TooLarge(f"The request has {length:,} bytes; at most {limit:,} are taken here.")
