"""Every change to providers: accounts with services that carry a channel for many contacts."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from accounts.operations import permit
from accounts.rules import Verb
from core.errors import Refused
from core.secrets import encrypt
from notifications.channels import Envelope, Failed, sender_for
from notifications.channels.services import NotUnderstood, describe_provider
from notifications.models import Channel, Provider
from notifications.operations.ways import BY_APPRISE


def save_provider(
    *,
    name: str,
    channel: str,
    actor: User | None,
    now: dt.datetime,
    url: str = "",
    is_active: bool = True,
    provider: Provider | None = None,
) -> Provider:
    """Write down who carries a channel, or write `provider` anew; an empty `url` leaves its URL as it is.

    Raises NotAllowed for those who don't administer, Refused.
    """
    permit(actor, Verb.ADMINISTER)
    name, shown = check_provider(name=name, channel=channel, url=url, provider=provider)
    with transaction.atomic():
        row = provider or Provider()
        row.name, row.channel, row.is_active = name, channel, is_active
        if shown:
            row.secret, row.shown = encrypt(url.strip()), shown[:200]
        row.changed_at = now
        row.save()
    return row


def check_provider(
    *, name: str, channel: str, url: str = "", provider: Provider | None = None
) -> tuple[str, str]:
    """Return a provider's name as it is stored, and what may be shown of a new URL. Raises Refused."""
    name, url = " ".join(name.split()), url.strip()
    if not name:
        raise Refused("A provider needs a name.", field="name", value=name, mend="Say which account it is.")
    if Provider.objects.filter(name=name).exclude(pk=provider.pk if provider else 0).exists():
        raise Refused(
            f"There is a provider “{name}” already.", field="name", value=name, mend="Take another name."
        )
    if channel not in BY_APPRISE:
        raise Refused(
            "This channel has no providers.",
            field="channel",
            value=channel,
            mend="Mail has its provider in the settings; webhooks and the bell need none.",
        )
    if provider is not None and channel != provider.channel and provider.methods.exists():
        raise Refused(
            f"Contacts are reached through {provider} by {provider.get_channel_display()}.",
            field="channel",
            value=channel,
            mend="Add another provider.",
        )
    if not url and provider is None:
        raise Refused("A provider needs its URL.", field="url", mend="Give an Apprise URL with {to} in it.")
    try:
        return name, describe_provider(url) if url else ""
    except NotUnderstood as error:
        raise Refused(
            str(error),
            field="url",
            mend="Give an Apprise URL such as twilio://SID:token@+15551234567/{to}.",
        ) from None


def try_provider(
    *, provider: Provider, address: str, actor: User | None, now: dt.datetime
) -> tuple[bool, str]:
    """Send a test message to an address right now; return whether it was taken, and the provider's answer.

    Takes as long as the service does, up to half a minute; call it outside of transactions. Raises NotAllowed.
    """
    permit(actor, Verb.ADMINISTER)
    words = f"Test from Belay: {Channel(provider.channel).label} by {provider} works."
    envelope = Envelope(
        address=" ".join(address.split()),
        subject="Test from Belay",
        text=words,
        html="",
        key=f"provider-{provider.pk}-{now.timestamp():.0f}",
        short=words,
        provider=provider,
        facts={"kind": "notifications.test"},
    )
    try:
        return True, sender_for(provider.channel)(envelope)
    except Failed as failed:
        return False, str(failed)
