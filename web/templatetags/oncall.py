"""Template tags of the on-call pages: short instants, exact intervals."""

import datetime as dt
from urllib.parse import urlencode

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from accounts.rules import initials_of
from core import stretches
from notifications.models import OnCallSchedule
from notifications.queries.oncall import Person
from web.oncall import words
from web.oncall.model import Slot
from web.templatetags.belay import zone_of
from web.times import exact_text

register = template.Library()


@register.simple_tag(takes_context=True)
def when(context: Context, value: dt.datetime, zone: dt.tzinfo | None = None) -> SafeString:
    """Write an instant short ("tomorrow 09:00"), in the reader's zone or another, the exact one on hover."""
    text = words.when(value, zone or zone_of(context), context["now"])
    title = exact_text(value, zone_of(context))
    stamp = value.astimezone(dt.UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', stamp, title, text)


@register.simple_tag
def interval(begin: dt.datetime, end: dt.datetime, zone: dt.tzinfo) -> str:
    """Write a stretch of time exactly, in one zone."""
    return stretches.interval(begin, end, zone)


@register.simple_tag
def wall(value: dt.datetime, zone: dt.tzinfo) -> str:
    """Write an instant as a field for date and time takes it, on the wall clock of a zone."""
    return f"{value.astimezone(zone):%Y-%m-%dT%H:%M}"


@register.filter
def initials(name: str) -> str:
    """Return somebody's initials."""
    return initials_of(name)


@register.filter
def has_reader(slot: Slot, user: User) -> bool:
    """Tell whether the reader is among those on call."""
    return slot.has(user.pk)


@register.simple_tag(takes_context=True)
def take_link(
    context: Context, schedule: OnCallSchedule, slot: Slot, now: dt.datetime, person: Person | None = None
) -> SafeString | str:
    """Write a link that takes a shift: to the form that shows what it changes. Nothing for who can't be on call."""
    me = context.get("me")
    if me is None:
        return ""
    zone = words.zone_of(schedule)
    begin = max(slot.begin, now.replace(second=0, microsecond=0))
    asked = {
        "kind": "replace" if person is not None else "add",
        "contact": me,
        "replaces": person.id if person is not None else "",
        "starts_at": wall(begin, zone),
        "ends_at": wall(slot.end, zone),
    }
    text = "Take this shift" if person is None or len(slot.people) == 1 else f"Take over from {person.name}"
    link = f"{reverse('web:oncall_override', args=[schedule.pk])}?{urlencode(asked)}"
    hidden = stretches.interval(slot.begin, slot.end, zone)
    return format_html(
        '<a class="b sm" href="{}">{}<span class="visually-hidden">: {}</span></a>', link, text, hidden
    )
