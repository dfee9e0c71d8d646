"""The facts that linting a path needs, as contacts, teams and calendars are now; and what is doubtful about it."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calendars.models import Calendar
from calendars.queries import hours_of_many
from escalation.duties import duties_on
from escalation.models import EscalationPath
from escalation.reading import specs_of_versions
from escalation.rules.lint import CalendarFacts, Doubt, EntryFacts, FallbackFacts, ListFacts, lint
from escalation.rules.specs import PathSpec
from notifications.models import Channel, Contact, ContactList, ContactListEntry, ContactMethod
from notifications.queries import Rung, resolve_lists


@dataclass(frozen=True, slots=True)
class Linted:
    """One active path with what is doubtful about its version in force."""

    path: EscalationPath
    doubts: tuple[Doubt, ...]


def lint_active(now: dt.datetime) -> list[Linted]:
    """Return the active paths in the order in which they are tried, each with its doubts.

    A constant number of queries, however many paths, steps and contacts there are.
    """
    paths = _active()
    specs = specs_of_versions(path.current_id for path in paths if path.current_id is not None)
    wanted = [(path, specs[path.current_id]) for path in paths if path.current_id is not None]
    facts = _gather([spec for _, spec in wanted], now)
    return [Linted(path, facts.lint(spec, _before(paths, spec, path.pk))) for path, spec in wanted]


def lint_path(spec: PathSpec, *, path_id: int | None, now: dt.datetime) -> tuple[Doubt, ...]:
    """Return what is doubtful about one path as it is written down; `path_id` is None for a new one."""
    return _gather([spec], now).lint(spec, _before(_active(), spec, path_id))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the contact lists, fallbacks and calendars of some paths are now."""

    lists: Mapping[int, ListFacts]
    fallbacks: Mapping[int, FallbackFacts]
    calendars: Mapping[int, CalendarFacts]

    def lint(self, spec: PathSpec, before: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Doubt, ...]:
        fallback = self.fallbacks.get(spec.fallback_contact_id or 0)
        return lint(spec, lists=self.lists, fallback=fallback, before=before, calendars=self.calendars)


def _active() -> list[EscalationPath]:
    rows = EscalationPath.objects.filter(is_active=True, current__isnull=False)
    return list(rows.select_related("current").order_by("is_default", "position", "pk"))


def _before(
    paths: Iterable[EscalationPath], spec: PathSpec, path_id: int | None
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (name, conditions) of the active paths that are tried before this one."""
    mine = (spec.position, path_id if path_id is not None else float("inf"))
    return [
        (path.name, path.current.conditions)
        for path in paths
        if path.current is not None
        and not path.is_default
        and path.pk != path_id
        and (path.position, path.pk) < mine
    ]


def _gather(specs: Sequence[PathSpec], now: dt.datetime) -> _Facts:
    list_ids = {pk for spec in specs for step in spec.steps for pk in step.contact_list_ids}
    fallback_ids = {spec.fallback_contact_id for spec in specs if spec.fallback_contact_id is not None}
    rungs = resolve_lists(list_ids, now)
    entries = {
        entry.pk: entry
        for entry in ContactListEntry.objects.filter(contact_list_id__in=list_ids).select_related(
            "contact__user", "contact__team__lead", "contact__schedule", "contact_list__calendar"
        )
    }
    duties = duties_on(entries.values(), now)
    fallbacks = list(Contact.objects.filter(pk__in=fallback_ids).select_related("user"))
    people = {rung.contact_id for found in rungs.values() for rung in found}
    methods: dict[int, list[ContactMethod]] = {}
    for method in ContactMethod.objects.filter(contact_id__in=people | fallback_ids, is_active=True):
        methods.setdefault(method.contact_id, []).append(method)
    names = dict(ContactList.objects.filter(pk__in=list_ids).values_list("pk", "name"))
    return _Facts(
        lists={
            pk: ListFacts(
                names.get(pk, f"no. {pk}"),
                tuple(
                    _entry(rung, entries[rung.entry_id].contact, methods.get(rung.contact_id, []))
                    # Taken off the list between the two reads.
                    for rung in found
                    if rung.entry_id in entries
                ),
                duties.get(pk, ()),
            )
            for pk, found in rungs.items()
        },
        fallbacks={contact.pk: _fallback(contact, methods.get(contact.pk, [])) for contact in fallbacks},
        calendars=_calendars(specs),
    )


def _entry(rung: Rung, contact: Contact, methods: Sequence[ContactMethod]) -> EntryFacts:
    failing = _all_fail(methods)
    elsewhere = [method for method in methods if method.channel != Channel.APP]
    bell_only = bool(methods) and not elsewhere
    why, mend = _why_not(rung, contact, methods)
    return EntryFacts(
        name=rung.name,
        reachable=rung.reachable,
        severities=rung.severities,
        from_round=rung.from_round,
        failing=failing,
        person=str(rung.contact_id),
        why=why,
        mend=mend,
        # The bell proves nothing but itself.
        proven=bell_only or any(method.proven_at is not None for method in elsewhere),
        bell_only=bell_only,
        on_call=contact.kind == Contact.Kind.ON_CALL and contact.is_active,
    )


def _why_not(rung: Rung, contact: Contact, methods: Sequence[ContactMethod]) -> tuple[str, str]:
    """Return why somebody can't be told, and the mend; it says nothing about those who can."""
    lead = contact.team.lead if contact.kind == Contact.Kind.LEAD and contact.team is not None else None
    if not contact.is_active:
        return "switched off as a contact", "Switch the contact on, or take it off the list."
    if contact.kind == Contact.Kind.LEAD and lead is None:
        return f"{contact.team} has no lead", "Name the lead of the team, or take the role off the list."
    if lead is not None and not lead.is_active:
        return (
            f"the account of {contact.team}'s lead is switched off",
            "Name another lead of the team, or take the role off the list.",
        )
    if contact.user is not None and not contact.user.is_active:
        return "the account is switched off", "Take them off the list, and put whoever follows on it."
    if rung.reachable and methods:
        since = (
            max(method.failing_since for method in methods if method.failing_since)
            if _all_fail(methods)
            else None
        )
        return (
            f"every message fails, since {since:%-d %b %Y}" if since is not None else "",
            "Mend the address, or add another contact method.",
        )
    return "no contact method is switched on", "Add one, or take them off the list."


def _all_fail(methods: Sequence[ContactMethod]) -> bool:
    return bool(methods) and all(method.failing_since is not None for method in methods)


def _fallback(contact: Contact, methods: Sequence[ContactMethod]) -> FallbackFacts:
    if not contact.is_active or (contact.user is not None and not contact.user.is_active):
        unreachable = "is switched off"
    elif contact.kind == Contact.Kind.LEAD:
        unreachable = "is a role, which has no address of its own"
    elif not methods:
        unreachable = "has no contact method that is switched on"
    elif _all_fail(methods):
        unreachable = "can't be told, every message to it fails"
    else:
        unreachable = ""
    return FallbackFacts(
        name=contact.name,
        is_person=contact.kind == Contact.Kind.PERSON,
        proven_methods=sum(
            method.proven_at is not None and method.failing_since is None
            for method in methods
            # The bell is heard by those who look at it.
            if method.channel != Channel.APP
        ),
        person=str(contact.pk),
        unreachable=unreachable,
    )


def _calendars(specs: Sequence[PathSpec]) -> dict[int, CalendarFacts]:
    ids = {spec.calendar_id for spec in specs} | {step.calendar_id for spec in specs for step in spec.steps}
    rows = Calendar.objects.filter(pk__in={pk for pk in ids if pk is not None}, current__isnull=False)
    named = {pk: (name, version) for pk, name, version in rows.values_list("pk", "name", "current_id")}
    hours = hours_of_many({version for _, version in named.values() if version is not None})
    return {
        pk: CalendarFacts(name, hours[version].always)
        for pk, (name, version) in named.items()
        if version is not None
    }
