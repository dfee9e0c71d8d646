"""Opening hours to edit, in the words people use for them; every save of new hours is a new version."""

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from calendars.admin_holidays import (
    HolidayChoice,
    choice_of,
    filled_until,
    listed,
    name_of,
    running_out,
)
from calendars.filling import countries
from calendars.models import LONGEST_NAME, Calendar, CalendarVersion
from calendars.operations import fill_holidays, publish_calendar, set_default_calendar
from calendars.rules import WEEKDAYS, BadHours, Hours, open_intervals, parse
from core.admin import BelayAdmin, Section, put_refusal
from core.db import database_now
from core.errors import Refused
from core.panels import panels_for

# The same heading as the paths'; calendars know nothing of the apps above.
ESCALATION = Section(10, "Escalation")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# The preview: enough to see a weekend and the next holiday's effect.
PREVIEW_WINDOWS = 10
PREVIEW_DAYS = 60
VERSIONS = 20
# More days than that are told as a number.
MOST_NAMED = 8


class CalendarForm(forms.Form):
    """A calendar's hours: a line for each weekday, a line for each date that differs."""

    name = forms.CharField(max_length=LONGEST_NAME)
    description = forms.CharField(required=False, widget=forms.TextInput(attrs={"size": 60}))
    is_default = forms.BooleanField(
        label="the default", required=False, help_text="What new escalation paths start with."
    )
    tz = forms.CharField(
        label="time zone",
        max_length=64,
        initial="UTC",
        help_text="A name like Europe/Berlin; opening hours are wall times there.",
    )
    always = forms.BooleanField(
        label="round the clock",
        required=False,
        help_text="Open every hour of the year; then leave the days, holidays and breaks empty.",
    )
    holidays = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "placeholder": "2026-12-25 Christmas Day\n2027-01-01"}),
        help_text="Closed all day; one date a line, as YYYY-MM-DD. What stands after the date is its name.",
    )
    date_overrides = forms.CharField(
        label="days with other hours",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "2026-12-24 09:00-12:00"}),
        help_text="They replace the weekday's hours; one date a line with its windows, none for closed.",
    )
    breaks = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "2026-06-05 14:00-16:00"}),
        help_text="Cut out of whatever is open; one date a line with its windows.",
    )
    # What the person saw when they began: see `clean`.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key, label in zip(WEEKDAYS, DAYS, strict=True):
            self.fields[key] = forms.CharField(
                label=label,
                required=False,
                widget=forms.TextInput(attrs={"placeholder": "closed", "autocomplete": "off"}),
            )
        self.fields["tz"].widget.attrs["list"] = "zones"
        self.hours: Hours | None = None

    def days(self) -> list[forms.BoundField]:
        """Return the seven lines of the week."""
        return [self[key] for key in WEEKDAYS]

    def clean(self) -> dict[str, Any] | None:
        """Read the hours; what is wrong stands beside its line, with the value and the mend."""
        cleaned = super().clean() or self.cleaned_data
        mapping: dict[str, Any] = {
            "tz": (cleaned.get("tz") or "").strip(),
            "always": cleaned.get("always", False),
        }
        mapping["week"] = {key: self._windows(key, cleaned.get(key) or "") for key in WEEKDAYS}
        named = _named_days(cleaned.get("holidays") or "")
        mapping["holidays"] = list(named)
        mapping["holiday_names"] = {day: name for day, name in named.items() if name}
        for name in ("date_overrides", "breaks"):
            mapping[name] = self._dated(name, cleaned.get(name) or "")
        if not self.errors:
            try:
                self.hours = parse(mapping)
            except BadHours as bad:
                self.add_error(
                    _field_of(bad.field), f"{_told(bad.value)}{bad.mend[:1].upper()}{bad.mend[1:]}."
                )
        return cleaned

    def _windows(self, field: str, text: str) -> list[list[str]]:
        """Read "09:00-12:00, 13:00-17:00"; an empty line or "closed" has none."""
        if text.strip().lower() in {"", "closed", "-", "–"}:
            return []
        windows = []
        for part in text.replace(";", ",").split(","):
            ends = part.replace("–", "-").split("-")
            if len(ends) != 2 or not all(end.strip() for end in ends):
                self.add_error(
                    field, f"“{part.strip()}” is no window. Write it like 09:00-12:00, several with commas."
                )
                return []
            windows.append([_clock_time(end) for end in ends])
        return windows

    def _dated(self, field: str, text: str) -> dict[str, list[list[str]]]:
        dated: dict[str, list[list[str]]] = {}
        for line in text.splitlines():
            day, _, windows = line.strip().partition(" ")
            if not day:
                continue
            if day in dated:
                self.add_error(field, f"“{day}” stands twice. Name every date once.")
            dated[day] = self._windows(field, windows)
        return dated


def initial_of(calendar: Calendar) -> dict[str, Any]:
    """Return what the form shows for a calendar's current hours."""
    hours: Mapping[str, Any] = calendar.current.hours if calendar.current is not None else {"tz": "UTC"}
    return {
        "name": calendar.name,
        "description": calendar.description,
        "is_default": calendar.is_default,
        "seen": str(calendar.current_id or ""),
        "tz": hours["tz"],
        "always": hours.get("always", False),
        "holidays": "\n".join(_with_name(hours, day) for day in hours.get("holidays", ())),
        "date_overrides": _dated_text(hours.get("date_overrides", {})),
        "breaks": _dated_text(hours.get("breaks", {})),
        **{key: _windows_text(hours.get("week", {}).get(key, ())) for key in WEEKDAYS},
    }


@admin.register(Calendar)
class CalendarAdmin(BelayAdmin):
    """Calendars: one page for the hours, what they mean for the next days, and the versions before."""

    section = ESCALATION
    section_order = 20
    panel_place = "calendars.calendar"
    list_display = ("name", "is_default", "summary", "version", "holidays_to", "description")
    list_select_related = ("current",)
    search_fields = ("name",)
    ordering = ("name",)
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="hours")
    def summary(self, calendar: Any) -> str:
        """Return the week in one line."""
        return summary_of(calendar.current.hours) if calendar.current is not None else "no hours yet"

    @admin.display(description="version")
    def version(self, calendar: Any) -> int | None:
        """Return the number of the version in force."""
        return calendar.current.number if calendar.current is not None else None

    @admin.display(description="holidays until")
    def holidays_to(self, calendar: Any) -> str:
        """Return the last year with holidays, and whether it ends soon."""
        last = filled_until(calendar)
        if last is None:
            return "none"
        return f"{last}, runs out" if running_out(calendar, database_now().date()) else str(last)

    def get_urls(self) -> list[URLPattern]:
        """Add the page that fills in holidays."""
        page = self.admin_site.admin_view(self.holidays_view)
        return [path("<int:pk>/holidays/", page, name="calendars_calendar_holidays"), *super().get_urls()]

    def holidays_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the holidays of a country, or add those that were ticked."""
        calendar = self.get_object(request, str(pk))
        if not self.has_change_permission(request):
            raise PermissionDenied
        if calendar is None or calendar.is_built_in or calendar.current is None:
            raise Http404
        return self._in_own_zone(request, lambda: self._holidays(request, calendar))

    def _holidays(self, request: HttpRequest, calendar: Calendar) -> HttpResponse:
        now = database_now()
        given = request.POST if request.method == "POST" else request.GET
        choice = choice_of(given, calendar, now.date())
        days = choice.days() if choice is not None else {}
        if request.method == "POST" and choice is not None and days:
            wanted = set(request.POST.getlist("day"))
            ticked = {day: name for day, name in days.items() if day.isoformat() in wanted}
            try:
                version = fill_holidays(
                    calendar_id=calendar.pk,
                    days=ticked,
                    source=choice.source(),
                    until=choice.cleaned_data["until"],
                    actor_name=str(request.user),
                    now=now,
                )
            except Refused as refused:
                choice.add_error(None, str(refused))
            else:
                self._report_holidays(request, calendar, version, choice)
                return redirect("admin:calendars_calendar_change", calendar.pk)
        rows = listed(calendar, days)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Fill in holidays of {calendar.name}",
            "opts": self.opts,
            "calendar": calendar,
            "choice": choice,
            "countries": countries(),
            "rows": rows,
            "new": sum(row.is_new for row in rows),
            "filled_until": filled_until(calendar),
        }
        return TemplateResponse(request, "admin/calendars/holidays.html", context)

    def _report_holidays(
        self, request: HttpRequest, calendar: Calendar, version: CalendarVersion, choice: HolidayChoice
    ) -> None:
        whose = name_of(choice.source())
        years = f"{choice.cleaned_data['since']} to {choice.cleaned_data['until']}"
        if version.pk == calendar.current_id:
            self.log_change(request, calendar, f"Holidays of {whose}, {years}: nothing new")
            messages.success(
                request, f"The holidays of {whose}, {years}, are there already; no new version was needed."
            )
            return
        self.log_change(request, calendar, f"Version {version.number}: holidays of {whose}, {years}")
        messages.success(
            request,
            f"Version {version.number} is in force, with the holidays of {whose}, {years}. "
            "Clocks that run already keep the hours they started with.",
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show or save the one page of a calendar."""
        return self._in_own_zone(request, lambda: self._page(request, object_id))

    def _page(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        calendar = self.get_object(request, object_id) if object_id is not None else None
        if object_id is not None and calendar is None:
            raise Http404
        if not (
            self.has_add_permission(request) if calendar is None else self.has_change_permission(request)
        ):
            raise PermissionDenied
        now = database_now()
        if request.method == "POST":
            form = CalendarForm(request.POST)
            if form.is_valid():
                saved = self._save(request, form, calendar, now)
                if saved is not None:
                    return redirect("admin:calendars_calendar_change", saved)
        else:
            form = CalendarForm(initial=initial_of(calendar) if calendar is not None else None)
        hours = form.hours if form.is_bound else (_hours(calendar) if calendar is not None else None)
        versions = [] if calendar is None else list(calendar.versions.order_by("-number")[: VERSIONS + 1])
        context = {
            **self.admin_site.each_context(request),
            "title": f"Calendar {calendar.name}" if calendar is not None else "Add a calendar",
            "opts": self.opts,
            "form": form,
            "calendar": calendar,
            "frozen": calendar is not None and calendar.is_built_in,
            "zones": _zones(),
            "running_out": running_out(calendar, now.date()) if calendar is not None else None,
            "preview": preview(hours, now) if hours is not None else None,
            "versions": _history(versions)[:VERSIONS],
            "panels": panels_for(self.panel_place, calendar)
            if calendar is not None and not calendar.is_built_in
            else [],
        }
        return TemplateResponse(request, "admin/calendars/calendar.html", context)

    def _save(
        self, request: HttpRequest, form: CalendarForm, calendar: Calendar | None, now: dt.datetime
    ) -> int | None:
        """Publish through the operations; return the calendar's id, or None when the form says why not."""
        cleaned = form.cleaned_data
        if calendar is not None and cleaned["seen"] != str(calendar.current_id or ""):
            form.add_error(
                None,
                "Somebody else has published these hours since you opened the page. Your input is kept: compare it "
                "with the calendar in another tab, then save again to replace it.",
            )
            data = request.POST.copy()
            data["seen"] = str(calendar.current_id or "")
            form.data = data
            return None
        if calendar is not None and calendar.is_default and not cleaned["is_default"]:
            form.add_error("is_default", "One calendar is the default. Make another one the default instead.")
            return None
        try:
            version = publish_calendar(
                calendar_id=calendar.pk if calendar is not None else None,
                name=cleaned["name"],
                description=cleaned["description"],
                hours=form.hours,  # type: ignore[arg-type]
                actor_name=str(request.user),
                now=now,
            )
            if cleaned["is_default"] and not (calendar is not None and calendar.is_default):
                set_default_calendar(calendar_id=version.calendar_id)
        except Refused as refused:
            put_refusal(form, refused)
            return None
        self._report(request, calendar, version)
        return version.calendar_id

    def _report(self, request: HttpRequest, calendar: Calendar | None, version: CalendarVersion) -> None:
        if calendar is None:
            self.log_addition(request, version.calendar, f"Version {version.number}")
            text = f"“{version.calendar.name}” is there."
        elif calendar.current_id == version.pk:
            self.log_change(request, version.calendar, "Same hours")
            text = "Saved; the hours are the same, so there is no new version."
        else:
            self.log_change(request, version.calendar, f"Version {version.number}")
            text = f"Version {version.number} is in force. Clocks that run already keep the hours they started with."
        messages.success(request, text)


def preview(hours: Hours, now: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """Return the next open windows in the calendar's own zone."""
    found = open_intervals(hours, now, now + dt.timedelta(days=PREVIEW_DAYS))
    return [
        (opens.astimezone(hours.zone), closes.astimezone(hours.zone))
        for opens, closes in islice(found, PREVIEW_WINDOWS)
    ]


def summary_of(hours: Mapping[str, Any]) -> str:
    """Return a week in one line: "Mon–Fri 09:00–17:00, Europe/Berlin"."""
    if hours.get("always"):
        return "round the clock"
    parts: list[tuple[int, int, str]] = []
    for day, key in enumerate(WEEKDAYS):
        text = _windows_text(hours.get("week", {}).get(key, ()))
        if parts and parts[-1][2] == text:
            parts[-1] = (parts[-1][0], day, text)
        else:
            parts.append((day, day, text))
    days = [
        f"{DAYS[first][:3]}{f'–{DAYS[last][:3]}' if last > first else ''} {text}"
        for first, last, text in parts
        if text
    ]
    return f"{'; '.join(days) or 'closed'} ({hours.get('tz')})"


def _history(versions: list[CalendarVersion]) -> list[dict[str, Any]]:
    """Return the versions, newest first, each with what it changed."""
    rows = []
    for place, version in enumerate(versions):
        before = versions[place + 1].hours if place + 1 < len(versions) else None
        rows.append(
            {"version": version, "changes": _changes(before, version.hours) if before is not None else []}
        )
    return rows


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    if old["tz"] != new["tz"]:
        found.append(f"time zone {old['tz']} → {new['tz']}")
    if old["always"] != new["always"]:
        found.append("round the clock" if new["always"] else "no longer round the clock")
    for key, label in zip(WEEKDAYS, DAYS, strict=True):
        if old["week"][key] != new["week"][key]:
            was, now = (_windows_text(week[key]) or "closed" for week in (old["week"], new["week"]))
            found.append(f"{label} {was} → {now}")
    found += _holiday_changes(old, new)
    for name, word in (("date_overrides", "other hours on"), ("breaks", "break on")):
        for day in sorted(set(old[name]) | set(new[name])):
            if old[name].get(day) != new[name].get(day):
                text = _windows_text(new[name][day]) or "closed" if day in new[name] else "none"
                found.append(f"{word} {day}: {text}")
    return found


def _holiday_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = set(old["holidays"]), set(new["holidays"])
    found = []
    for days, hours, word in ((after - before, new, "added"), (before - after, old, "taken away")):
        if len(days) > MOST_NAMED:
            found.append(f"{len(days)} holidays {word}, from {min(days)} to {max(days)}")
        else:
            found += [f"holiday {_with_name(hours, day)} {word}" for day in sorted(days)]
    names = [hours.get("holiday_names", {}) for hours in (old, new)]
    renamed = [day for day in before & after if names[0].get(day) != names[1].get(day)]
    if renamed:
        found.append(f"{len(renamed)} holiday{'s' if len(renamed) > 1 else ''} renamed")
    return found


def _named_days(text: str) -> dict[str, str]:
    """Read a date a line, each maybe with a name; what is no date is refused later, with its place."""
    found = {}
    for line in text.splitlines():
        day, _, name = line.strip().replace("\t", " ").partition(" ")
        if day:
            found[day.rstrip(",")] = name.strip()
    return found


def _with_name(hours: Mapping[str, Any], day: str) -> str:
    return f"{day} {hours.get('holiday_names', {}).get(day, '')}".strip()


def _hours(calendar: Calendar) -> Hours | None:
    return parse(calendar.current.hours) if calendar.current is not None else None


def _zones() -> list[str]:
    return sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone or zone == "UTC")


def _field_of(place: str) -> str | None:
    """Return the form's field for a place such as week.mon or breaks.2026-06-05."""
    head, _, rest = place.partition(".")
    if head == "week":
        # The week as a whole is wrong only beside "round the clock".
        return rest if rest in WEEKDAYS else "always"
    if head == "holiday_names":
        return "holidays"
    return head if head in CalendarForm.base_fields else None


def _told(value: object) -> str:
    if isinstance(value, str):
        return f"“{value}” will not do. "
    if isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
        return f"“{'-'.join(map(str, value))}” will not do. "
    return ""


def _clock_time(text: str) -> str:
    """Let people write 9 or 9:30 for 09:00 or 09:30."""
    text = text.strip().replace(".", ":")
    hour, _, rest = text.partition(":")
    if hour.isdecimal() and len(hour) <= 2:
        return f"{int(hour):02d}:{rest or '00'}"
    return text


def _windows_text(windows: Any) -> str:
    return ", ".join(f"{opens}-{closes}" for opens, closes in windows)


def _dated_text(dated: Mapping[str, Any]) -> str:
    return "\n".join(f"{day} {_windows_text(windows)}".strip() for day, windows in sorted(dated.items()))
