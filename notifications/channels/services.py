"""The services that Apprise speaks to: which one an address belongs to, and whether Belay lets it.

Of Apprise's plugins those are taken that send by `requests`, and nothing else: what they do is seen, judged and ended
in time (see wire). Those that act on this machine (desktops, system logs) or open sockets of other kinds are refused.
"""

import ipaddress
import logging
import re
import sys
from email.charset import CHARSETS
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from core.guard import guarded
from core.outgoing import NotAllowedOut

TO = "{to}"
# What an address may be made of, so that it stays one piece of the URL: no slash, question mark, comma or the like.
_ADDRESS = re.compile(r"[\w.+@#:\-]{1,100}", re.ASCII)
# What stands in for an address where a provider's URL is looked at.
_SAMPLES = ("+15555550100", "100200300", "general", "#general")
_LOADING_SECONDS = 20.0
# Modules with which a plugin would do something else than send by requests.
_OTHER_WAYS = frozenset(
    {"socket", "smtplib", "subprocess", "multiprocessing", "asyncio", "ctypes", "hid", "syslog"}
)


class NotUnderstood(Exception):
    """Say what is wrong with an address of a service; the words hold nothing of it."""


def load(url: str) -> Any:
    """Return Apprise's plugin for a URL, ready to send. Raises NotUnderstood.

    To be called in a guarded section: some plugins read files that a URL names. Before it, call `prepare`.
    """
    apprise, asset = prepare()
    plugin = apprise.instantiate(url, asset=asset)
    if plugin is None:
        raise NotUnderstood("This is no address of a service that Apprise knows.")
    if not _sends_by_requests(plugin):
        raise NotUnderstood(
            f"{plugin.service_name} is not carried: only services that are reached by HTTP are."
        )
    # Pauses between messages are the outbox's matter: here they would hold up a sender.
    plugin.throttle = lambda *_, **__: None
    return plugin


def describe(url: str) -> str:
    """Return what may be shown of a service's URL: its name, and its host where that is no secret.

    Raises NotUnderstood.
    """
    prepare()
    with guarded(_LOADING_SECONDS, _refuse):
        plugin = _loaded(url)
    # Without what stands in brackets: they set a label apart from it.
    name, host = re.sub(r"\s*\([^)]*\)", "", str(plugin.service_name)), _host(url, plugin)
    return f"{name}, {host}" if host else name


def describe_provider(template: str) -> str:
    """Return what may be shown of a provider's URL, in which “{to}” is where the address goes. Raises NotUnderstood."""
    if template.count(TO) != 1:
        raise NotUnderstood("The URL has to hold {to} once, where the address goes.")
    wrong: NotUnderstood | None = None
    for sample in _SAMPLES:
        try:
            return describe(fill(template, sample))
        except NotUnderstood as error:
            wrong = wrong or error
    raise wrong or NotUnderstood("This is no address of a service that Apprise knows.")


def fill(template: str, address: str) -> str:
    """Return a provider's URL with an address in its place. Raises NotUnderstood for one that could change the URL."""
    if not _ADDRESS.fullmatch(address):
        raise NotUnderstood(
            f"“{address}” is no address that a provider takes: it has spaces or signs of a URL."
        )
    return template.replace(TO, quote(address, safe=""))


def _refuse(_address: str) -> None:
    raise NotAllowedOut("nothing is sent while an address is looked at")


def _loaded(url: str) -> Any:
    try:
        return load(url)
    except NotUnderstood:
        raise
    except Exception as error:  # noqa: BLE001 whatever it is quotes the URL
        raise NotUnderstood(f"This is no address that Apprise can use ({type(error).__name__}).") from None


@cache
def prepare() -> tuple[Any, Any]:
    """Return Apprise and its settings; loaded at the first use, as it knows more than a hundred services."""
    from apprise import Apprise, AppriseAsset
    from apprise.manager_plugins import NotificationManager

    # It logs what it sends, and to which address.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    manager: Any = NotificationManager
    # One of its plugins changes how the standard library encodes headers, everywhere.
    encodings = dict(CHARSETS)
    manager().schemas()
    CHARSETS.clear()
    CHARSETS.update(encodings)
    asset = AppriseAsset(
        storage_mode="memory", http_redirects=False, allow_templates=False, app_id="Belay", app_desc="Belay"
    )
    return Apprise, asset


def _sends_by_requests(plugin: Any) -> bool:
    spaces = [
        vars(sys.modules[cls.__module__])
        for cls in type(plugin).__mro__
        if cls.__module__.startswith("apprise.plugins.") and cls.__module__ != "apprise.plugins.base"
    ]
    modules = {
        value.__name__.partition(".")[0]
        for space in spaces
        for value in space.values()
        if isinstance(value, ModuleType)
    }
    return any(space.get("requests") is requests for space in spaces) and not modules & _OTHER_WAYS


def _host(url: str, plugin: Any) -> str:
    """Return the host that a URL names; in many URLs of Apprise a token stands in its place."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return parts.hostname or ""
    host = str(getattr(plugin, "host", None) or "")
    if "host" not in plugin.template_tokens or host != (parts.hostname or ""):
        return ""
    return host if "." in host or host == "localhost" or _is_address(host) else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
