"""What log lines may not say."""

import re
from collections.abc import MutableMapping
from typing import Any

SECRET_WORDS = ("password", "passwd", "secret", "token", "authorization", "cookie", "api_key", "csrf")
# The address of a private calendar is its own key.
_FEED = re.compile(r"(/oncall/feed/)[^\s/\"']+")


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose name says that they are secret, and keys that stand in addresses."""
    for name, value in event.items():
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "***"
        elif isinstance(value, str) and "/oncall/feed/" in value:
            event[name] = _FEED.sub(r"\1***", value)
    return event
