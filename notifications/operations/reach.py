"""Every change people make to how they themselves are reached: order and switches of methods, quiet hours, language.

What is new or holds a secret stands in `notifications.operations.methods`.
"""

import datetime as dt
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User, check_time_zone
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import NotAllowed, Refused
from notifications.models import Contact, ContactMethod
from notifications.operations.methods import permit_change
from notifications.rules.language import MEND, language_code
from notifications.rules.quiet import problem_of


def move_method(*, method_id: int, up: bool, actor: User | None) -> bool:
    """Let a method be tried before the one above it, or after the one below; tell whether there was one.

    Locks the contact. Raises NotAllowed, Refused.
    """
    with transaction.atomic():
        contact = _contact_of(method_id, actor)
        methods = _in_order(contact)
        place = next(place for place, method in enumerate(methods) if method.pk == method_id)
        other = place - 1 if up else place + 1
        if not 0 <= other < len(methods):
            return False
        methods[place], methods[other] = methods[other], methods[place]
        for position, method in enumerate(methods, start=1):
            if method.position != position:
                method.position = position
                method.save(update_fields=["position"])
    return True


def switch_method(*, method_id: int, on: bool, actor: User | None) -> None:
    """Switch a method on or off; the last one that is on stays on. Locks the contact. Raises NotAllowed, Refused."""
    with transaction.atomic():
        contact = _contact_of(method_id, actor)
        methods = _in_order(contact)
        method = next(method for method in methods if method.pk == method_id)
        if not on and not any(other.is_active for other in methods if other.pk != method_id):
            raise Refused(
                f"{method} is the only way left to reach {contact}.",
                field="method",
                value=str(method),
                mend="Switch another one on first.",
            )
        if method.is_active != on:
            method.is_active = on
            method.save(update_fields=["is_active"])


def save_quiet_hours(
    *,
    contact_id: int,
    begins: dt.time | None,
    ends: dt.time | None,
    days: Iterable[int],
    time_zone: str,
    language: str,
    actor: User | None,
) -> Contact:
    """Set when a contact is left in peace, on the wall clock of which zone, and in which language they are told.

    `days` (0 is Monday) are quiet from midnight to midnight. Locks the contact. Raises NotAllowed, Refused.
    """
    wanted = sorted(set(days))
    if (problem := problem_of(begins, ends, wanted)) is not None:
        raise Refused(problem.message, field=problem.field, mend=problem.mend)
    try:
        check_time_zone(time_zone)
    except ValidationError as error:
        raise Refused(str(error.message), field="time_zone", value=time_zone) from error
    if (code := language_code(language)) is None:
        raise Refused(f"“{language}” is no language.", field="language", value=language, mend=MEND)
    with transaction.atomic():
        contact = _locked(contact_id, actor)
        contact.quiet_from, contact.quiet_until, contact.quiet_days = begins, ends, wanted
        contact.time_zone, contact.language = time_zone, code
        contact.save(update_fields=["quiet_from", "quiet_until", "quiet_days", "time_zone", "language"])
    return contact


def _contact_of(method_id: int, actor: User | None) -> Contact:
    found = ContactMethod.objects.filter(pk=method_id).values_list("contact_id", flat=True).first()
    if found is None:
        raise Refused(
            "This way to reach somebody is gone.", field="method", value=method_id, mend="Reload the page."
        )
    contact = _locked(found, actor)
    if not ContactMethod.objects.filter(pk=method_id, contact=contact).exists():
        raise Refused(
            "This way to reach somebody is gone.", field="method", value=method_id, mend="Reload the page."
        )
    return contact


def _locked(contact_id: int, actor: User | None) -> Contact:
    """Lock a contact that `actor` may change."""
    contact = Contact.objects.select_for_update(no_key=True).filter(pk=contact_id).first()
    if contact is None:
        permit(actor, Verb.LEAD)
        raise NotAllowed("There is no such contact.", field="contact", value=contact_id)
    permit_change(contact, actor)
    return contact


def _in_order(contact: Contact) -> list[ContactMethod]:
    return list(contact.methods.order_by("position", "pk"))
