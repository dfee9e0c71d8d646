"""The desk's own template tags."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from web.agent import drawing
from web.agent.listing import Row
from web.templatetags.belay import zone_of

register = template.Library()


@register.simple_tag(takes_context=True)
def draw_rows(context: Context, rows: Sequence[Row]) -> SafeString:
    """Write the rows of a list of tickets."""
    return drawing.draw_rows(
        rows,
        now=context["now"],
        zone=zone_of(context),
        token=str(context["csrf_token"]),
        here=context["request"].get_full_path(),
    )


@register.simple_tag
def draw_options(choices: Iterable[tuple[Any, str]], chosen: object) -> SafeString:
    """Write the options of a select."""
    return drawing.draw_options(choices, chosen)
