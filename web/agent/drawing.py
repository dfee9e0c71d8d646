"""A list's rows as HTML, written directly: as a template they took most of the page's time."""

import datetime as dt
from collections.abc import Iterable, Sequence

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from accounts.models import Tier
from accounts.rules import initials_of
from tickets.models import Severity, Status
from web.agent.listing import Row
from web.times import ago_html, left_html

_ROW = (
    '<tr class="s{severity}{un}" data-row>\n'
    '    <td class="sev-cell"><span class="sev s{severity}">{severity_label}</span></td>\n'
    '    <td class="subject"><a href="{url}" data-open>{subject}</a>'
    '<small><span class="no">#{pk}</span> {requester}{service}</small></td>\n'
    '    <td class="wide with"><b>{tier}</b><small>{team}</small></td>\n'
    '    <td class="owner">{owner}</td>\n'
    '    <td class="wide">{status}</td>\n'
    '    <td class="due">{due}</td>\n'
    "  </tr>"
)
_OWNER = (
    '<span class="person"><span class="av" aria-hidden="true">{initials}</span><span>{name}</span></span>'
)
_NOBODY = '<span class="muted">Nobody</span>'
_TAKE = (
    '<form method="post" action="{url}take/" hx-post="{url}take/" hx-swap="none">'
    '<input type="hidden" name="csrfmiddlewaretoken" value="{token}">'
    '<input type="hidden" name="next" value="{here}"><button class="b sm">Take'
    '<span class="visually-hidden"> #{pk} {subject}</span></button></form>'
)
_TIERS = {int(value): escape(label) for value, label in Tier.choices}
_SEVERITIES = {int(value): escape(label) for value, label in Severity.choices}
_STATUSES = {str(value): escape(label) for value, label in Status.choices}


def draw_rows(rows: Sequence[Row], *, now: dt.datetime, zone: dt.tzinfo, token: str, here: str) -> SafeString:
    """Return the rows; `token` and `here` (where to go back to) are for the forms that take a ticket."""
    # The address of each ticket, without resolving each.
    before, _, after = reverse("web:ticket", args=[0]).partition("0")
    token, here = escape(token), escape(here)
    drawn = (_draw(row, f"{before}{row.ticket.pk}{after}", now, zone, token, here) for row in rows)
    return mark_safe("".join(drawn))  # noqa: S308 every text is escaped


def draw_options(choices: Iterable[tuple[object, str]], chosen: object) -> SafeString:
    """Return the options of a select, with the chosen one marked."""
    wanted = "" if chosen is None else str(chosen)
    return mark_safe(  # noqa: S308 every text is escaped
        "".join(
            f'<option value="{escape(value)}"{" selected" if str(value) == wanted else ""}>{escape(label)}</option>'
            for value, label in choices
        )
    )


def _draw(row: Row, url: str, now: dt.datetime, zone: dt.tzinfo, token: str, here: str) -> str:
    ticket = row.ticket
    subject = escape(ticket.subject)
    organisation = f", {escape(row.organisation)}" if row.organisation else ""
    if ticket.assignee_id is not None:
        owner = _OWNER.format(initials=escape(initials_of(row.assignee)[:2]), name=escape(row.assignee))
    elif ticket.is_open:
        owner = _TAKE.format(url=url, token=token, here=here, pk=ticket.pk, subject=subject)
    else:
        owner = _NOBODY
    return _ROW.format(
        severity=ticket.severity,
        un=" un" if ticket.unacknowledged_since and ticket.is_open else "",
        severity_label=_SEVERITIES[ticket.severity],
        url=url,
        subject=subject,
        pk=ticket.pk,
        requester=f"{escape(row.requester)}{organisation}",
        service=f' <span class="wide">· {escape(row.service)}</span>' if row.service else "",
        tier=_TIERS[ticket.tier],
        team=escape(row.team or "No team"),
        owner=owner,
        status=_STATUSES[ticket.status],
        due=_due(row, now, zone),
    )


def _due(row: Row, now: dt.datetime, zone: dt.tzinfo) -> str:
    ticket = row.ticket
    left = left_html(row.due_at, row.share, now=now, zone=zone) if row.due_at else ""
    if ticket.unacknowledged_since and ticket.is_open:
        since = ago_html(ticket.unacknowledged_since, "since", now=now, zone=zone)
        return f'<b class="late">unacknowledged</b><small>for {since}{f", {left}" if left else ""}</small>'
    if left:
        return f"{left}<small>{escape(row.what)}</small>"
    if ticket.is_open:
        return '<span class="muted">no clock runs</span>'
    return ago_html(ticket.opened_at, now=now, zone=zone)
