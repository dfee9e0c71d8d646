"""Every change to the ways in which contacts are reached. Secrets go in, and never come out again."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Refused
from core.secrets import Undecipherable, decrypt, encrypt
from notifications.models import Channel, Contact, ContactMethod, Provider
from notifications.operations.ways import Way, check_way, new_key


@dataclass(frozen=True, slots=True)
class Kept:
    """A way to reach somebody; `signing_key` is a webhook's new key, which is shown this once."""

    method: ContactMethod
    signing_key: str = field(default="", repr=False)


def add_method(
    *,
    contact: Contact,
    channel: str,
    address: str,
    actor: User | None,
    now: dt.datetime,
    secret_url: str = "",
    provider: Provider | None = None,
    position: int | None = None,
    is_active: bool = True,
) -> Kept:
    """Give a contact one more way to be reached, tried last unless `position` says otherwise.

    A person changes their own contact, a lead anybody's. Raises NotAllowed, Refused.
    """
    permit_change(contact, actor)
    if channel not in Channel.values:
        raise Refused(
            f"There is no channel “{channel}”.",
            field="channel",
            value=channel,
            mend=f"Name one of {', '.join(Channel.values)}.",
        )
    way = check_way(
        contact=contact, channel=channel, address=address, secret_url=secret_url, provider=provider
    )
    with transaction.atomic():
        _lock(contact)
        _check_once(contact, channel, way)
        places = contact.methods.order_by("-position").values_list("position", flat=True)
        method = ContactMethod.objects.create(
            contact=contact,
            channel=channel,
            address=way.address,
            secret=way.secret,
            provider=way.provider,
            position=position if position is not None else (places.first() or 0) + 1,
            is_active=is_active,
        )
    return Kept(method, way.key)


def change_method(
    *,
    method: ContactMethod,
    actor: User | None,
    now: dt.datetime,
    address: str | None = None,
    secret_url: str = "",
    provider: Provider | None = None,
    position: int | None = None,
    is_active: bool | None = None,
    renew_key: bool = False,
) -> Kept:
    """Change a way to reach somebody; an empty `secret_url` leaves the secret as it is, None the rest.

    `provider` is what it is from now on. One that leads somewhere else has to be proven anew. A webhook keeps its
    signing key unless `renew_key`. Raises NotAllowed, Refused.
    """
    permit_change(method.contact, actor)
    with transaction.atomic():
        _lock(method.contact)
        row = ContactMethod.objects.select_related("contact").get(pk=method.pk)
        way = check_way(
            contact=row.contact,
            channel=row.channel,
            address=row.address if address is None else address,
            secret_url=secret_url,
            provider=provider,
            old=row,
        )
        _check_once(row.contact, row.channel, way, but=row.pk)
        secret, key = _secret_of(row, way, renew_key)
        moved = bool(secret_url) or way.provider != row.provider
        if moved or (way.address != row.address and not row.secret):
            row.proven_at = row.failing_since = None
        row.address, row.secret, row.provider = way.address, secret, way.provider
        row.position = row.position if position is None else position
        row.is_active = row.is_active if is_active is None else is_active
        row.save()
    return Kept(row, key)


def remove_method(*, method: ContactMethod, actor: User | None, now: dt.datetime) -> None:
    """Take a way to reach somebody away; what was sent by it stays on record. Raises NotAllowed."""
    permit_change(method.contact, actor)
    with transaction.atomic():
        _lock(method.contact)
        ContactMethod.objects.filter(pk=method.pk).delete()


def permit_change(contact: Contact, actor: User | None) -> None:
    """Pass whoever changes how they are reached themselves, being somebody who may acknowledge, and leads.

    Raises NotAllowed.
    """
    mine = actor is not None and contact.user_id == actor.pk
    permit(actor, Verb.ACKNOWLEDGE if mine else Verb.LEAD)


def _lock(contact: Contact) -> None:
    Contact.objects.select_for_update(no_key=True).get(pk=contact.pk)


def _check_once(contact: Contact, channel: str, way: Way, *, but: int = 0) -> None:
    if contact.methods.filter(channel=channel, address=way.address).exclude(pk=but).exists():
        raise Refused(
            f"{contact} is reached by {Channel(channel).label} {way.address} already.",
            field="address",
            value=way.address,
            mend="Give this one a label that tells them apart." if way.secret else "Leave it out.",
        )


def _secret_of(row: ContactMethod, way: Way, renew: bool) -> tuple[str, str]:
    """Return a method's new secret, and the signing key if it is a new one. Raises Refused."""
    if row.channel != Channel.WEBHOOK:
        return way.secret, ""
    kept: dict[str, Any] = {}
    try:
        kept = json.loads(decrypt(row.secret)) if row.secret else {}
        url = json.loads(decrypt(way.secret))["url"]
    except (Undecipherable, ValueError, KeyError) as error:
        # The old one can't be read: a new address brings a new key along.
        if way.key:
            return way.secret, way.key
        raise Refused(
            "The stored address can't be read.", field="secret_url", mend="Enter the address again."
        ) from error
    key = new_key() if renew or "key" not in kept else str(kept["key"])
    return encrypt(json.dumps({"url": url, "key": key})), key if key != kept.get("key") else ""
