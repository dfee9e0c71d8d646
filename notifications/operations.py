"""Every change to contacts and to the outbox."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, Value, When

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from core.bulk import documents, instants, plain, texts
from core.errors import Refused
from core.wake import wake
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod, Notification


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notification to be put into the outbox; `group` is what it can be withdrawn by."""

    kind: str
    address: str
    channel: str = "email"
    ticket_id: int | None = None
    group: str = ""
    seq: int | None = None
    round: int | None = None
    contact_id: int | None = None
    method_id: int | None = None
    user_id: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    due_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Addressee:
    """One of those whom a circular tells, and what the message to them is rendered from."""

    contact_id: int
    user_id: int | None
    method_id: int | None
    channel: str
    address: str
    context: Mapping[str, Any]


@dataclass(slots=True)
class Circular:
    """One message about one ticket to several people; many circulars may share the same addressees."""

    kind: str
    ticket_id: int
    group: str
    seq: int
    round: int
    addressees: tuple[Addressee, ...]


# Message-IDs begin with the time, so that their index grows at one end only.
# A compact row per message or circular, unfolded against its addressees by the database. A telling that stands already
# is kept: the unique (ticket, seq, round, contact, method) makes a second run harmless (DESIGN 3, telling).
_ENQUEUE = """
WITH addressee AS MATERIALIZED (
    SELECT * FROM ROWS FROM (
        unnest(%(bundle)s::integer[]), unnest(%(contact)s::bigint[]), unnest(%(user)s::bigint[]),
        unnest(%(method)s::bigint[]), unnest(%(channel)s::text[]), unnest(%(address)s::text[]),
        jsonb_array_elements(%(context)s::jsonb)
    ) WITH ORDINALITY AS a (bundle, contact_id, user_id, method_id, channel, address, context, place)
)
INSERT INTO notifications_notification (
    kind, "group", ticket_id, seq, round, contact_id, method_id, user_id, channel, address, context, message_id,
    state, created_at, due_at, attempts, answer
)
SELECT m.kind, m.grouped, m.ticket_id, m.seq, m.round, a.contact_id, a.method_id, a.user_id, a.channel, a.address,
       a.context, '<' || lpad(to_hex((extract(epoch FROM %(now)s) * 1000)::bigint), 12, '0')
           || substr(replace(gen_random_uuid()::text, '-', ''), 13) || '@' || %(host)s || '>',
       'pending', %(now)s, COALESCE(m.due_at, %(now)s), 0, ''
FROM unnest(
    %(m_bundle)s::integer[], %(kind)s::text[], %(grouped)s::text[], %(ticket)s::bigint[], %(seq)s::integer[],
    %(round)s::integer[], %(due)s::timestamptz[]
) WITH ORDINALITY AS m (bundle, kind, grouped, ticket_id, seq, round, due_at, place)
JOIN addressee a ON a.bundle = m.bundle
ORDER BY m.place, a.place
ON CONFLICT DO NOTHING
"""


def enqueue(*, messages: Sequence[Message], now: dt.datetime, circulars: Sequence[Circular] = ()) -> None:
    """Write messages into the outbox inside the caller's transaction, in one statement, however many there are.

    A telling that stands already is kept (DESIGN 3, telling).
    """
    if not messages and not circulars:
        return
    bundles: dict[int, int] = {}
    addressees: list[tuple[int, Addressee | Message]] = []
    for circular in circulars:
        # Shared by identity: whoever makes circulars resolves a list once for all tickets of a step.
        if id(circular.addressees) not in bundles:
            bundles[id(circular.addressees)] = len(bundles)
            addressees += [(len(bundles) - 1, one) for one in circular.addressees]
    numbers = [bundles[id(circular.addressees)] for circular in circulars]
    numbers += range(len(bundles), len(bundles) + len(messages))
    addressees += enumerate(messages, start=len(bundles))
    rows: list[Circular | Message] = [*circulars, *messages]
    people = [one for _, one in addressees]
    with connection.cursor() as cursor:
        cursor.execute(
            _ENQUEUE,
            {
                "host": mail_host(),
                "now": now,
                "bundle": plain([bundle for bundle, _ in addressees]),
                "contact": plain([one.contact_id for one in people]),
                "user": plain([one.user_id for one in people]),
                "method": plain([one.method_id for one in people]),
                "channel": texts([one.channel for one in people]),
                "address": texts([one.address for one in people]),
                "context": documents([dict(one.context) for one in people]),
                "m_bundle": plain(numbers),
                "kind": texts([row.kind for row in rows]),
                "grouped": texts([row.group for row in rows]),
                "ticket": plain([row.ticket_id for row in rows]),
                "seq": plain([row.seq for row in rows]),
                "round": plain([row.round for row in rows]),
                "due": instants([*(None for _ in circulars), *(message.due_at for message in messages)]),
            },
        )
    wake("notifications.tick")


def withdraw(*, groups: Iterable[str], now: dt.datetime) -> int:
    """Cancel what is still pending in these groups; what is on the wire is marked and re-checked before sending.

    Returns how many rows were cancelled or marked.
    """
    wanted = list(groups)
    if not wanted:
        return 0
    state = Notification.State
    live = Notification.objects.filter(
        group__in=wanted,
        state__in=(state.PENDING, state.SENDING, state.FOLDED),
        withdrawn_at__isnull=True,
    )
    # One statement: between two, a failed attempt could put a row back from sending to pending, seen by neither.
    return live.update(
        state=Case(When(state=state.SENDING, then=F("state")), default=Value(state.WITHDRAWN.value)),
        withdrawn_at=now,
    )


def new_message_id() -> str:
    """Return a Message-ID under this installation's host name."""
    return f"<{uuid.uuid4().hex}@{mail_host()}>"


def mail_host() -> str:
    """Return the host name that stands in our Message-IDs."""
    return urlsplit(settings.BELAY_URL).hostname or "belay.invalid"


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


def retry_dead_letter(*, notification_id: int, actor: User | None, now: dt.datetime) -> bool:
    """Put a dead letter back into the outbox for another round of attempts; tell whether it was one.

    Raises NotAllowed for those who lead nobody.
    """
    permit(actor, Verb.LEAD)
    changed = Notification.objects.filter(Q(pk=notification_id) & Q(state=Notification.State.DEAD)).update(
        state=Notification.State.PENDING, due_at=now, attempts=0, dead_at=None, handled_at=None
    )
    if changed:
        wake("notifications.tick")
    return bool(changed)
