"""Schedules and their rotations, for leads: written down with a look at the next turns first."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rules import Verb
from core.errors import Refused
from notifications.models import Contact, OnCallSchedule, Rotation
from notifications.operations import Turns, change_schedule, create_schedule, remove_rotation, save_rotation
from notifications.queries.oncall import load_rosters
from notifications.rules import rotation as rules
from web.oncall import words
from web.oncall.forms import (
    EditScheduleForm,
    RotationForm,
    ScheduleForm,
    TurnFormSet,
    WindowFormSet,
    turn_rows,
    window_rows,
)
from web.portal.forms import put_error
from web.shell import SignedIn, arrive, may

TURNS = 8
# A turn without a window open says nothing: look on for those that have one, but not for ever.
_MOST_LOOKED_AT = 400


@dataclass(frozen=True, slots=True)
class NextTurn:
    """One of the next turns: from when to when by the clock, and who has it."""

    begin: dt.datetime
    end: dt.datetime
    names: str


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@may(Verb.LEAD)
def new_schedule(request: SignedIn) -> HttpResponse:
    """Create a schedule; then its first rotation is asked for."""
    now = arrive(request)
    bound = request.method == "POST"
    form = (
        ScheduleForm(request.POST) if bound else ScheduleForm(initial={"time_zone": request.user.time_zone})
    )
    if bound and form.is_valid():
        try:
            row = create_schedule(actor=request.user, **form.cleaned_data)
        except Refused as error:
            put_error(form, error)
        else:
            messages.success(request, f"“{row.name}” is there. Now say who takes turns.")
            return redirect("web:oncall_rotation_new", row.pk)
    context = {
        "now": now,
        "form": form,
        "title": "New schedule",
        "back": reverse("web:oncall"),
        "crumb": "On call",
    }
    return _show(request, "oncall/schedule_form.html", context, failed=bound)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@may(Verb.LEAD)
def edit_schedule(request: SignedIn, pk: int) -> HttpResponse:
    """Change a schedule's name, zone and place, or switch it off."""
    row = get_object_or_404(OnCallSchedule, pk=pk)
    now, bound = arrive(request), request.method == "POST"
    form = EditScheduleForm(request.POST) if bound else EditScheduleForm.of(row)
    if bound and form.is_valid():
        try:
            change_schedule(schedule=row, actor=request.user, **form.cleaned_data)
        except Refused as error:
            put_error(form, error)
        else:
            messages.success(request, f"“{row.name}” is saved.")
            return redirect("web:oncall_schedule", pk)
    back = reverse("web:oncall_schedule", args=[pk])
    context = {"now": now, "form": form, "title": f"Edit {row.name}", "back": back, "crumb": row.name}
    return _show(request, "oncall/schedule_form.html", context, failed=bound)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@may(Verb.LEAD)
def rotation(request: SignedIn, pk: int, rotation_id: int | None = None) -> HttpResponse:
    """Ask for a rotation, show its next turns, and write it down."""
    schedule = get_object_or_404(OnCallSchedule, pk=pk)
    row = get_object_or_404(Rotation, pk=rotation_id, schedule=schedule) if rotation_id is not None else None
    now, bound = arrive(request), request.method == "POST"
    forms = _forms(request, schedule, row, now)
    form, turn_forms, window_forms = forms
    preview: list[NextTurn] | None = None
    if bound and all([part.is_valid() for part in forms]):  # noqa: C419 each is to say what it lacks
        turns = _turns(forms)
        try:
            if "save" in request.POST:
                save_rotation(schedule=schedule, turns=turns, actor=request.user, rotation=row)
                messages.success(request, f"“{turns.name}” is saved and in force.")
                return redirect("web:oncall_schedule", pk)
            with transaction.atomic():
                # What is shown is what would be written: it is, and rolled back.
                save_rotation(schedule=schedule, turns=turns, actor=request.user, rotation=row)
                preview = _next_turns(schedule, turns.name.strip(), now)
                transaction.set_rollback(True)
        except Refused as error:
            put_error(form, error)
    elif not bound and row is not None:
        preview = _next_turns(schedule, row.name, now)
    context = {
        "now": now,
        "schedule": schedule,
        "zone": words.zone_of(schedule),
        "rotation": row,
        "form": form,
        "turn_forms": turn_forms,
        "window_forms": window_forms,
        "preview": preview,
        "title": f"Edit {row.name}" if row is not None else f"New rotation of {schedule.name}",
        "back": reverse("web:oncall_schedule", args=[pk]),
        "crumb": schedule.name,
    }
    failed = bound and any(part.errors for part in (form, *turn_forms, *window_forms))
    return _show(request, "oncall/rotation.html", context, failed=failed)


@require_POST
@may(Verb.LEAD)
def drop_rotation(request: SignedIn, pk: int, rotation_id: int) -> HttpResponse:
    """Take a rotation off its schedule."""
    row = get_object_or_404(Rotation, pk=rotation_id, schedule_id=pk)
    try:
        remove_rotation(rotation=row, actor=request.user)
        messages.success(request, f"“{row.name}” is removed.")
    except Refused as error:
        messages.error(request, str(error))
    return redirect("web:oncall_schedule", pk)


def _forms(
    request: SignedIn, schedule: OnCallSchedule, row: Rotation | None, now: dt.datetime
) -> tuple[Any, ...]:
    if request.method == "POST":
        return (
            RotationForm(request.POST),
            TurnFormSet(request.POST, prefix="turn"),
            WindowFormSet(request.POST, prefix="window"),
        )
    today = now.astimezone(words.zone_of(schedule)).date()
    initial: dict[str, Any] = {"starts_on": today}
    groups: dict[int, list[int]] = {}
    windows: list[dict[str, Any]] = []
    if row is None:
        # The names of a schedule's rotations differ; the first one needs none that anybody thinks of.
        initial["name"] = "Weeks" if not schedule.rotations.exists() else ""
    else:
        names = ("name", "length", "unit", "handoff_time", "starts_on", "ends_on", "level", "aligned")
        initial = {name: getattr(row, name) for name in names}
        for position, contact_id in row.members.order_by("position", "pk").values_list(
            "position", "contact_id"
        ):
            groups.setdefault(position, []).append(contact_id)
        windows = [dict(window) for window in row.windows.order_by("pk").values("days", "start", "end")]
    return (
        RotationForm(initial=initial),
        TurnFormSet(initial=turn_rows(list(groups.values())), prefix="turn"),
        WindowFormSet(initial=window_rows(windows), prefix="window"),
    )


def _turns(forms: tuple[Any, ...]) -> Turns:
    form, turn_forms, window_forms = forms
    groups: dict[int, list[Contact]] = {}
    for place, one in enumerate(turn_forms, start=1):
        contact = one.cleaned_data.get("contact")
        if contact is not None:
            groups.setdefault(one.cleaned_data.get("position") or place, []).append(contact)
    return Turns(
        groups=[groups[position] for position in sorted(groups)],
        windows=[one.window for one in window_forms if one.window is not None],
        **form.cleaned_data,
    )


def _next_turns(schedule: OnCallSchedule, name: str, now: dt.datetime) -> list[NextTurn]:
    """Return the next turns of a rotation as it stands in the database, the one under way first."""
    roster = load_rosters(now, now, [schedule.pk])[0]
    one = next((found for found in roster.schedule.rotations if found.name == name), None)
    if one is None:
        return []
    found: list[NextTurn] = []
    turn = one.turn_at(max(now, one.handoff(0)))
    for number in range(turn, turn + _MOST_LOOKED_AT):
        begin, end = one.handoff(number), one.handoff(number + 1)
        spans = list(one.spans(max(begin, now), end))
        if not spans:
            if _is_over(one, end):
                break
            continue
        names = " and ".join(person.name for person in roster.named(one.group_of(number)))
        # Where the windows of the turn open and close, if it has any.
        found.append(NextTurn(spans[0][0] if begin > now else max(begin, spans[0][0]), spans[-1][1], names))
        if len(found) == TURNS:
            break
    return found


def _is_over(one: "rules.Rotation[int]", at: dt.datetime) -> bool:
    return one.until is not None and at.astimezone(one.zone).replace(tzinfo=None) > one.until


def _show(request: SignedIn, template: str, context: dict[str, Any], *, failed: bool) -> HttpResponse:
    context["section"] = "oncall"
    return render(request, template, context, status=422 if failed else 200)
