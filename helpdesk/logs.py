"""What log lines may not say."""

from collections.abc import MutableMapping
from typing import Any

SECRET_WORDS = ("password", "passwd", "secret", "token", "authorization", "cookie", "api_key", "csrf")


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose name says that they are secret."""
    for name in event:
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "***"
    return event
