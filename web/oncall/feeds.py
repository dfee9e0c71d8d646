"""Private iCal addresses: one's own shifts, or one schedule, for a calendar that can't sign in."""

import datetime as dt
import hashlib
import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.core.signing import BadSignature, Signer
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_POST, require_safe
from icalendar import Calendar, Event

from accounts.rules import Verb
from core.db import database_now
from notifications.models import CalendarFeed, OnCallSchedule
from notifications.operations import feed_of, renew_feed
from notifications.queries.oncall import Roster, load_rosters
from notifications.rules.oncall import on_call, shifts_of
from web.doors import back_to
from web.shell import SignedIn, may

BACK, AHEAD = dt.timedelta(days=30), dt.timedelta(days=180)
# Shifts are followed to where they begin and end, so that each is the same one from day to day.
BEYOND = dt.timedelta(days=70)
REFRESH = dt.timedelta(hours=1)
_signer = Signer(salt="belay.oncall.feed", sep=".")


def address_of(request: SignedIn, schedule: OnCallSchedule | None) -> str:
    """Return a person's private address of their own shifts or of a schedule; "" where they have made none yet."""
    feed = CalendarFeed.objects.filter(user=request.user, schedule=schedule).first()
    return _address(feed) if feed is not None else ""


@require_POST
@may(Verb.WATCH)
def make(request: SignedIn) -> HttpResponse:
    """Make an address, or a new one that makes the old one worthless."""
    number = request.POST.get("schedule", "")
    schedule = (
        get_object_or_404(OnCallSchedule, pk=int(number)) if number.isdecimal() and len(number) < 10 else None
    )
    known = CalendarFeed.objects.filter(user=request.user, schedule=schedule).first()
    if known is None:
        feed_of(user=request.user, schedule=schedule)
        messages.success(request, "Here is your private address. Whoever has it sees these shifts.")
    else:
        renew_feed(feed=known, actor=request.user)
        messages.success(request, "The address is new. The old one shows nothing any more.")
    back = reverse("web:oncall") if schedule is None else reverse("web:oncall_schedule", args=[schedule.pk])
    return redirect(back_to(request, back) + "#feed")


@require_safe
def feed(request: Any, token: str) -> HttpResponse:
    """Show shifts as iCal to whoever has the address, thirty days back and half a year ahead."""
    row = _feed(token)
    now = database_now()
    # Whole days, and stamps of them: what has not changed reads the same, byte for byte.
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    body = _calendar(row, today)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    response["ETag"] = etag
    response["Cache-Control"] = "private, max-age=300"
    response["Content-Disposition"] = 'inline; filename="on-call.ics"'
    answer = get_conditional_response(request, etag=etag, response=response)
    return answer if isinstance(answer, HttpResponse) else response


def _feed(token: str) -> CalendarFeed:
    gone = Http404("There is no such calendar (any more).")
    try:
        number, _, nonce = _signer.unsign(token).partition("-")
        rows = CalendarFeed.objects.select_related("user", "schedule")
        row = rows.filter(pk=int(number), nonce=uuid.UUID(nonce)).first()
    except (BadSignature, ValueError) as error:
        raise gone from error
    if row is None or not row.user.is_active or not row.user.may(Verb.WATCH):
        raise gone
    return row


def _address(row: CalendarFeed) -> str:
    token = _signer.sign(f"{row.pk}-{row.nonce.hex}")
    return settings.BELAY_URL.rstrip("/") + reverse("web:oncall_feed", args=[token])


def _calendar(row: CalendarFeed, today: dt.datetime) -> bytes:
    schedule = row.schedule
    name = f"On call: {schedule.name}" if schedule is not None else f"On call: {row.user.name}"
    calendar = Calendar()
    calendar.add("prodid", "-//Belay//On call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    begin, end = today - BACK, today + AHEAD
    rosters = load_rosters(begin - BEYOND, end + BEYOND, None if schedule is None else [schedule.pk])
    for roster in rosters:
        for event in _events(roster, None if schedule is not None else row.user_id, begin, end, today):
            calendar.add_component(event)
    return bytes(calendar.to_ical())


def _events(
    roster: Roster, user_id: int | None, begin: dt.datetime, end: dt.datetime, today: dt.datetime
) -> list[Event]:
    """Return the shifts of one person, or of everybody (None), on one schedule."""
    first = begin - BEYOND
    host = urlsplit(settings.BELAY_URL).hostname or "belay"
    events = []
    for contact_id, starts, ends in shifts_of(on_call(roster.schedule, first, end + BEYOND)):
        person = roster.people.get(contact_id)
        if (
            ends <= begin
            or starts >= end
            or person is None
            or (user_id is not None and person.user_id != user_id)
        ):
            continue
        event = Event()
        # One that began before anybody looks is always the same one.
        since = "always" if starts == first else f"{starts:%Y%m%dT%H%M%SZ}"
        event.add("uid", f"oncall-{roster.id}-{contact_id}-{since}@{host}")
        event.add("dtstamp", today)
        event.add("dtstart", starts)
        event.add("dtend", ends)
        who = "" if user_id is not None else f"{person.name}: "
        event.add("summary", f"{who}{roster.name}")
        event.add("url", settings.BELAY_URL.rstrip("/") + reverse("web:oncall_schedule", args=[roster.id]))
        events.append(event)
    return events
