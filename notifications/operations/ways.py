"""What each channel takes for an address: checked, brought into its one form, its secret encrypted."""

import base64
import ipaddress
import json
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from core.errors import Refused
from core.outgoing import PORTS, NotAllowedOut, judge
from core.secrets import encrypt
from notifications.channels.services import NotUnderstood, describe, fill
from notifications.models import Channel, Contact, ContactMethod, Provider

# Channels that Apprise carries: by a provider, or by an address of one's own that holds the credentials.
BY_APPRISE = (
    Channel.SMS,
    Channel.SLACK,
    Channel.TEAMS,
    Channel.MATTERMOST,
    Channel.TELEGRAM,
    Channel.NTFY,
    Channel.APPRISE,
)
IN_BELAY = "the bell"
_LONGEST_LABEL = 100
_TELEGRAM = re.compile(r"-?\d{1,20}|@\w{5,32}", re.ASCII)
_NTFY = re.compile(r"[\w\-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to reach somebody as it is stored: `secret` is encrypted, `key` what signs a webhook, shown once."""

    address: str
    secret: str = ""
    provider: Provider | None = None
    key: str = field(default="", repr=False)


def check_way(
    *,
    contact: Contact,
    channel: str,
    address: str,
    secret_url: str = "",
    provider: Provider | None = None,
    old: ContactMethod | None = None,
) -> Way:
    """Return a way to reach `contact` as it is stored. Raises Refused, which quotes no secret.

    `address` is a label where the URL is of one's own. An empty `secret_url` leaves that of `old` as it is.
    """
    address, secret_url = " ".join(address.split()), secret_url.strip()
    has_secret = bool(secret_url or (old is not None and old.secret))
    if provider is not None and (channel not in BY_APPRISE or has_secret):
        raise Refused(
            "A way with an address of its own, email, webhooks and the bell have no provider.",
            field="provider",
            value=str(provider),
            mend="Leave it empty.",
        )
    if secret_url and channel not in (*BY_APPRISE, Channel.WEBHOOK):
        raise Refused(
            f"{Channel(channel).label} has no secret URL.", field="secret_url", mend="Leave it empty."
        )
    if channel == Channel.EMAIL:
        return Way(_email(address))
    if channel == Channel.APP:
        return _bell(contact)
    if channel == Channel.WEBHOOK:
        return _webhook(address, secret_url, old)
    if has_secret:
        shown = shown_service(secret_url) if secret_url else ""
        secret = encrypt(json.dumps({"url": secret_url})) if secret_url else old.secret if old else ""
        return Way(_labelled(address, shown, old), secret)
    return Way(_by_provider(channel, address), provider=_carrier(channel, provider))


def shown_service(url: str, *, field: str = "secret_url") -> str:
    """Return what may be shown of a service's own URL: which one it is, and its host. Raises Refused."""
    try:
        return describe(url)
    except NotUnderstood as error:
        raise Refused(
            str(error),
            field=field,
            mend="Paste the webhook address that the service gave you, or an Apprise URL.",
        ) from None


def _email(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError as error:
        raise Refused(
            f"“{address}” is no email address.",
            field="address",
            value=address,
            mend="Write it like ann@example.org.",
        ) from error
    return address


def _bell(contact: Contact) -> Way:
    if contact.user_id is None:
        raise Refused(
            f"{contact} has no account, and so no bell.",
            field="channel",
            value=Channel.APP.value,
            mend="Name the person's account first, or choose another channel.",
        )
    return Way(IN_BELAY)


def _webhook(label: str, url: str, old: ContactMethod | None) -> Way:
    if not url:
        if old is None or not old.secret:
            raise Refused("A webhook needs its address.", field="secret_url", mend="Give an http(s) address.")
        return Way(_labelled(label, "", old), old.secret)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in PORTS or not host or "@" in parts.netloc or not url.isascii() or " " in url:
        raise Refused(
            "This is no address of a webhook.",
            field="secret_url",
            mend="Write it like https://example.org/hooks/belay, without a name and password.",
        )
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A name is judged each time when it is called.
        pass
    else:
        try:
            judge(host)
        except NotAllowedOut as error:
            raise Refused(str(error), field="secret_url", mend="Give an address that is public.") from None
    key = new_key()
    return Way(_labelled(label, host, old), encrypt(json.dumps({"url": url, "key": key})), key=key)


def new_key() -> str:
    """Return a new key to sign webhooks with."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _labelled(label: str, shown: str, old: ContactMethod | None) -> str:
    """Return what is shown of a way with a secret: a label that the person gives, and service and host behind it."""
    if old is not None and old.secret:
        before, service = _parts(old.address)
        shown = shown or service
        label = before if label == old.address else label.removesuffix(f" ({service})")
        label = "" if label == service else label
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise Refused(
            "The label is too long or holds signs that can't be printed.",
            field="address",
            value=label[:_LONGEST_LABEL],
            mend=f"Take a short one, such as #netops (at most {_LONGEST_LABEL}).",
        )
    if "://" in label:
        raise Refused(
            "The label is shown to everybody; an address that holds credentials must not be.",
            field="address",
            mend="Put it into the secret URL.",
        )
    return f"{label} ({shown})"[:254] if label else shown[:254]


def _parts(address: str) -> tuple[str, str]:
    label, opened, service = address.removesuffix(")").rpartition(" (")
    return (label, service) if opened and address.endswith(")") else ("", address)


def _by_provider(channel: str, address: str) -> str:
    if channel == Channel.SMS:
        return _phone(address)
    if channel == Channel.TELEGRAM and not _TELEGRAM.fullmatch(address):
        raise Refused(
            f"“{address}” is no chat of Telegram.",
            field="address",
            value=address,
            mend="Give the chat's number, such as -1001234567890, or @channel.",
        )
    if channel == Channel.NTFY and not _NTFY.fullmatch(address):
        raise Refused(
            f"“{address}” is no topic of ntfy.",
            field="address",
            value=address,
            mend="Take letters, digits, _ and -, at most 64.",
        )
    try:
        fill("{to}", address)
    except NotUnderstood as error:
        raise Refused(
            str(error),
            field="address",
            value=address,
            mend="Give the room or name as the provider takes it, or a secret URL of one's own.",
        ) from None
    return address


def _phone(address: str) -> str:
    region = settings.BELAY_PHONE_REGION
    try:
        number = phonenumbers.parse(address, region or None)
        known = phonenumbers.is_valid_number(number)
    except phonenumbers.NumberParseException:
        known = False
    if not known:
        raise Refused(
            f"“{address}” is no phone number.",
            field="address",
            value=address,
            mend="Write it with its country code, such as +49 30 901820."
            if not region
            else f"Write it as it is dialled in {region}, or with its country code, such as +49 30 901820.",
        )
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _carrier(channel: str, provider: Provider | None) -> Provider | None:
    """Return the provider that is chosen; none is fine where another one carries the channel. Raises Refused."""
    label = Channel(channel).label
    if provider is not None:
        if provider.channel != channel:
            raise Refused(
                f"{provider} carries {provider.get_channel_display()}, not {label}.",
                field="provider",
                value=str(provider),
                mend="Choose another one, or leave it empty.",
            )
        return provider
    if not Provider.objects.filter(channel=channel, is_active=True).exists():
        raise Refused(
            f"No provider carries {label} yet.",
            field="channel",
            value=channel,
            mend="Let an admin add one"
            + (", or give a secret URL of one's own." if channel != Channel.SMS else "."),
        )
    return None
