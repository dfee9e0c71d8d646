"""Chips as HTML, written directly: a template include for each of 240 chips took most of the page's time."""

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from web.board.model import Chip, Lane

_CHIP = (
    '<li class="{classes}" id="c{id}"{due}{untaken} data-tier="{tier}"><a href="/t/{id}/">'
    '<span class="what"><b>{id}</b> {subject}</span><em aria-hidden="true">{label}</em>'
    '<span class="visually-hidden">{words}</span></a></li>'
)


def draw_chips(lane: Lane) -> SafeString:
    """Return a lane's chips, the most urgent first, each with the classes that place it where no script runs."""
    return mark_safe("".join(_draw(chip, row) for chip, row in lane.placed))  # noqa: S308 every text is escaped


def _draw(chip: Chip, row: int) -> str:
    column = chip.column
    classes = ["chip", f"s{chip.severity}", f"t{column // 10}", f"u{column % 10}", f"r{row}"]
    if chip.untaken:
        classes.append("un")
    if chip.set_aside_at is not None:
        classes.append("aside")
    if chip.heat:
        classes.append(chip.heat)
    return _CHIP.format(
        classes=" ".join(classes),
        id=chip.id,
        due="" if chip.due_ms is None else f' data-due="{chip.due_ms}"',
        untaken=" data-un" if chip.untaken else "",
        tier=chip.tier,
        subject=escape(chip.subject),
        label=escape(chip.label),
        words=escape(chip.words),
    )
