"""Every change to contacts and contact lists."""

from collections.abc import Iterable, Sequence

from django.db import transaction

from accounts.models import User
from core.errors import Refused
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod


def contacts_for(users: Iterable[User]) -> dict[int, Contact]:
    """Return each user's contact, made from their email address where there is none yet."""
    people = {user.pk: user for user in users}
    found = {c.user_id: c for c in Contact.objects.filter(user_id__in=people)}
    missing = [user for pk, user in people.items() if pk not in found]
    if missing:
        with transaction.atomic():
            Contact.objects.bulk_create(
                [
                    Contact(name=user.name, user=user, kind=Contact.Kind.PERSON, time_zone=user.time_zone)
                    for user in missing
                ],
                ignore_conflicts=True,
            )
            made = list(Contact.objects.filter(user__in=missing).select_related("user"))
            ContactMethod.objects.bulk_create(
                [
                    ContactMethod(contact=contact, address=contact.user.email)
                    for contact in made
                    if contact.user is not None
                ],
                ignore_conflicts=True,
            )
        found.update({contact.user_id: contact for contact in made})
    return {pk: contact for pk, contact in found.items() if pk is not None}


def create_contact(*, name: str, email: str, user: User | None = None) -> Contact:
    """Create a person who can be told by email."""
    with transaction.atomic():
        contact = Contact.objects.create(
            name=name, user=user, time_zone=user.time_zone if user is not None else "UTC"
        )
        ContactMethod.objects.create(contact=contact, address=email)
    return contact


def create_contact_list(
    *, name: str, entries: Sequence[tuple[Contact, str]], description: str = ""
) -> ContactList:
    """Create a list of contacts in order, each with when to reach out in words. Raises Refused."""
    if len({contact.pk for contact, _ in entries}) != len(entries):
        raise Refused("A contact stands twice on the list.", field="entries", mend="Name everybody once.")
    with transaction.atomic():
        contact_list = ContactList.objects.create(name=name, description=description)
        ContactListEntry.objects.bulk_create(
            [
                ContactListEntry(
                    contact_list=contact_list, contact=contact, position=place, when_to_reach_out=words
                )
                for place, (contact, words) in enumerate(entries, start=1)
            ]
        )
    return contact_list
