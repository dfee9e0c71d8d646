"""The board's own template tag."""

from django import template
from django.utils.safestring import SafeString

from web.board import drawing
from web.board.model import Lane

register = template.Library()


@register.simple_tag
def draw_chips(lane: Lane) -> SafeString:
    """Write the chips of a lane."""
    return drawing.draw_chips(lane)
