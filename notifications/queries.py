"""Reads about contacts and the outbox."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from notifications.models import Contact, ContactListEntry, ContactMethod, TickRecord
from notifications.operations import contacts_for


@dataclass(frozen=True, slots=True)
class Rung:
    """One entry of a contact list as it resolves now: who would be told, and how."""

    entry_id: int
    contact_id: int
    user_id: int | None
    name: str
    instructions: str
    severities: frozenset[int]
    from_round: int
    # (method id, channel, address), the preferred one first; empty when nobody can be reached.
    methods: tuple[tuple[int, str, str], ...]

    @property
    def reachable(self) -> bool:
        return bool(self.methods)

    def wanted(self, severity: int, round_number: int) -> bool:
        """Tell whether the entry's conditions include this severity and round."""
        return (not self.severities or severity in self.severities) and round_number >= self.from_round


def resolve_lists(list_ids: Iterable[int]) -> dict[int, tuple[Rung, ...]]:
    """Return each list's rungs in order, resolved now; a constant number of queries for all lists.

    Contact lists and methods are resolved fresh at each telling (DESIGN 3, paths and steps).
    """
    wanted = set(list_ids)
    if not wanted:
        return {}
    entries = list(
        ContactListEntry.objects.filter(contact_list_id__in=wanted)
        .select_related("contact__user", "contact__team__lead")
        .order_by("contact_list_id", "position", "pk")
    )
    leads = [
        entry.contact.team.lead
        for entry in entries
        if entry.contact.kind == Contact.Kind.LEAD and entry.contact.team and entry.contact.team.lead
    ]
    person_of_lead = contacts_for(leads) if leads else {}
    resolved: list[tuple[ContactListEntry, Contact]] = []
    for entry in entries:
        contact = entry.contact
        if contact.kind == Contact.Kind.LEAD:
            lead = contact.team.lead if contact.team else None
            if lead is None or lead.pk not in person_of_lead:
                resolved.append((entry, contact))
                continue
            person = person_of_lead[lead.pk]
            person.user = lead
            resolved.append((entry, person))
        else:
            resolved.append((entry, contact))
    methods = methods_of({contact.pk for _, contact in resolved})
    rungs: dict[int, list[Rung]] = {list_id: [] for list_id in wanted}
    for entry, contact in resolved:
        usable = entry.contact.is_active and contact.is_active
        if contact.user is not None and not contact.user.is_active:
            usable = False
        rungs[entry.contact_list_id].append(
            Rung(
                entry_id=entry.pk,
                contact_id=contact.pk,
                user_id=contact.user_id,
                name=contact.name,
                instructions=entry.when_to_reach_out,
                severities=frozenset(entry.severities),
                from_round=entry.from_round,
                methods=methods.get(contact.pk, ()) if usable else (),
            )
        )
    return {list_id: tuple(found) for list_id, found in rungs.items()}


def methods_of(contact_ids: Iterable[int]) -> dict[int, tuple[tuple[int, str, str], ...]]:
    """Return the active methods of contacts, the preferred first and those known to fail last.

    Contacts that are switched off, or whose account is, have none.
    """
    found: dict[int, list[tuple[int, str, str]]] = {}
    rows = ContactMethod.objects.filter(
        contact_id__in=set(contact_ids), is_active=True, contact__is_active=True
    ).exclude(contact__user__is_active=False)
    ordered = sorted(rows, key=lambda m: (m.failing_since is not None, m.position, m.pk))
    for method in ordered:
        found.setdefault(method.contact_id, []).append((method.pk, method.channel, method.address))
    return {contact_id: tuple(methods) for contact_id, methods in found.items()}


def last_tick(name: str) -> dt.datetime | None:
    """Return when the engine called `name` last completed a tick."""
    return TickRecord.objects.filter(pk=name).values_list("completed_at", flat=True).first()
