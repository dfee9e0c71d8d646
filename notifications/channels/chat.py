"""SMS, chats and push by Apprise: its plugins send, Belay judges what they meet."""

import json

from core.secrets import Undecipherable, decrypt
from notifications.channels.base import Envelope, FailedForGood, Sender
from notifications.channels.plain import plain
from notifications.channels.services import NotUnderstood, fill, load, prepare
from notifications.channels.wire import watched

# What fits into few SMS: plugins that take no more get the short form.
_SHORT = 500
_LINES = 4
_LONGEST_LINE = 300


def sender(*, short: bool = False) -> Sender:
    """Return what sends by Apprise; `short` gives the short form, as SMS and push want it.

    A chat has room for more: the subject and the first sentences, unless an admin wrote words for it.
    """

    def send(envelope: Envelope) -> str:
        """Send one message and return the provider's answer, without secrets. Raises Failed, FailedForGood."""
        url = url_of(envelope)
        prepare()
        with watched(url) as wire:
            try:
                plugin = load(url)
            except NotUnderstood as error:
                raise FailedForGood(str(error)) from None
            if short:
                title, body = "", brief(envelope)
            elif envelope.own_short or plugin.body_maxlen < _SHORT:
                title, body = "", plain(brief(envelope), link_of(envelope))
            else:
                title, body = plain(envelope.subject), few_lines(envelope)
            return wire.outcome(sent=bool(plugin.notify(body=body, title=title, body_format="text")))

    return send


def url_of(envelope: Envelope) -> str:
    """Return the Apprise URL to send to: the method's own, else the provider's with the address in its place.

    Raises FailedForGood.
    """
    try:
        if envelope.secret:
            return str(json.loads(decrypt(envelope.secret))["url"])
        if envelope.provider is None:
            raise FailedForGood("no provider that is switched on carries this channel")
        return fill(decrypt(envelope.provider.secret), envelope.address)
    except (Undecipherable, NotUnderstood) as error:
        raise FailedForGood(str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise FailedForGood("the stored address can't be read; enter it again") from None


def brief(envelope: Envelope) -> str:
    """Return the short form."""
    return envelope.short or " ".join(filter(None, (envelope.subject, link_of(envelope))))


def few_lines(envelope: Envelope) -> str:
    """Return what stands below the subject in a chat: Belay's first sentences and the link, nothing of it markup."""
    link = link_of(envelope)
    lines = [plain(line, link) for line in _first_lines(envelope.text)]
    # Not twice where the first sentences hold it already.
    if link and not any(link in line for line in lines):
        lines.append(link)
    return "\n".join(lines) or plain(brief(envelope), link)


def link_of(envelope: Envelope) -> str:
    """Return the one link that matters, "" where there is none."""
    return str(envelope.facts.get("link") or "")


def _first_lines(text: str) -> list[str]:
    """Return the first lines of a mail's text, without its heading and without what people wrote (indented)."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and set(lines[1]) == {"="}:
        del lines[:2]
    found: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("-- ") or len(found) == _LINES:
            break
        # The heading of a passage, or the label of a link.
        if line.startswith("    ") or following.startswith("    ") or line.endswith(":"):
            continue
        found.append(line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…")
    return found
