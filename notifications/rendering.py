"""Messages are rendered when they are sent; each app registers how its kinds read."""

from collections.abc import Callable
from dataclasses import dataclass

from notifications.models import Notification


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to go out: a subject line, plain text, and HTML built by an autoescaped template."""

    subject: str
    text: str
    html: str = ""


class UnknownKind(LookupError):
    """Say that nobody registered how this kind of notification reads."""


Renderer = Callable[[Notification], Rendered]
_renderers: dict[str, Renderer] = {}


def register_renderer(kind: str, render: Renderer) -> None:
    """Register how notifications of `kind` read; called from an app's `ready()`."""
    _renderers[kind] = render


def render(notification: Notification) -> Rendered:
    """Render one notification. Raises UnknownKind."""
    try:
        renderer = _renderers[notification.kind]
    except KeyError as error:
        raise UnknownKind(f"nobody renders “{notification.kind}”") from error
    return renderer(notification)
