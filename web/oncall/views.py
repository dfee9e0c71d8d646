"""Who is on call now, and the month of one schedule."""

import datetime as dt
import re
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.rules import Verb
from notifications.models import OnCallOverride, OnCallSchedule, Rotation, TimeOff
from notifications.queries.oncall import AHEAD, Roster, load_rosters
from web.oncall import words
from web.oncall.feeds import address_of
from web.oncall.forms import people
from web.oncall.model import BEYOND, MOST_GAPS, bounds_of, by_tier, lay_out, own_shifts, standing_of
from web.shell import SignedIn, arrive, may

_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@require_safe
@never_cache
@may(Verb.WATCH)
def overview(request: SignedIn) -> HttpResponse:
    """Show who is on call now and who comes next, per tier, and one's own next shifts."""
    now = arrive(request)
    rosters = load_rosters(now - BEYOND, now + AHEAD + BEYOND)
    standings = [standing_of(roster, now) for roster in rosters]
    context = {
        "now": now,
        "section": "oncall",
        "tiers": by_tier(standings),
        "uncovered": [one for one in standings if one.now.is_gap],
        "shifts": own_shifts(rosters, request.user.pk, now),
        "feed": address_of(request, None),
        "leads": request.user.may(Verb.LEAD),
        "idle": OnCallSchedule.objects.filter(is_active=False).order_by("name"),
    }
    return render(request, "oncall/overview.html", context)


@require_safe
@never_cache
@may(Verb.WATCH)
def schedule(request: SignedIn, pk: int) -> HttpResponse:
    """Show a month of one schedule: who is on call on which day, the gaps, and what decides about it."""
    row = get_object_or_404(OnCallSchedule.objects.select_related("team"), pk=pk)
    now = arrive(request)
    first = _asked_month(request.GET.get("month", "")) or _month_of(now, row)
    begin, end = bounds_of(first, words.zone_of(row))
    roster = load_rosters(min(begin, now) - BEYOND, max(end, now + AHEAD) + BEYOND, [pk])[0]
    holes = roster.gaps(now, now + AHEAD)
    month = lay_out(roster, first, now)
    context = {
        "now": now,
        "section": "oncall",
        "schedule": row,
        "roster": roster,
        "month": month,
        "coming": month.coming(now),
        "standing": standing_of(roster, now),
        "gaps": holes[:MOST_GAPS],
        "more_gaps": holes[MOST_GAPS:],
        "feed": address_of(request, row),
        "leads": request.user.may(Verb.LEAD),
        "me": people().filter(user=request.user).values_list("pk", flat=True).first(),
        **_deciding(request, row, roster, now),
    }
    return render(request, "oncall/schedule.html", context)


def _deciding(request: SignedIn, row: OnCallSchedule, roster: Roster, now: dt.datetime) -> dict[str, Any]:
    """Return the rotations, coming overrides and times off of a schedule in words."""
    leads, me = request.user.may(Verb.LEAD), request.user.pk
    rotations = Rotation.objects.filter(schedule=row).prefetch_related("windows", "members__contact")
    overrides = OnCallOverride.objects.filter(schedule=row, ends_at__gt=now).select_related(
        "contact", "replaces", "created_by"
    )
    members = {pk for one in roster.schedule.rotations for group in one.groups for pk in group}
    away = TimeOff.objects.filter(Q(contact_id__in=members) | Q(substitute_id__in=members), ends_at__gt=now)
    return {
        "rotations": [words.rotation(one) for one in rotations.order_by("-level", "pk")],
        "overrides": [
            {
                "row": one,
                "words": words.override_in_words(one),
                "mine": leads or one.created_by_id == me,
                "remove": reverse("web:oncall_override_remove", args=[one.pk]),
            }
            for one in overrides.order_by("starts_at", "pk")
        ],
        "times_off": [
            {
                "row": one,
                "mine": leads or one.contact.user_id == me,
                "remove": reverse("web:oncall_time_off_remove", args=[one.pk]),
            }
            for one in away.select_related("contact", "substitute").order_by("starts_at", "pk")
        ],
    }


def _asked_month(text: str) -> dt.date | None:
    found = _MONTH.fullmatch(text)
    if found is None:
        return None
    year, month = int(found[1]), int(found[2])
    # Nobody plans in other centuries, and time zones are not defined for all of them.
    return dt.date(year, month, 1) if 2000 <= year < 2200 and 1 <= month <= 12 else None


def _month_of(now: dt.datetime, row: OnCallSchedule) -> dt.date:
    return now.astimezone(words.zone_of(row)).date().replace(day=1)
