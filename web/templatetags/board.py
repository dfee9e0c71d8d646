"""The board's own template tag."""

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from web.board import drawing
from web.board.model import Board, Lane
from web.templatetags.belay import zone_of

register = template.Library()


@register.simple_tag
def draw_chips(lane: Lane) -> SafeString:
    """Write the chips of a lane."""
    return drawing.draw_chips(lane)


@register.simple_tag(takes_context=True)
def draw_table(context: Context, board: Board) -> SafeString:
    """Write the rows of the board as a table."""
    return drawing.draw_table(board, zone=zone_of(context))
