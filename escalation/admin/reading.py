"""What the page of a path shows beside the form: who would be told, versions, tickets at work."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.utils import timezone

from accounts.models import Tier
from core.durations import spoken
from escalation.admin.choices import Choices, conditions_in_words
from escalation.admin.forms import CELL_LABELS, CELLS, PROMISE_LABELS
from escalation.models import EscalationPath, PathVersion, Standing, Step
from escalation.reading import specs_of_versions
from escalation.rules.problems import SEVERITIES
from escalation.rules.specs import OF_THE_PATH, PROMISES, TARGETS, PathSpec, PromiseSpec, StepSpec
from notifications.models import Channel, ContactListEntry, ContactMethod
from notifications.queries import Rung, resolve_lists
from tickets.querysets import OPEN

VERSIONS = 20
# Counting stops here: "10,000 and more" says enough.
TICKET_CAP = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of a step's contact lists as it would be told now."""

    name: str
    contact_id: int
    words: str
    limits: str
    # Each with what is doubtful about it, "" where nothing is.
    ways: list[tuple[str, str]]


def who_is_told(list_ids: Iterable[tuple[int, ...]], now: dt.datetime) -> list[list[Told]]:
    """Return for each step who would be told now, in order; a constant number of queries."""
    steps = list(list_ids)
    rungs = resolve_lists({pk for step in steps for pk in step}, now)
    ids = {pk for found in rungs.values() for rung in found for pk, _, _ in rung.methods}
    methods = ContactMethod.objects.in_bulk(ids)
    return [[_told(rung, methods) for pk in step for rung in rungs.get(pk, ())] for step in steps]


def _told(rung: Rung, methods: Mapping[int, ContactMethod]) -> Told:
    limits = []
    if rung.severities:
        limits.append("only " + ", ".join(f"SEV{severity}" for severity in sorted(rung.severities)))
    if rung.hours != ContactListEntry.Hours.ALWAYS:
        limits.append(ContactListEntry.Hours(rung.hours).label.lower())
    if rung.from_round > 1:
        limits.append(f"from round {rung.from_round} on")
    return Told(
        name=rung.name,
        contact_id=rung.contact_id,
        words=rung.instructions,
        limits=", ".join(limits),
        ways=[_way(channel, address, methods.get(pk)) for pk, channel, address in rung.methods],
    )


def _way(channel: str, address: str, method: ContactMethod | None) -> tuple[str, str]:
    """Return a way to reach somebody, and what is doubtful about it."""
    if method is None:
        doubt = ""
    elif method.failing_since is not None:
        doubt = f"failing since {timezone.localtime(method.failing_since):%-d %b %Y}"
    else:
        doubt = "" if method.proven_at is not None or channel == Channel.APP else "not proven"
    return f"{Channel(channel).label} {address}", doubt


def tickets_on(path: EscalationPath, *, older_than: PathVersion | None = None) -> int:
    """Return how many open tickets are pinned to the path (to its older versions), counted up to a cap."""
    rows = Standing.objects.filter(version__path=path, ticket__status__in=OPEN, ticket__historic=False)
    if older_than is not None:
        rows = rows.exclude(version=older_than)
    return rows[: TICKET_CAP + 1].count()


def history_of(path: EscalationPath, choices: Choices) -> list[dict[str, Any]]:
    """Return the newest versions, each with what it changed; a constant number of queries."""
    rows = path.versions.select_related("created_by").order_by("-number")
    versions = list(rows[: VERSIONS + 1])
    specs = specs_of_versions(version.pk for version in versions)
    return [
        {
            "version": version,
            "changes": differences(specs[versions[place + 1].pk], specs[version.pk], choices)
            if place + 1 < len(versions)
            else [],
        }
        for place, version in enumerate(versions[:VERSIONS])
    ]


def differences(old: PathSpec, new: PathSpec, choices: Choices) -> list[str]:
    """Return what changed from one version to the next, in words."""
    changes = []
    for field in fields(PathSpec):
        if field.name in {*OF_THE_PATH, "steps", "promises", "conditions"}:
            continue
        was, now = getattr(old, field.name), getattr(new, field.name)
        if was != now:
            label = field.name.removesuffix("_id").replace("_", " ")
            changes.append(
                f"{label}: {_value(field.name, was, choices)} → {_value(field.name, now, choices)}"
            )
    if old.conditions != new.conditions:
        changes.append(
            f"taken by: {_conditions(old.conditions, choices)} → {_conditions(new.conditions, choices)}"
        )
    changes += _step_differences(old.steps, new.steps, choices)
    for severity in SEVERITIES:
        before, after = (spec.promises.get(severity, PromiseSpec()) for spec in (old, new))
        for name in PROMISES:
            was, now = getattr(before, name), getattr(after, name)
            if was != now:
                changes.append(f"SEV{severity}, {PROMISE_LABELS[name]}: {_time(was)} → {_time(now)}")
    return changes


def _step_differences(old: tuple[StepSpec, ...], new: tuple[StepSpec, ...], choices: Choices) -> list[str]:
    """Compare steps by name, so that a moved step is not told as two changed ones."""
    changes = []
    were = {step.name: step for step in old}
    names = [step.name for step in new]
    changes += [f"step “{step.name}” taken away" for step in old if step.name not in names]
    for place, step in enumerate(new, start=1):
        before = were.get(step.name)
        if before is None:
            changes.append(f"step {place} “{step.name}” added")
            continue
        changes += [f"“{step.name}”, {change}" for change in _of_one_step(before, step, choices)]
    kept_old = [step.name for step in old if step.name in names]
    kept_new = [name for name in names if name in were]
    if kept_old != kept_new:
        changes.append("order of the steps: " + ", ".join(names))
    return changes


def _of_one_step(old: StepSpec, new: StepSpec, choices: Choices) -> list[str]:
    changes = []
    for field in fields(StepSpec):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if field.name in {"name", "targets"} or was == now:
            continue
        label = field.name.removesuffix("_ids").removesuffix("_id").replace("_", " ")
        changes.append(f"{label}: {_value(field.name, was, choices)} → {_value(field.name, now, choices)}")
    for severity in SEVERITIES:
        before, after = (step.targets.get(severity, (None, None)) for step in (old, new))
        for name, was, now in zip(TARGETS, before, after, strict=True):
            if was != now:
                changes.append(f"SEV{severity} {CELL_LABELS[CELLS[name]]}: {_time(was)} → {_time(now)}")
    return changes


_TABLES = {"calendar_id": "calendars", "fallback_contact_id": "contacts", "team_id": "teams"}


def _value(name: str, value: Any, choices: Choices) -> str:
    if name in _TABLES:
        return choices.name(_TABLES[name], value) if value is not None else "none"
    if name == "contact_list_ids":
        return ", ".join(choices.name("contact_lists", pk) for pk in value) or "nobody"
    if name == "skip_when":
        return "never" if value is None else _conditions(value, choices)
    if name == "tier":
        return str(Tier(value).label)
    if name == "wait":
        return _time(value)
    labels = {**dict(Step.Mode.choices), **dict(Step.Telling.choices), **dict(PathVersion.OnDue.choices)}
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(labels.get(value, value))


def _conditions(conditions: Mapping[str, Any], choices: Choices) -> str:
    return " and ".join(conditions_in_words(conditions, choices)) or "every ticket"


def _time(value: Any) -> str:
    return spoken(value) if value is not None else "none"
