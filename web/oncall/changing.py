"""Overrides and time off: what would change, written down, taken back."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rules import Verb
from core.db import database_now
from core.errors import Refused
from notifications.models import OnCallOverride, OnCallSchedule, TimeOff
from notifications.operations import add_override, add_time_off, remove_override, remove_time_off
from notifications.queries.oncall import Roster, load_rosters
from web.doors import back_to
from web.oncall import words
from web.oncall.forms import OverrideForm, TimeOffForm, people
from web.oncall.model import DAY, Change, changes
from web.portal.forms import put_error
from web.shell import SignedIn, arrive, may
from web.submissions import FIELD, SentBefore, counted_once, new_token

MOST_CHANGES = 30


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@may(Verb.ACKNOWLEDGE)
def override(request: SignedIn, pk: int) -> HttpResponse:
    """Ask for an override, show what it changes, and write it down."""
    row = get_object_or_404(OnCallSchedule, pk=pk)
    now, zone = arrive(request), words.zone_of(row)
    form = _override_form(request, zone, now)
    previews: list[tuple[Roster, list[Change]]] | None = None
    if form.is_bound and form.is_valid():
        said = form.cleaned_data

        def write() -> None:
            add_override(schedule=row, actor=request.user, now=now, **said)

        try:
            if request.method == "POST" and "save" in request.POST:
                _once(request, now, write)
                messages.success(request, "The override is in force.")
                month = said["starts_at"].astimezone(zone)
                return redirect(f"{reverse('web:oncall_schedule', args=[pk])}?month={month:%Y-%m}")
            previews = _tried(write, said["starts_at"], said["ends_at"], [pk])
        except Refused as error:
            put_error(form, error)
    context = {
        "form": form,
        "schedule": row,
        "previews": previews,
        "back": reverse("web:oncall_schedule", args=[pk]),
        "crumb": row.name,
        "title": f"Override on {row.name}",
        "zone": zone,
    }
    return _show(request, context, now, failed=form.is_bound and bool(form.errors))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@may(Verb.ACKNOWLEDGE)
def time_off(request: SignedIn) -> HttpResponse:
    """Ask who is away and who stands in, show what that changes on every schedule, and write it down."""
    now, zone = arrive(request), ZoneInfo(request.user.time_zone or "UTC")
    form = _time_off_form(request, zone, now)
    previews: list[tuple[Roster, list[Change]]] | None = None
    back = back_to(request, reverse("web:oncall"))
    if form.is_bound and form.is_valid():
        said = form.cleaned_data

        def write() -> None:
            add_time_off(actor=request.user, now=now, **said)

        try:
            if request.method == "POST" and "save" in request.POST:
                _once(request, now, write)
                messages.success(request, f"{said['contact']} is noted as away.")
                return redirect(back)
            previews = _tried(write, said["starts_at"], said["ends_at"], None)
        except Refused as error:
            put_error(form, error)
    context = {
        "form": form,
        "previews": previews,
        "back": back,
        "crumb": "On call",
        "title": "Time off",
        "zone": zone,
    }
    return _show(request, context, now, failed=form.is_bound and bool(form.errors))


@require_POST
@may(Verb.ACKNOWLEDGE)
def drop_override(request: SignedIn, pk: int) -> HttpResponse:
    """Take an override back; what of it is over stays."""
    row = get_object_or_404(OnCallOverride, pk=pk)
    back = reverse("web:oncall_schedule", args=[row.schedule_id])
    return _dropped(
        request,
        lambda: remove_override(override=row, actor=request.user, now=database_now()),
        "The override is taken back.",
        back,
    )


@require_POST
@may(Verb.ACKNOWLEDGE)
def drop_time_off(request: SignedIn, pk: int) -> HttpResponse:
    """Take time off back; what of it is over stays."""
    row = get_object_or_404(TimeOff.objects.select_related("contact"), pk=pk)
    return _dropped(
        request,
        lambda: remove_time_off(time_off=row, actor=request.user, now=database_now()),
        f"{row.contact} is there again.",
        reverse("web:oncall"),
    )


def _override_form(request: SignedIn, zone: ZoneInfo, now: dt.datetime) -> OverrideForm:
    more: dict[str, Any] = {"zone": zone, "actor": request.user}
    if request.method == "POST":
        return OverrideForm(request.POST, **more)
    if "starts_at" in request.GET:
        # A shift to take: said in the address, and shown with what it changes.
        return OverrideForm(request.GET, **more)
    begin, end = _day(request.GET.get("day", ""), zone, now)
    me = people().filter(user=request.user).first()
    return OverrideForm(
        initial={"starts_at": begin, "ends_at": end, "contact": me, "kind": "replace"}, **more
    )


def _time_off_form(request: SignedIn, zone: ZoneInfo, now: dt.datetime) -> TimeOffForm:
    more: dict[str, Any] = {"zone": zone, "actor": request.user}
    if request.method == "POST":
        return TimeOffForm(request.POST, **more)
    begin, end = _day("", zone, now + DAY)
    me = people().filter(user=request.user).first()
    return TimeOffForm(initial={"starts_at": begin, "ends_at": end, "contact": me}, **more)


def _day(text: str, zone: ZoneInfo, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return the day asked for from its beginning to its end; today begins now."""
    today = now.astimezone(zone).date()
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = today
    if not 1970 <= day.year < 2200:
        day = today
    begin = dt.datetime.combine(day, dt.time(), zone)
    if day == today:
        begin = max(begin, now.replace(second=0, microsecond=0))
    return begin, dt.datetime.combine(day + DAY, dt.time(), zone)


def _once(request: SignedIn, now: dt.datetime, write: Callable[[], object]) -> None:
    try:
        with counted_once(request, request.user, now=now):
            write()
    except SentBefore:
        return


def _tried(
    write: Callable[[], object], begin: dt.datetime, end: dt.datetime, ids: list[int] | None
) -> list[tuple[Roster, list[Change]]]:
    """Return what a change changes over [begin, end) by schedule: it is made, looked at and rolled back.

    Raises what the operation raises: what is shown is what would be written.
    """
    before = load_rosters(begin, end, ids)
    with transaction.atomic():
        write()
        after = {roster.id: roster for roster in load_rosters(begin, end, ids)}
        transaction.set_rollback(True)
    found = []
    for roster in before:
        if roster.id not in after:
            continue
        new = after[roster.id]
        rows = changes(roster, new.schedule, dict(new.people), begin, end)
        if ids is not None or any(row.differs for row in rows):
            found.append((roster, rows[:MOST_CHANGES]))
    return found


def _dropped(request: SignedIn, drop: Callable[[], None], words_: str, back: str) -> HttpResponse:
    try:
        drop()
        messages.success(request, words_)
    except Refused as error:
        messages.error(request, str(error))
    return redirect(back_to(request, back))


def _show(request: SignedIn, context: dict[str, Any], now: dt.datetime, *, failed: bool) -> HttpResponse:
    context |= {
        "now": now,
        "section": "oncall",
        "form_token": request.POST.get(FIELD) or new_token(),
        "unchanged": context["previews"] is not None
        and not any(row.differs for _, rows in context["previews"] for row in rows),
    }
    return render(
        request, "oncall/change.html", context, status=422 if failed and request.method == "POST" else 200
    )
