"""Template tags shared by all pages: icons, times, severities, people."""

import datetime as dt
import re
import zoneinfo
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.template import Context
from django.utils import timezone
from django.utils.html import escape, format_html, urlize
from django.utils.safestring import SafeString, mark_safe

from accounts.models import Tier, User
from accounts.rules import Verb
from core.durations import spoken, written
from core.mailsink import sink_in_use
from escalation import watchdog
from tickets.models import Severity, Status
from web import alarm as alarms
from web.shell import THEME_COOKIE, THEMES, arrive
from web.times import ago_html, ago_text, exact_text, left_html

register = template.Library()

# All that Django's urlize makes links of has one of these in it.
_MAY_LINK = re.compile(r"https?://|www\.|@|\.(?:com|edu|gov|int|mil|net|org)", re.IGNORECASE)
_ICON_NAME = re.compile(r"(?:filled/)?[a-z0-9-]+")


@cache
def _icon(name: str, size: int) -> str:
    if not _ICON_NAME.fullmatch(name):
        raise template.TemplateSyntaxError(f"“{name}” is no icon name.")
    folder = "" if "/" in name else "outline/"
    text = (Path(settings.BELAY_ICONS) / f"{folder}{name}.svg").read_text(encoding="utf-8")
    paths = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    paths = " ".join(paths.replace('<path stroke="none" d="M0 0h24v24H0z" fill="none" />', "").split())
    paint = 'fill="currentColor"' if folder == "" else 'fill="none" stroke="currentColor" stroke-width="1.75"'
    return (
        f'<svg class="ic" width="{size}" height="{size}" viewBox="0 0 24 24" {paint} stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true" focusable="false">{paths}</svg>'
    )


@register.simple_tag
def icon(name: str, size: int = 18) -> SafeString:
    """Write an icon of @tabler/icons into the page; it is decoration, so the text beside it must say it all."""
    return mark_safe(_icon(name, size))  # noqa: S308 - the file is the package's own


def zone_of(context: Context) -> dt.tzinfo:
    """Return the reader's time zone; UTC for people who are not signed in."""
    user = getattr(context.get("request"), "user", None) or context.get("user")
    try:
        return zoneinfo.ZoneInfo(getattr(user, "time_zone", "") or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def _now(context: Context) -> dt.datetime:
    now = context.get("now")
    return now if isinstance(now, dt.datetime) else timezone.now()


@register.simple_tag(takes_context=True)
def ago(context: Context, value: dt.datetime | None, style: str = "ago") -> SafeString | str:
    """Write an instant relative to now, with the exact instant in the reader's zone as its title.

    Style "since" writes the bare duration ("36 min"). The page's script keeps both fresh.
    """
    if value is None:
        return ""
    return ago_html(value, style, now=_now(context), zone=zone_of(context))


@register.filter(name="ago")
def ago_filter(value: dt.datetime | None, now: dt.datetime | None = None) -> str:
    """Return the relative text alone."""
    return ago_text(value, now or timezone.now()) if value else ""


@register.simple_tag(takes_context=True)
def exact(context: Context, value: dt.datetime | None) -> SafeString | str:
    """Write the exact instant in the reader's zone."""
    if value is None:
        return ""
    text = exact_text(value, zone_of(context))
    return format_html(
        '<time datetime="{}">{}</time>', value.astimezone(dt.UTC).isoformat(timespec="seconds"), text
    )


@register.simple_tag(takes_context=True)
def left(context: Context, due: dt.datetime | None, share: float | None = None) -> SafeString | str:
    """Write the time left until `due`, coloured by the share of its budget that is spent (0..1)."""
    if due is None:
        return ""
    return left_html(due, share, now=_now(context), zone=zone_of(context))


@register.filter
def linked(text: str) -> SafeString:
    """Return what somebody wrote, escaped, with its addresses as links: Django's urlize where it would find any."""
    if _MAY_LINK.search(text):
        return mark_safe(urlize(text, nofollow=True, autoescape=True))  # noqa: S308 urlize escapes
    # Most texts have none, and urlize looks at each of their words.
    return escape(text)


@register.filter
def duration(value: dt.timedelta | float | None) -> str:
    """Return a duration (or a number of seconds) as people say it: "2 h 06"."""
    if value is None:
        return ""
    return spoken(value if isinstance(value, dt.timedelta) else dt.timedelta(seconds=value))


@register.filter
def exactly(value: dt.timedelta | None) -> str:
    """Return a duration to the second, so that a column of them can be added up: "1 h 30 min"."""
    return written(value)


@register.simple_tag
def severity(value: int) -> SafeString:
    """Write the badge of a severity (1..4)."""
    return format_html('<span class="sev s{}">{}</span>', int(value), Severity(value).label)


@register.filter
def tier_label(value: int | None) -> str:
    """Return "L1" .. "Management"."""
    return str(Tier(value).label) if value else ""


@register.filter
def status_label(value: str) -> str:
    """Return a status as people read it."""
    return str(Status(value).label) if value in Status.values else value


@register.simple_tag
def avatar(person: User | None, size: str = "") -> SafeString:
    """Write a person's initials in a disc; decoration, the name must stand beside it."""
    initials = (person.initials or person.email[:1].upper())[:2] if person is not None else "B"
    kinds = " ".join(filter(None, ["av", size, "" if person else "own"]))
    return format_html('<span class="{}" aria-hidden="true">{}</span>', kinds, initials)


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """Return the theme this browser chose, or "" to follow the system."""
    request = context.get("request")
    chosen = request.COOKIES.get(THEME_COOKIE, "") if request is not None else ""
    return chosen if chosen in THEMES else ""


@register.simple_tag(takes_context=True)
def to_acknowledge(context: Context) -> str:
    """Return how many escalations wait for a person; counted here unless the view has (`web.shell.arrive`)."""
    request = context.get("request")
    if request is None:
        return ""
    if not hasattr(request, "waiting"):
        arrive(request)
    return str(request.waiting)


@register.simple_tag(takes_context=True)
def unread(context: Context) -> str:
    """Return how much of this reader's bell is new; counted together with what waits (`web.shell.arrive`)."""
    request = context.get("request")
    if request is None:
        return ""
    if not hasattr(request, "unread"):
        arrive(request)
    return str(request.unread)


@register.simple_tag(takes_context=True)
def hears_alarms(context: Context) -> bool:
    """Tell whether this reader is told when the engine is behind."""
    request = context.get("request")
    return request is not None and alarms.hears_alarms(getattr(request, "user", None))


@register.simple_tag(takes_context=True)
def engine_alarm(context: Context) -> alarms.Banner | None:
    """Return the alarm for this reader; looked at here, with what the bar counts, unless it was seen lately."""
    request = context["request"]
    vitals = watchdog.kept()
    if vitals is None:
        arrive(request)
        vitals = watchdog.kept()
    return alarms.banner(vitals)


@register.simple_tag
def attrs(**values: Any) -> SafeString:
    """Write the attributes that have a value; underscores become hyphens."""
    pairs = [
        (name.replace("_", "-"), value) for name, value in values.items() if value not in (None, "", False)
    ]
    return mark_safe(" ".join(format_html('{}="{}"', name, value) for name, value in pairs))  # noqa: S308


@register.simple_tag
def reads_caught_mails(user: User) -> bool:
    """Tell whether there are caught mails and this person may read them."""
    return user.may(Verb.LEAD) and sink_in_use()
