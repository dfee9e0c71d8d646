"""Every change to the outbox: what is put in, called off, cancelled, tried again."""

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
from core.wake import wake
from notifications.models import Notification


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
    # When it goes out, None at once.
    due_at: dt.datetime | None = None


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
        jsonb_array_elements(%(context)s::jsonb), unnest(%(due)s::timestamptz[])
    ) WITH ORDINALITY AS a (bundle, contact_id, user_id, method_id, channel, address, context, due_at, place)
)
INSERT INTO notifications_notification (
    kind, "group", ticket_id, seq, round, contact_id, method_id, user_id, channel, address, context, message_id,
    state, created_at, due_at, attempts, answer
)
SELECT m.kind, m.grouped, m.ticket_id, m.seq, m.round, a.contact_id, a.method_id, a.user_id, a.channel, a.address,
       a.context, '<' || lpad(to_hex((extract(epoch FROM %(now)s) * 1000)::bigint), 12, '0')
           || substr(replace(gen_random_uuid()::text, '-', ''), 13) || '@' || %(host)s || '>',
       'pending', %(now)s, COALESCE(a.due_at, %(now)s), 0, ''
FROM unnest(
    %(m_bundle)s::integer[], %(kind)s::text[], %(grouped)s::text[], %(ticket)s::bigint[], %(seq)s::integer[],
    %(round)s::integer[]
) WITH ORDINALITY AS m (bundle, kind, grouped, ticket_id, seq, round, place)
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
                "due": instants([one.due_at for one in people]),
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
    return live.update(**_called_off(now))


def new_message_id() -> str:
    """Return a Message-ID under this installation's host name."""
    return f"<{uuid.uuid4().hex}@{mail_host()}>"


def mail_host() -> str:
    """Return the host name that stands in our Message-IDs."""
    return urlsplit(settings.BELAY_URL).hostname or "belay.invalid"


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


def cancel_notification(*, notification_id: int, actor: User | None, now: dt.datetime) -> bool:
    """Call one message off that has not been sent; tell whether there was anything to call off.

    What is on the wire is marked: if the attempt fails, there is no other. Raises NotAllowed for those who lead nobody.
    """
    permit(actor, Verb.LEAD)
    state = Notification.State
    live = Notification.objects.filter(
        pk=notification_id,
        state__in=(state.PENDING, state.SENDING, state.FOLDED),
        withdrawn_at__isnull=True,
    )
    return bool(live.update(**_called_off(now)))


def retry_dead_letters(*, notification_ids: Iterable[int], actor: User | None, now: dt.datetime) -> set[int]:
    """Put dead letters back into the outbox for another round of attempts; return which of them were any.

    Raises NotAllowed for those who lead nobody.
    """
    permit(actor, Verb.LEAD)
    with transaction.atomic():
        dead = _locked(notification_ids, [Notification.State.DEAD])
        Notification.objects.filter(pk__in=dead).update(
            state=Notification.State.PENDING, due_at=now, attempts=0, dead_at=None, handled_at=None
        )
    if dead:
        wake("notifications.tick")
    return dead


def cancel_notifications(
    *, notification_ids: Iterable[int], actor: User | None, now: dt.datetime
) -> set[int]:
    """Call messages off that have not been sent; return which of them there was anything to call off.

    What is on the wire is marked: if the attempt fails, there is no other. Raises NotAllowed for those who lead nobody.
    """
    permit(actor, Verb.LEAD)
    state = Notification.State
    with transaction.atomic():
        live = _locked(notification_ids, [state.PENDING, state.SENDING, state.FOLDED], withdrawn_at=None)
        Notification.objects.filter(pk__in=live).update(**_called_off(now))
    return live


def _locked(ids: Iterable[int], states: Sequence[str], **more: Any) -> set[int]:
    """Lock those of the rows that are in one of these states, in id order, and return which."""
    rows = Notification.objects.filter(pk__in=list(ids), state__in=states, **more)
    return set(rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))


def _called_off(now: dt.datetime) -> dict[str, Any]:
    # One statement: between two, a failed attempt could put a row back from sending to pending, seen by neither.
    sending = Notification.State.SENDING
    return {
        "state": Case(
            When(state=sending, then=F("state")), default=Value(Notification.State.WITHDRAWN.value)
        ),
        "withdrawn_at": now,
    }
