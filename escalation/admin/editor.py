"""The page of a path as a whole: what was typed, moved and wrong, with or without the browser's script."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.http import QueryDict

from core.errors import Refused
from escalation.admin.choices import Choices
from escalation.admin.forms import (
    CELLS,
    ConditionsForm,
    PathForm,
    PromiseForm,
    QuietForm,
    StepForm,
    path_initial,
)
from escalation.operations.publishing import BadPath
from escalation.rules.problems import SEVERITIES
from escalation.rules.specs import PathSpec, PromiseSpec, StepSpec

TOTAL = "steps-TOTAL"
MOST_STEPS = 30


class PathEditor:
    """All forms of the page, built from a spec (what is stored) or from a POST (what was typed)."""

    def __init__(
        self,
        choices: Choices,
        *,
        spec: PathSpec | None = None,
        seen: str = "",
        data: QueryDict | None = None,
        quiet: bool = False,
    ) -> None:
        self.choices = choices
        self.data = data
        self.general: list[str] = []
        # Where the keyboard goes when the page comes back, and what is said about what happened.
        self.focus = ""
        self.said = ""
        common: dict[str, Any] = {"choices": choices, "quiet": quiet}
        steps = spec.steps if spec is not None else ()
        self.path = PathForm(
            data, initial={"seen": seen, **(path_initial(spec) if spec is not None else {})}, **common
        )
        self.conditions = ConditionsForm(
            data,
            prefix="conditions",
            initial=ConditionsForm.initial_of(spec.conditions if spec is not None else {}),
            **common,
        )
        count = _total(data) if data is not None else len(steps)
        self.steps = [
            StepForm(
                data,
                prefix=f"steps-{index}",
                place=index + 1,
                initial=StepForm.initial_of(steps[index]) if data is None else None,
                list_count=_list_count(data, index)
                if data is not None
                else max(2, len(steps[index].contact_list_ids) + 1),
                **common,
            )
            for index in range(count)
        ]
        promises: Mapping[int, PromiseSpec] = spec.promises if spec is not None else {}
        self.promises = [
            PromiseForm(
                data,
                prefix=f"promise-{severity}",
                severity=severity,
                initial=_promise_initial(promises.get(severity)),
                quiet=quiet,
            )
            for severity in SEVERITIES
        ]

    @property
    def forms(self) -> Sequence[QuietForm]:
        """All forms, in the order in which they stand on the page."""
        steps = [form for step in self.steps for form in (step, step.skip)]
        return [self.path, self.conditions, *steps, *self.promises]

    def is_valid(self) -> bool:
        """Tell whether every field can be read; judging the whole is the operation's part."""
        verdicts = [form.is_valid() for form in self.forms]
        return all(verdicts)

    def spec(self) -> PathSpec:
        """Return what was typed as a spec; `is_valid` must have said yes."""
        cleaned = dict(self.path.cleaned_data)
        cleaned.pop("seen")
        return PathSpec(
            **cleaned,
            conditions=self.conditions.conditions(),
            steps=tuple(step.spec() for step in self.steps),
            promises={form.severity: form.spec() for form in self.promises},
        )

    def put(self, refused: Refused) -> None:
        """Show what the operation refused, each problem beside the field it is about."""
        if not isinstance(refused, BadPath):
            self.general.append(str(refused))
            return
        for problem in refused.problems:
            text = f"{problem.message} {problem.mend}"
            form, field = self.locate(problem.field)
            if form is None or field is None:
                self.general.append(text)
            else:
                form.add_error(field, text)

    def locate(self, place: str) -> tuple[QuietForm | None, str | None]:
        """Return the form and field that a dotted place such as steps.2.targets.1.work_within means."""
        head, *rest = place.split(".")
        if not rest:
            return (self.path, head) if head in self.path.fields else (None, None)
        if head == "conditions":
            return (self.conditions, rest[0]) if rest[0] in self.conditions.fields else (None, None)
        if head == "promises" and rest[0].isdecimal():
            form = next((form for form in self.promises if form.severity == int(rest[0])), None)
            return (form, rest[-1]) if form is not None and rest[-1] in form.fields else (None, None)
        if head == "steps" and rest[0].isdecimal() and 1 <= int(rest[0]) <= len(self.steps):
            return self._in_step(self.steps[int(rest[0]) - 1], rest[1:])
        return None, None

    @staticmethod
    def _in_step(step: StepForm, rest: Sequence[str]) -> tuple[QuietForm | None, str | None]:
        if rest[0] == "contact_list_ids":
            return step, "list_0"
        if rest[0] == "skip_when":
            known = len(rest) > 1 and rest[1] in step.skip.fields
            return (step.skip, rest[1]) if known else (step, "skips")
        if rest[0] == "targets" and len(rest) == 3 and rest[2] in CELLS:
            return step, f"{CELLS[rest[2]]}_{rest[1]}"
        return (step, rest[0]) if rest[0] in step.fields else (None, None)

    def anchor(self, place: str) -> str:
        """Return the id of the control that a dotted place means, "" when there is none."""
        form, field = self.locate(place)
        if form is None or field is None:
            return {"conditions": "conditions", "steps": "steps"}.get(place, "")
        return str(form[field].auto_id)

    def errors(self) -> list[tuple[str, str, str]]:
        """Return (anchor, where, what is wrong) of everything, for the list on top of the page."""
        found = [("", "", text) for text in self.general]
        for form in self.forms:
            for name, errors in form.errors.items():
                if name == NON_FIELD_ERRORS:
                    found += [("", "", str(error)) for error in errors]
                    continue
                where = self._where(form, str(form.fields[name].label or form[name].label))
                found += [(str(form[name].auto_id), where, str(error)) for error in errors]
        return found

    def _where(self, form: QuietForm, label: str) -> str:
        for step in self.steps:
            if form is step or form is step.skip:
                name = step["name"].value()
                return f"Step {step.place}{f' “{name}”' if name else ''}, {label}"
        return label[:1].upper() + label[1:]


def initial_spec(calendar_id: int | None, *, is_default: bool) -> PathSpec:
    """Return what a new path starts with: three steps and the times that most service desks begin with."""
    minutes, hours = _of_minutes, _of_hours
    return PathSpec(
        name="",
        is_default=is_default,
        calendar_id=calendar_id,
        fallback_contact_id=None,
        steps=(
            StepSpec(
                name="",
                tier=1,
                targets={
                    1: (minutes(5), minutes(15)),
                    2: (minutes(15), minutes(30)),
                    3: (None, hours(4)),
                    4: (None, hours(8)),
                },
            ),
        ),
        promises={
            1: PromiseSpec(first_response=minutes(15), resolution=hours(4), update_every=minutes(30)),
            2: PromiseSpec(first_response=minutes(30), resolution=hours(8), update_every=hours(2)),
            3: PromiseSpec(first_response=hours(4), resolution=hours(24)),
            4: PromiseSpec(first_response=hours(8), resolution=hours(40)),
        },
    )


def act(choices: Choices, data: QueryDict, action: str) -> PathEditor:
    """Carry out a button of the steps (add, up:2, down:2, remove:2) on what was typed, judging nothing yet."""
    verb, _, place = action.partition(":")
    steps = [_step_data(data, index) for index in range(_total(data))]
    index = int(place) if place.isdecimal() and int(place) < len(steps) else None
    focus, said = "", ""
    if verb == "add" and len(steps) < MOST_STEPS:
        steps.append(_fresh_step(steps[-1] if steps else {}))
        focus = f"id_steps-{len(steps) - 1}-name"
        said = f"Step {len(steps)} added. Give it a name."
    elif verb == "remove" and index is not None:
        gone = steps.pop(index)
        focus = f"id_steps-{min(index, len(steps) - 1)}-name" if steps else "add-step"
        said = f"{_name_of(gone, index)} removed. Nothing is saved yet."
    elif verb in {"up", "down"} and index is not None:
        target = index + (-1 if verb == "up" else 1)
        if 0 <= target < len(steps):
            steps[index], steps[target] = steps[target], steps[index]
            # At an end of the path the same button is gone: the opposite one is the nearest.
            stays = 0 < target < len(steps) - 1
            other = "down" if verb == "up" else "up"
            focus = f"step-{target}-{verb if stays else other}"
            said = f"{_name_of(steps[target], target)} is now step {target + 1} of {len(steps)}."
    editor = PathEditor(choices, data=_with_steps(data, steps), quiet=True)
    editor.focus, editor.said = focus, said
    return editor


def _of_minutes(count: int) -> dt.timedelta:
    return dt.timedelta(minutes=count)


def _of_hours(count: int) -> dt.timedelta:
    return dt.timedelta(hours=count)


def _promise_initial(promise: PromiseSpec | None) -> dict[str, Any]:
    if promise is None:
        return {}
    return {
        "first_response": promise.first_response,
        "next_response": promise.next_response,
        "resolution": promise.resolution,
        "update_every": promise.update_every,
    }


def _total(data: QueryDict) -> int:
    text = data.get(TOTAL, "0") or "0"
    return min(int(text), MOST_STEPS) if text.isascii() and text.isdecimal() else 0


def _list_count(data: QueryDict, index: int) -> int:
    prefix = f"steps-{index}-list_"
    given = [key for key in data if key.startswith(prefix)]
    used = [key for key in given if data.get(key)]
    return min(max(2, len(given), len(used) + 1), 10)


def _step_data(data: QueryDict, index: int) -> dict[str, list[str]]:
    prefix = f"steps-{index}-"
    return {key.removeprefix(prefix): data.getlist(key) for key in data if key.startswith(prefix)}


def _with_steps(data: QueryDict, steps: Sequence[Mapping[str, list[str]]]) -> QueryDict:
    fresh = QueryDict(mutable=True)
    for key in data:
        if not key.startswith("steps-"):
            fresh.setlist(key, data.getlist(key))
    fresh[TOTAL] = str(len(steps))
    for index, step in enumerate(steps):
        for key, values in step.items():
            fresh.setlist(f"steps-{index}-{key}", list(values))
    return fresh


def _fresh_step(below: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return a new step on top: the next tier, told like the one below."""
    tier = (below.get("tier") or ["1"])[0]
    above = min(int(tier) + 1, 4) if below and tier.isascii() and tier.isdecimal() else 1
    return {
        "name": [""],
        "tier": [str(above)],
        "mode": ["involves" if above == 4 else "transfers"],
        "telling": list(below.get("telling") or ["all"]),
        "wait": list(below.get("wait") or ["5 min"]),
        "rounds": list(below.get("rounds") or ["3"]),
    }


def _name_of(step: Mapping[str, list[str]], index: int) -> str:
    name = (step.get("name") or [""])[0].strip()
    return f"“{name}”" if name else f"Step {index + 1}"
