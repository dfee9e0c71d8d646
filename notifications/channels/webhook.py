"""Webhooks: signed requests to a program of somebody's own (standardwebhooks.com)."""

import datetime as dt
import json
import re
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from core.outgoing import NotAllowedOut, request
from core.secrets import Undecipherable, decrypt
from notifications.channels import punctual
from notifications.channels.answers import secret_part, verdict
from notifications.channels.base import Envelope, Failed, FailedForGood


def send_webhook(envelope: Envelope) -> str:
    """Send one signed request and return the receiver's answer; its id is the same at every attempt.

    Raises FailedForGood where the receiver refuses (410 and most other 4xx) or may not be reached, Failed for all that
    may pass by itself.
    """
    url, key = _secret(envelope)
    now = dt.datetime.now(dt.UTC)
    content = json.dumps(body_of(envelope), ensure_ascii=False, separators=(",", ":"))
    number = webhook_id(envelope.key)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Belay",
        "webhook-id": number,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _sign(key, number, now, content),
    }
    try:
        answer = request(
            "POST",
            url,
            content=content.encode(),
            headers=headers,
            timeout=min(10.0, punctual.AT_MOST_SECONDS),
        )
    except NotAllowedOut as error:
        raise FailedForGood(str(error)) from None
    except (httpx.TimeoutException, TimeoutError):
        raise Failed("timed out") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Failed(f"no answer ({type(error).__name__})") from None
    return verdict(
        answer.status,
        answer.headers,
        answer.body,
        secrets=(secret_part(url), key, key.removeprefix("whsec_")),
        now=dt.datetime.now(dt.UTC),
    )


def body_of(envelope: Envelope) -> dict[str, Any]:
    """Return what a program gets: kind, instant, and what the message is about."""
    facts = dict(envelope.facts)
    kind, created_at = facts.pop("kind", ""), facts.pop("created_at", None)
    return {
        "type": kind,
        "timestamp": created_at or dt.datetime.now(dt.UTC).isoformat(),
        "data": {**facts, "subject": envelope.subject, "text": envelope.short or envelope.subject},
    }


def webhook_id(key: str) -> str:
    """Return a message's id, made of its key: whoever has seen it before knows a repetition."""
    return "msg_" + re.sub(r"[^0-9A-Za-z]+", "_", key.strip("<>").partition("@")[0])


def _secret(envelope: Envelope) -> tuple[str, str]:
    try:
        secret = json.loads(decrypt(envelope.secret))
        return str(secret["url"]), str(secret["key"])
    except Undecipherable as error:
        raise FailedForGood(str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise FailedForGood("the stored address can't be read; enter it again") from None


def _sign(key: str, number: str, now: dt.datetime, content: str) -> str:
    try:
        return Webhook(key).sign(number, now, content)
    except Exception:  # noqa: BLE001 whatever it says may quote the key
        raise FailedForGood("the stored signing key can't be used; make a new one") from None
