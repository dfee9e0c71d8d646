"""Publish an escalation path: every edit is a new immutable version, running clocks keep theirs (DESIGN 3)."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from django.db import IntegrityError, transaction

from accounts.models import Team, User
from accounts.operations import permit
from accounts.rules import Verb
from calendars.models import Calendar
from core.errors import Conflict, Refused
from escalation.models import EscalationPath, PathVersion, ServiceTarget, Step, StepContactList, StepTarget
from escalation.operations.doubts import record_doubts
from escalation.reading import spec_of, spec_of_version, specs_of_versions
from escalation.rules.problems import Problem, problems_of, step_label
from escalation.rules.specs import (
    OF_THE_PATH,
    PROMISES,
    PathSpec,
    PromiseSpec,
    StepSpec,
    plain_conditions,
)
from notifications.models import Contact, ContactList

__all__ = [
    "BadPath",
    "NoSuchPath",
    "PathChanged",
    "PathSpec",
    "PromiseSpec",
    "StepSpec",
    "fingerprint",
    "publish_path",
    "spec_of",
    "spec_of_version",
    "specs_of_versions",
]


class BadPath(Refused):
    """Say what keeps a path from being published; `problems` holds all of it, the first one is the message."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.message, field=first.field, value=first.value, mend=first.mend)


class NoSuchPath(Refused):
    """Say that no path has this id."""

    status = 404


class PathChanged(Conflict):
    """Say that somebody else has published the path since this person began to edit it."""


def publish_path(
    *, path_id: int | None, spec: PathSpec, actor: User | None, now: dt.datetime, seen: str | None = None
) -> PathVersion:
    """Create a path (`path_id` None) or publish a new version of one; return the version in force.

    The same content again makes no new version. Running clocks and pinned tickets keep the version they have (DESIGN
    3). The default passes from one path to another by publishing the other one as the default. What is doubtful about
    the paths is worked out anew. `seen` is the `fingerprint` of the path when the editing began. Locks all paths, in
    id order. Raises NotAllowed, NoSuchPath, BadPath with every problem by field, PathChanged when `seen` is no longer
    true.
    """
    permit(actor, Verb.ADMINISTER)
    spec = _tidy(spec)
    problems = [*problems_of(spec), *_unknown_rows(spec)]
    try:
        with transaction.atomic():
            # All, and they are few: which one is the default is a matter between them.
            rows = EscalationPath.objects.select_for_update(no_key=True).order_by("pk")
            paths = {path.pk: path for path in rows}
            if path_id is not None and path_id not in paths:
                raise NoSuchPath(
                    f"There is no path {path_id}.",
                    field="path",
                    value=path_id,
                    mend="Choose one of the list.",
                )
            path = paths[path_id] if path_id is not None else EscalationPath()
            if seen is not None and path_id is not None and seen != fingerprint(path):
                raise _changed(path)
            problems += _among_paths(spec, path, paths)
            if problems:
                raise BadPath(problems)
            version = _publish(path, spec, paths, actor, now)
            record_doubts(now=now)
            return version
    except IntegrityError as error:
        if "name" not in str(error) and "one_default_path" not in str(error):
            raise
        raise PathChanged(
            "Somebody created a path at the same moment.",
            field="name",
            value=spec.name,
            mend="Look at the list, then save again.",
        ) from error


def fingerprint(path: EscalationPath) -> str:
    """Return what changes whenever anybody publishes the path, for the form to carry."""
    seen = [path.current_id, *(getattr(path, field) for field in OF_THE_PATH)]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def _tidy(spec: PathSpec) -> PathSpec:
    """Return the spec as it would be read back, so that the same content compares equal."""
    steps = tuple(
        replace(
            step,
            name=step.name.strip(),
            contact_list_ids=tuple(step.contact_list_ids),
            skip_when=_plain(step.skip_when),
            targets={severity: cell for severity, cell in sorted(step.targets.items()) if any(_given(cell))},
        )
        for step in spec.steps
    )
    promises = {
        severity: promise
        for severity, promise in sorted(spec.promises.items())
        if any(getattr(promise, name) is not None for name in PROMISES)
    }
    return replace(
        spec,
        name=spec.name.strip(),
        description=spec.description.strip(),
        conditions=_plain(spec.conditions) or {},
        steps=steps,
        promises=MappingProxyType(promises),
    )


def _given(cell: Iterable[dt.timedelta | None]) -> list[bool]:
    return [duration is not None for duration in cell]


def _plain(conditions: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    try:
        return plain_conditions(conditions)
    except TypeError:
        return conditions  # not lists of one kind: `problems_of` says so in words


def _unknown_rows(spec: PathSpec) -> list[Problem]:
    """Return a problem for every id that names nothing, in four queries."""
    named: dict[tuple[type[Any], str], list[tuple[str, str, int]]] = {
        (Calendar, "calendar"): [("calendar_id", "The path", spec.calendar_id)] if spec.calendar_id else [],
        (Contact, "contact"): [("fallback_contact_id", "The path", spec.fallback_contact_id)]
        if spec.fallback_contact_id
        else [],
        (Team, "team"): [],
        (ContactList, "contact list"): [],
    }
    for place, step in enumerate(spec.steps, start=1):
        field, label = f"steps.{place}", step_label(place, step)
        if step.calendar_id is not None:
            named[Calendar, "calendar"].append((f"{field}.calendar_id", label, step.calendar_id))
        if step.team_id is not None:
            named[Team, "team"].append((f"{field}.team_id", label, step.team_id))
        for pk in step.contact_list_ids:
            named[ContactList, "contact list"].append((f"{field}.contact_list_ids", label, pk))
    problems = []
    for (model, word), uses in named.items():
        if not uses:
            continue
        there = set(model.objects.filter(pk__in={pk for _, _, pk in uses}).values_list("pk", flat=True))
        problems += [
            Problem(field, pk, f"{label}: there is no {word} {pk}.", "Choose one of the list.")
            for field, label, pk in uses
            if pk not in there
        ]
    return problems


def _among_paths(
    spec: PathSpec, path: EscalationPath, paths: Mapping[int, EscalationPath]
) -> Iterable[Problem]:
    for other in paths.values():
        if other.pk != path.pk and other.name.casefold() == spec.name.casefold():
            yield Problem("name", spec.name, f"There is another path “{other.name}”.", "Choose another name.")
    if spec.is_default:
        return
    if path.pk is not None and path.is_default:
        yield Problem(
            "is_default",
            False,
            "This is the default path, and there must be one.",
            "Make another path the default; this one then stops being it.",
        )
    elif not any(other.is_default for other in paths.values()):
        yield Problem(
            "is_default",
            False,
            "There is no default path yet.",
            "Make this one the default, or that one first.",
        )


def _publish(
    path: EscalationPath,
    spec: PathSpec,
    paths: Mapping[int, EscalationPath],
    actor: User | None,
    now: dt.datetime,
) -> PathVersion:
    if spec.is_default:
        for other in paths.values():
            if other.is_default and other.pk != path.pk:
                other.is_default = False
                # Without conditions it would match every ticket before the new default is ever tried.
                other.is_active = bool(other.current is not None and other.current.conditions)
                other.save(update_fields=["is_default", "is_active"])
    current = path.current
    unchanged = current is not None and _content(spec_of(path)) == _content(spec)
    for field in OF_THE_PATH:
        setattr(path, field, getattr(spec, field))
    path.save()
    if current is not None and unchanged:
        return current
    version = _write(path, current.number + 1 if current is not None else 1, spec, actor, now)
    path.current = version
    path.save(update_fields=["current"])
    return version


def _content(spec: PathSpec) -> PathSpec:
    """Return the part of a spec that makes a version, in a form that compares by value."""
    return replace(
        spec,
        name="",
        description="",
        position=0,
        is_default=False,
        is_active=True,
        promises=dict(spec.promises),
    )


def _write(
    path: EscalationPath, number: int, spec: PathSpec, actor: User | None, now: dt.datetime
) -> PathVersion:
    version = PathVersion.objects.create(
        path=path,
        number=number,
        calendar_id=cast("int", spec.calendar_id),
        sev1_round_the_clock=spec.sev1_round_the_clock,
        conditions=dict(spec.conditions),
        fallback_id=cast("int", spec.fallback_contact_id),
        hold_pauses=spec.hold_pauses,
        follow_up_days=spec.follow_up_days,
        warn_percent=spec.warn_percent,
        on_first_response_due=spec.on_first_response_due,
        on_next_response_due=spec.on_next_response_due,
        on_resolution_due=spec.on_resolution_due,
        created_at=now,
        created_by=actor,
    )
    steps = Step.objects.bulk_create(
        [
            Step(
                version=version,
                position=place,
                name=step.name,
                tier=step.tier,
                team_id=step.team_id,
                mode=step.mode,
                calendar_id=step.calendar_id,
                telling=step.telling,
                wait=step.wait,
                rounds=step.rounds,
                skip_when=None if step.skip_when is None else dict(step.skip_when),
            )
            for place, step in enumerate(spec.steps, start=1)
        ]
    )
    StepContactList.objects.bulk_create(
        [
            StepContactList(step=row, contact_list_id=pk, position=place)
            for row, step in zip(steps, spec.steps, strict=True)
            for place, pk in enumerate(step.contact_list_ids, start=1)
        ]
    )
    StepTarget.objects.bulk_create(
        [
            StepTarget(step=row, severity=severity, acknowledge_within=acknowledge, work_within=work)
            for row, step in zip(steps, spec.steps, strict=True)
            for severity, (acknowledge, work) in step.targets.items()
        ]
    )
    ServiceTarget.objects.bulk_create(
        [
            ServiceTarget(
                version=version, severity=severity, **{name: getattr(promise, name) for name in PROMISES}
            )
            for severity, promise in spec.promises.items()
        ]
    )
    return version


def _changed(path: EscalationPath) -> PathChanged:
    current = path.current
    who = f" by {current.created_by}" if current is not None and current.created_by is not None else ""
    number = f" (version {current.number}{who})" if current is not None else ""
    return PathChanged(
        f"Somebody else has saved “{path.name}” since you opened it{number}. Nothing of yours is saved yet.",
        field="seen",
        value=path.name,
        mend="Your input is kept below: compare it with the path in another tab, then save again to replace it.",
    )
