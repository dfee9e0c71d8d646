"""Chips as HTML, written directly: a template include for each of 240 chips took most of the page's time."""

import datetime as dt

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from web.board.model import Board, Chip, Lane
from web.times import ago_html, left_html

_CHIP = (
    '<li class="{classes}" id="c{id}"{due}{untaken} data-tier="{tier}"><a href="/t/{id}/">'
    '<span class="what"><b>{id}</b> {subject}</span><em aria-hidden="true">{label}</em>'
    '<span class="visually-hidden">{words}</span></a></li>'
)
_ROW = (
    '<tr id="r{id}"{untaken}>\n'
    '        <th scope="row"><a href="/t/{id}/">{id} {subject}</a></th>\n'
    '        <td><span class="sev s{severity}">{severity_label}</span></td>\n'
    "        <td>{tier}</td>\n"
    "        <td>{left}</td>\n"
    "        <td>{waits}</td>\n"
    "        <td>{team}</td>\n"
    "        <td>{assignee}</td>\n"
    "      </tr>"
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


def draw_table(board: Board, *, zone: dt.tzinfo) -> SafeString:
    """Return the chips as rows of a table, the one that climbs first on top."""
    return mark_safe("".join(_row(chip, zone) for chip in board.chips))  # noqa: S308 every text is escaped


def _row(chip: Chip, zone: dt.tzinfo) -> str:
    left: str = escape(chip.time_text)
    waits = "no"
    if chip.due_at is not None:
        left = f'<span class="{chip.heat}">{left_html(chip.due_at, None, now=chip.now, zone=zone)}</span>'
    if chip.unacknowledged_since is not None:
        since = ago_html(chip.unacknowledged_since, "since", now=chip.now, zone=zone)
        waits = f'<span class="late">since {since}</span>'
    return _ROW.format(
        id=chip.id,
        untaken=' class="un"' if chip.untaken else "",
        subject=escape(chip.subject),
        severity=chip.severity,
        severity_label=escape(chip.severity_label),
        tier=escape(chip.tier_label),
        left=left,
        waits=waits,
        team=escape(chip.team or "no team"),
        assignee=escape(chip.assignee or "nobody"),
    )
