"""What is doubtful about a path as a whole: who takes it, its severities, its contacts and its fallback. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from escalation.rules.lint.duties import lint_duties
from escalation.rules.lint.facts import (
    ERROR,
    WARNING,
    Doubt,
    EntryFacts,
    Facts,
    FallbackFacts,
    cell,
    implies,
    without_targets,
)
from escalation.rules.lint.words import has_or_have, is_or_are, names
from escalation.rules.problems import step_label
from escalation.rules.specs import PROMISES, PathSpec


def lint_path(spec: PathSpec, before: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Doubt]:
    if not spec.is_active:
        return
    if spec.is_default:
        if any(wanted not in (None, [], ()) for wanted in spec.conditions.values()):
            yield Doubt(
                "default_conditions",
                WARNING,
                "The default path also takes tickets that its conditions leave out: nobody else does.",
                "Take the conditions away.",
                "conditions",
            )
        return
    for name, conditions in before:
        if implies(spec.conditions, conditions):
            yield Doubt(
                "path_unreachable",
                WARNING,
                f"No ticket ever takes this path: “{name}” is tried before it and takes all that match it.",
                f"Give it a lower position than “{name}”, or switch it off.",
                "position",
            )
            return


def lint_severities(facts: Facts) -> Iterator[Doubt]:
    spec = facts.spec
    for severity in facts.severities:
        if severity in without_targets(facts):
            yield Doubt(
                "severity_without_targets",
                ERROR,
                f"SEV{severity} has no time at any step: "
                + (
                    "only a missed service target makes such a ticket climb, once."
                    if facts.climbs_on_promise(severity)
                    else "nothing makes such a ticket climb."
                ),
                "Fill its column of the matrix.",
                f"steps.1.targets.{severity}.work_within",
                severity=severity,
            )
        promise = spec.promises.get(severity)
        if promise is None or not any(getattr(promise, name) for name in PROMISES):
            yield Doubt(
                "severity_without_promise",
                WARNING,
                f"SEV{severity} has no service target: the requester is promised nothing.",
                "Promise at least a first response.",
                f"promises.{severity}.first_response",
                severity=severity,
            )


def lint_night(facts: Facts) -> Iterator[Doubt]:
    """Find a SEV1 that waits for the morning below a step that is there by night."""
    spec = facts.spec
    if spec.sev1_round_the_clock or 1 not in facts.severities:
        return
    hours = [facts.calendars.get(step.calendar_id or spec.calendar_id or 0) for step in spec.steps]
    for place, (step, calendar) in enumerate(zip(spec.steps, hours, strict=True), start=1):
        if calendar is None or calendar.always or 1 not in facts.severities_at(place):
            continue
        for above, other in enumerate(hours[place:], start=place + 1):
            if other is not None and other.always:
                yield Doubt(
                    "sev1_waits_for_morning",
                    WARNING,
                    f"SEV1 counts in “{calendar.name}” at {step_label(place, step)}: by night it waits there, "
                    f"though {step_label(above, spec.steps[above - 1])} is there round the clock.",
                    "Let SEV1 count round the clock.",
                    "sev1_round_the_clock",
                    step=place,
                    severity=1,
                )
                return


def lint_contacts(facts: Facts) -> Iterator[Doubt]:
    """Name those on the lists who can't be told, each list once, at the first step that uses it."""
    seen = set()
    for place, step in enumerate(facts.spec.steps, start=1):
        for list_id in step.contact_list_ids:
            if list_id not in facts.lists or list_id in seen:
                continue
            seen.add(list_id)
            found = facts.lists[list_id]
            if not found.entries and facts.entries(step):
                yield Doubt(
                    "list_empty",
                    WARNING,
                    f"“{found.name}” has nobody on it.",
                    "Put somebody on the list, or take it off the step.",
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )
            broken: dict[tuple[str, str], list[EntryFacts]] = {}
            for entry in found.entries:
                # Of whoever is on call the schedule is to blame, which is named below.
                if not entry.working and not (entry.on_call and not entry.reachable):
                    broken.setdefault((entry.why, entry.mend), []).append(entry)
            for (why, mend), entries in broken.items():
                yield Doubt(
                    "contact_failing" if entries[0].reachable else "contact_without_method",
                    WARNING,
                    f"{names(entries)} on “{found.name}” can't be told: {why}.",
                    mend,
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )
            unproven = [entry for entry in found.entries if entry.working and not entry.proven]
            if unproven:
                yield Doubt(
                    "contact_unproven",
                    WARNING,
                    f"{names(unproven)} on “{found.name}” {has_or_have(unproven)} no proven contact method: nothing "
                    "that was sent is known to have arrived.",
                    "Send a test from the contact's page; one that arrives proves a method.",
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )
            yield from lint_duties(found, place)
    yield from _lint_bells(facts)


def _lint_bells(facts: Facts) -> Iterator[Doubt]:
    """Name those who are told by the bell only where an acknowledgement is waited for, each list once."""
    seen = set()
    for place, step in enumerate(facts.spec.steps, start=1):
        wanting = [severity for severity in facts.severities_at(place) if cell(step, severity)[0] is not None]
        for list_id in step.contact_list_ids:
            if list_id not in facts.lists or list_id in seen or not wanting:
                continue
            seen.add(list_id)
            found = facts.lists[list_id]
            deaf = [
                entry
                for entry in found.entries
                if entry.working and entry.bell_only and any(entry.at(severity) for severity in wanting)
            ]
            if deaf:
                yield Doubt(
                    "contact_bell_only",
                    WARNING,
                    f"{names(deaf)} on “{found.name}” {is_or_are(deaf)} told by the bell in Belay only, and an "
                    "acknowledgement is wanted: who does not look does not hear it.",
                    "Add a contact method that reaches them wherever they are.",
                    f"steps.{place}.contact_list_ids",
                    step=place,
                )


def lint_fallback(fallback: FallbackFacts | None) -> Iterator[Doubt]:
    if fallback is None:
        return
    place = "fallback_contact_id"
    if fallback.unreachable:
        yield Doubt(
            "fallback_unreachable",
            ERROR,
            f"The fallback “{fallback.name}” {fallback.unreachable}: nobody is there when those of a step can't be "
            "reached.",
            "Choose a person with two contact methods that work.",
            place,
        )
        return
    if not fallback.is_person:
        yield Doubt(
            "fallback_no_person",
            WARNING,
            f"The fallback “{fallback.name}” is no person: a room acknowledges nothing.",
            "Choose a person.",
            place,
        )
    if fallback.proven_methods < 2:
        has = {0: "no proven method", 1: "one proven method"}[fallback.proven_methods]
        yield Doubt(
            "fallback_unproven",
            WARNING,
            f"The fallback “{fallback.name}” has {has}; two are wanted, for the day when one fails.",
            "Add a contact method; one is proven when a message has reached it.",
            place,
        )
