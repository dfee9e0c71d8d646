"""What people write down about on call: an override, time off, a schedule, a rotation."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from accounts.admin import TimeZoneInput
from accounts.models import Team, Tier, User
from accounts.rules import Verb
from calendars.models import Calendar
from calendars.rules import instant_of
from notifications.models import Contact, OnCallOverride, OnCallSchedule, Rotation, Weekday
from notifications.rules.rotation import Window

Kind = OnCallOverride.Kind
_EMPTY_TURNS, _EMPTY_WINDOWS = 4, 2
_WALL_FORMS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M")


class WallField(forms.DateTimeField):
    """An instant, written on the wall clock of `zone`; a time that exists twice means the first (DESIGN 3)."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    zone = ZoneInfo("UTC")

    def to_python(self, value: Any) -> dt.datetime | None:
        """Return the instant in UTC. Raises ValidationError with the value and the mend."""
        if value in self.empty_values:
            return None
        for form in _WALL_FORMS:
            try:
                wall = dt.datetime.strptime(str(value), form)  # noqa: DTZ007 a wall time
            except ValueError:
                continue
            if 1970 <= wall.year <= 2200:
                return instant_of(self.zone, wall)
        raise forms.ValidationError(f"“{value}” is no date and time. Write 2026-03-09 17:00.", code="invalid")

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(self.zone) if isinstance(value, dt.datetime) else value


def people() -> Any:
    """Return the people who can be on call, by name."""
    return Contact.objects.filter(kind=Contact.Kind.PERSON, is_active=True).order_by("name", "pk")


class _Spanning(forms.Form):
    """A form with a from and an until on the wall clock of one zone."""

    def __init__(self, *args: Any, zone: ZoneInfo, actor: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor
        for name in ("starts_at", "ends_at"):
            field = self.fields[name]
            if isinstance(field, WallField):
                field.zone = zone
                field.help_text = f"On the wall clock of {zone.key}."

    def clean(self) -> dict[str, Any] | None:
        """Say at once what no zone makes right."""
        cleaned = super().clean() or self.cleaned_data
        starts, ends = cleaned.get("starts_at"), cleaned.get("ends_at")
        if starts is not None and ends is not None and ends <= starts:
            self.add_error("ends_at", "It ends before it has begun. Give a later end.")
        return cleaned


class OverrideForm(_Spanning):
    """For once otherwise."""

    kind = forms.ChoiceField(label="What", choices=Kind.choices)
    contact = forms.ModelChoiceField(
        people(), label="Who comes", required=False, empty_label="Nobody: somebody is only taken off"
    )
    replaces = forms.ModelChoiceField(
        people(), label="Instead of whom", required=False, empty_label="Nobody in particular"
    )
    starts_at = WallField(label="From")
    ends_at = WallField(label="Until")
    note = forms.CharField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.actor.may(Verb.LEAD):
            # Agents come on call themselves; the operation checks it again.
            kinds = [(kind.value, kind.label) for kind in (Kind.REPLACE, Kind.ADD)]
            self.fields["kind"] = forms.ChoiceField(label="What", choices=kinds)
            self.fields["contact"] = forms.ModelChoiceField(
                people().filter(user=self.actor), label="Who comes", empty_label=None
            )
            self.order_fields(["kind", "contact", "replaces", "starts_at", "ends_at", "note"])


class TimeOffForm(_Spanning):
    """Somebody is away."""

    contact = forms.ModelChoiceField(people(), label="Who is away", empty_label="Choose a person")
    starts_at = WallField(label="From")
    ends_at = WallField(label="Until")
    substitute = forms.ModelChoiceField(
        people(), label="Who stands in", required=False, empty_label="Nobody: their turns are left out"
    )
    note = forms.CharField(label="Note", max_length=300, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.actor.may(Verb.LEAD):
            self.fields["contact"] = forms.ModelChoiceField(
                people().filter(user=self.actor), label="Who is away", empty_label=None
            )
            self.order_fields(["contact", "starts_at", "ends_at", "substitute", "note"])


class ScheduleForm(forms.Form):
    """Whose schedule it is, and on which wall clock it hands over."""

    name = forms.CharField(label="Name", max_length=100)
    description = forms.CharField(label="What for", max_length=300, required=False)
    team = forms.ModelChoiceField(
        Team.objects.filter(is_active=True).order_by("tier", "name"),
        label="Team",
        required=False,
        empty_label="None",
    )
    tier = forms.TypedChoiceField(
        label="Tier",
        choices=[("", "The team's"), *Tier.choices],
        coerce=int,
        empty_value=None,
        required=False,
        help_text="Where the board shows it.",
    )
    covers = forms.ModelChoiceField(
        Calendar.objects.order_by("name"),
        label="Hours to cover",
        required=False,
        empty_label="Every moment",
        help_text="Outside of them nobody on call is no gap.",
    )
    time_zone = forms.CharField(
        label="Time zone",
        widget=TimeZoneInput,
        help_text="Handoffs fall on this wall clock, summer and winter.",
    )


class EditScheduleForm(ScheduleForm):
    """The same of one there is; switched off it has nobody on call."""

    is_active = forms.BooleanField(label="Active", required=False)

    @classmethod
    def of(cls, schedule: OnCallSchedule) -> "EditScheduleForm":
        """Return the form as the schedule is."""
        names = ("name", "description", "team", "tier", "covers", "time_zone", "is_active")
        return cls(initial={name: getattr(schedule, name) for name in names})


class RotationForm(forms.Form):
    """How a rotation hands over; who takes turns and when are rows of their own."""

    name = forms.CharField(label="Name", max_length=100)
    length = forms.IntegerField(label="Hands over every", min_value=1, max_value=1000, initial=1)
    unit = forms.ChoiceField(label="Unit", choices=Rotation.Unit.choices, initial=Rotation.Unit.WEEKLY)
    handoff_time = forms.TimeField(
        label="At", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), initial=dt.time(9)
    )
    level = forms.IntegerField(
        label="Level",
        min_value=1,
        max_value=99,
        initial=1,
        help_text="A higher level goes before a lower one wherever it has somebody.",
    )
    starts_on = forms.DateField(
        label="From", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    ends_on = forms.DateField(
        label="Until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="The first day without it; empty: for good.",
    )
    aligned = forms.BooleanField(
        label="Weeks begin on Mondays, months on the first, instead of counting from the start",
        required=False,
    )


class TurnForm(forms.Form):
    """Somebody's turn; who shares a number is on call together."""

    position = forms.IntegerField(min_value=1, max_value=200, required=False, label="Turn")
    contact = forms.ModelChoiceField(people(), required=False, label="Who", empty_label="–")


class WindowForm(forms.Form):
    """When the rotation is on call at all."""

    days = forms.TypedMultipleChoiceField(
        choices=[(day.value, day.label[:3]) for day in Weekday],
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Days",
    )
    start = forms.TimeField(
        required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), label="From"
    )
    end = forms.TimeField(
        required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), label="Until"
    )

    def clean(self) -> dict[str, Any] | None:
        """Refuse half a window."""
        cleaned = super().clean() or self.cleaned_data
        given = [name for name in ("days", "start", "end") if cleaned.get(name) not in (None, [])]
        if given and len(given) < 3 and not self.errors:
            raise forms.ValidationError(
                "A window needs days, a beginning and an end. Fill in all three, or none."
            )
        return cleaned

    @property
    def window(self) -> Window | None:
        """The window that was written down; None for an empty row."""
        said = self.cleaned_data
        return Window(said["start"], said["end"], frozenset(said["days"])) if said.get("days") else None


TurnFormSet = forms.formset_factory(TurnForm, extra=0, max_num=200, absolute_max=250)
WindowFormSet = forms.formset_factory(WindowForm, extra=0, max_num=30, absolute_max=40)


def turn_rows(groups: list[list[int]]) -> list[dict[str, Any]]:
    """Return the rows of the turns there are, and a few empty ones."""
    filled = [
        {"position": place, "contact": contact_id}
        for place, group in enumerate(groups, start=1)
        for contact_id in group
    ]
    return filled + [{"position": len(groups) + place} for place in range(1, _EMPTY_TURNS + 1)]


def window_rows(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the windows there are, and some empty ones."""
    return windows + [{} for _ in range(_EMPTY_WINDOWS)]
