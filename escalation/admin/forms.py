"""The forms that make up the page of a path."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.forms.utils import ErrorDict

from accounts.models import Tier
from core.admin import DurationField
from escalation.admin.choices import FIXED, ROWS, Choices
from escalation.models import PathVersion, Step
from escalation.rules.problems import SEVERITIES
from escalation.rules.specs import PROMISES, PathSpec, PromiseSpec, StepSpec

PROMISE_LABELS = {
    "first_response": "first response",
    "next_response": "next response",
    "resolution": "resolution",
    "update_every": "update every",
}
CELLS = {"acknowledge_within": "ack", "work_within": "work"}
CELL_LABELS = {"ack": "acknowledge within", "work": "work within"}


def _id_or_none(value: str) -> int | None:
    return int(value) if value else None


class QuietForm(forms.Form):
    """A form that can be shown with what was typed, but without judging it yet (a step is being moved)."""

    use_required_attribute = False

    def __init__(self, *args: Any, quiet: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.quiet = quiet

    @property
    def errors(self) -> ErrorDict:
        return ErrorDict() if self.quiet else super().errors


class PathForm(QuietForm):
    """What holds for the whole path."""

    name = forms.CharField(max_length=100)
    description = forms.CharField(max_length=300, required=False)
    position = forms.IntegerField(
        min_value=0, max_value=32767, initial=100, help_text="Paths are tried from the lowest position on."
    )
    is_default = forms.BooleanField(
        label="the default path",
        required=False,
        help_text="Taken when no other path matches; there is exactly one.",
    )
    is_active = forms.BooleanField(
        label="active", required=False, initial=True, help_text="Off: no further ticket takes this path."
    )
    calendar_id = forms.TypedChoiceField(
        label="calendar", coerce=int, help_text="The hours its clocks count in, unless a step has its own."
    )
    sev1_round_the_clock = forms.BooleanField(
        label="SEV1 counts round the clock", required=False, initial=True
    )
    fallback_contact_id = forms.TypedChoiceField(
        label="fallback contact",
        coerce=int,
        help_text="Told when nobody on a step's contact lists can be reached. Take a person with two proven methods.",
    )
    hold_pauses = forms.BooleanField(label="on hold pauses the clocks", required=False)
    follow_up_days = forms.IntegerField(
        label="follow up after (business days)", min_value=1, max_value=366, initial=3
    )
    warn_percent = forms.IntegerField(label="warn at (% of a clock)", min_value=1, max_value=99, initial=75)
    on_first_response_due = forms.ChoiceField(
        label="first response overdue", choices=PathVersion.OnDue.choices, initial=PathVersion.OnDue.TELL_LEAD
    )
    on_next_response_due = forms.ChoiceField(
        label="next response overdue", choices=PathVersion.OnDue.choices, initial=PathVersion.OnDue.TELL_LEAD
    )
    on_resolution_due = forms.ChoiceField(
        label="resolution overdue", choices=PathVersion.OnDue.choices, initial=PathVersion.OnDue.CLIMB
    )
    # The fingerprint of what the person saw when they began.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, choices: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer("calendar_id", choices.calendars, "– choose –")
        self._offer("fallback_contact_id", choices.contacts, "– choose –")

    def _offer(self, field: str, options: Iterable[tuple[Any, str]], nothing: str) -> None:
        self.fields[field].choices = [("", nothing), *options]  # type: ignore[attr-defined]


class ConditionsForm(QuietForm):
    """Which tickets are meant: any value of a group, and every group that has one."""

    def __init__(self, *args: Any, choices: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = {
            "severities": "severity",
            "criticalities": "criticality of the service",
            "impacts": "impact",
            "complexities": "complexity",
            "sources": "came by",
        }
        for key, label in labels.items():
            self.fields[key] = forms.TypedMultipleChoiceField(
                label=label,
                choices=FIXED[key],
                coerce=str if key == "sources" else int,
                required=False,
                widget=forms.CheckboxSelectMultiple,
            )
        for key in ROWS:
            options = getattr(choices, key)
            self.fields[key] = forms.TypedMultipleChoiceField(
                label={"services": "service", "categories": "category", "organisations": "organisation"}[key],
                choices=options,
                coerce=int,
                required=False,
                widget=forms.SelectMultiple(attrs={"size": max(3, min(7, len(options)))}),
            )
        self.fields["vip"] = forms.TypedChoiceField(
            label="VIP organisations",
            choices=[("", "any"), ("yes", "only VIP"), ("no", "only those that are not")],
            coerce=lambda value: value == "yes",
            empty_value=None,
            required=False,
        )
        self.fields["tags"] = forms.CharField(
            label="tags", required=False, help_text="Any of these, separated by commas."
        )

    @staticmethod
    def initial_of(conditions: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the form shows for stored conditions."""
        vip = {None: "", True: "yes", False: "no"}[conditions.get("vip")]
        return {**conditions, "vip": vip, "tags": ", ".join(conditions.get("tags", ()))}

    def conditions(self) -> dict[str, Any]:
        """Return the cleaned conditions, without the groups that say nothing."""
        found = {
            key: list(value)
            for key, value in self.cleaned_data.items()
            if key not in {"vip", "tags"} and value
        }
        tags = [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]
        if tags:
            found["tags"] = tags
        if self.cleaned_data["vip"] is not None:
            found["vip"] = self.cleaned_data["vip"]
        return found


class StepForm(QuietForm):
    """One step, its row of the matrix included; contact lists are chosen one after another, for their order counts."""

    name = forms.CharField(max_length=100)
    tier = forms.TypedChoiceField(choices=Tier.choices, coerce=int)
    team_id = forms.TypedChoiceField(label="team", coerce=_id_or_none, required=False, empty_value=None)
    mode = forms.ChoiceField(choices=Step.Mode.choices, label="what happens to the ticket")
    calendar_id = forms.TypedChoiceField(
        label="calendar", coerce=_id_or_none, required=False, empty_value=None
    )
    telling = forms.ChoiceField(choices=Step.Telling.choices, label="who is told when")
    wait = DurationField(
        label="wait before the next", required=True, help_text="Contact or round; like 5 min."
    )
    rounds = forms.IntegerField(min_value=1, max_value=1000, help_text="The last one repeats.")
    skips = forms.BooleanField(label="Some tickets skip this step when they enter the path", required=False)

    def __init__(self, *args: Any, choices: Choices, place: int, list_count: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place = place
        self.fields["team_id"].choices = [("", "– no team –"), *choices.teams]  # type: ignore[attr-defined]
        self.fields["calendar_id"].choices = [("", "the path's"), *choices.calendars]  # type: ignore[attr-defined]
        self.list_count = list_count
        for number in range(list_count):
            self.fields[f"list_{number}"] = forms.TypedChoiceField(
                label="contact list" if number == 0 else "then",
                choices=[
                    ("", "– tells nobody –" if number == 0 else "– nobody else –"),
                    *choices.contact_lists,
                ],
                coerce=_id_or_none,
                empty_value=None,
                required=False,
            )
        for severity in SEVERITIES:
            for cell, words in CELL_LABELS.items():
                label = f"SEV{severity}, {words}"
                self.fields[f"{cell}_{severity}"] = DurationField(
                    label=label, widget=_cell(f"Step {place}, {label}")
                )
        skip_prefix = f"{self.prefix}-skip"
        skip_when = (self.initial or {}).get("skip_when") or {}
        self.skip = ConditionsForm(
            self.data if self.is_bound else None,
            prefix=skip_prefix,
            initial=ConditionsForm.initial_of(skip_when),
            choices=choices,
            quiet=self.quiet,
        )

    def is_valid(self) -> bool:
        mine, skip = super().is_valid(), self.skip.is_valid()
        return mine and skip

    def lists(self) -> list[forms.BoundField]:
        """Return the selects of contact lists, in order."""
        return [self[f"list_{number}"] for number in range(self.list_count)]

    def cells(self) -> list[tuple[int, forms.BoundField, forms.BoundField]]:
        """Return the row of the matrix: severity, acknowledge within, work within."""
        return [(severity, self[f"ack_{severity}"], self[f"work_{severity}"]) for severity in SEVERITIES]

    @property
    def title(self) -> str:
        """Return the step's name as it was typed, or its number."""
        return str(self["name"].value() or f"Step {self.place}")

    @property
    def skips_some(self) -> bool:
        return bool(self["skips"].value())

    @staticmethod
    def initial_of(step: StepSpec) -> dict[str, Any]:
        """Return what the form shows for a step."""
        shown: dict[str, Any] = {
            "name": step.name,
            "tier": step.tier,
            "team_id": step.team_id,
            "mode": step.mode,
            "calendar_id": step.calendar_id,
            "telling": step.telling,
            "wait": step.wait,
            "rounds": step.rounds,
            "skips": step.skip_when is not None,
            "skip_when": step.skip_when,
        }
        for number, pk in enumerate(step.contact_list_ids):
            shown[f"list_{number}"] = pk
        for severity, (acknowledge, work) in step.targets.items():
            shown[f"ack_{severity}"], shown[f"work_{severity}"] = acknowledge, work
        return shown

    def spec(self) -> StepSpec:
        """Return the cleaned step."""
        cleaned = self.cleaned_data
        lists = (cleaned[f"list_{number}"] for number in range(self.list_count))
        targets: dict[int, tuple[dt.timedelta | None, dt.timedelta | None]] = {
            severity: (cleaned[f"ack_{severity}"], cleaned[f"work_{severity}"]) for severity in SEVERITIES
        }
        return StepSpec(
            name=cleaned["name"],
            tier=cleaned["tier"],
            team_id=cleaned["team_id"],
            mode=cleaned["mode"],
            calendar_id=cleaned["calendar_id"],
            contact_list_ids=tuple(pk for pk in lists if pk is not None),
            telling=cleaned["telling"],
            wait=cleaned["wait"],
            rounds=cleaned["rounds"],
            skip_when=self.skip.conditions() if cleaned["skips"] else None,
            targets=targets,
        )


class PromiseForm(QuietForm):
    """The service targets of one severity."""

    def __init__(self, *args: Any, severity: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.severity = severity
        for name in PROMISES:
            label = f"SEV{severity}, {PROMISE_LABELS[name]}"
            self.fields[name] = DurationField(label=label, widget=_cell(label))

    def cells(self) -> list[forms.BoundField]:
        """Return the row of the grid."""
        return [self[name] for name in PROMISES]

    def spec(self) -> PromiseSpec:
        """Return the cleaned targets."""
        return PromiseSpec(**{name: self.cleaned_data[name] for name in PROMISES})


def path_initial(spec: PathSpec) -> dict[str, Any]:
    """Return what the path's own form shows."""
    return {name: getattr(spec, name) for name in PathForm.base_fields if name != "seen"}


def _cell(label: str) -> forms.TextInput:
    return forms.TextInput(attrs={"aria-label": label, "class": "cell", "autocomplete": "off", "size": 8})
