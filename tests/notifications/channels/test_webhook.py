"""Webhooks of contacts: signed, recognisable, guarded."""

import logging
import time
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core import outgoing
from notifications.channels import Envelope, Failed, FailedForGood, sender_for
from notifications.channels.webhook import send_webhook
from tests.helpers import free_port
from tests.notifications.channels.loopback import SECRET, Server, envelope, own

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def to(server: Server, **more: Any) -> Envelope:
    return envelope(secret=own(f"http://127.0.0.1:{server.port}/{SECRET}?t={SECRET}", key=KEY), **more)


def test_a_receiver_can_tell_that_it_comes_from_belay(server: Server) -> None:
    answer = sender_for("webhook")(to(server))

    assert answer == "200 OK: ok"
    _, headers, body = server.seen[-1]
    said = Webhook(KEY).verify(body, dict(headers))
    assert said == {
        "type": "escalation.telling",
        "timestamp": "2026-03-02T09:00:00+00:00",
        "data": {
            "ticket": 7,
            "seq": 2,
            "round": 1,
            "link": "https://belay.example/a/xyz",
            "subject": "[SEV1] #7 VPN drops",
            "text": "[SEV1] #7 VPN drops. https://belay.example/a/xyz",
        },
    }
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(body + b" ", dict(headers))


def test_a_repetition_has_the_same_id_and_another_message_another(server: Server) -> None:
    for key in ("<a1@belay.example>", "<a1@belay.example>", "<a2@belay.example>"):
        send_webhook(to(server, key=key))

    assert [headers["webhook-id"] for _, headers, _ in server.seen] == ["msg_a1", "msg_a1", "msg_a2"]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 422])
def test_a_receiver_refuses_for_good(status: int, server: Server) -> None:
    server.status, server.body = status, b"gone"

    with pytest.raises(FailedForGood, match=f"{status} .*: gone"):
        send_webhook(to(server))


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500, 503])
def test_a_receiver_refuses_for_now(status: int, server: Server) -> None:
    server.status, server.headers = status, {"Retry-After": "12"}

    with pytest.raises(Failed) as failed:
        send_webhook(to(server))

    assert not isinstance(failed.value, FailedForGood)
    assert failed.value.retry_after == (12 if status in {429, 503} else None)


@pytest.mark.parametrize("ill", ["hangs", "trickles"])
def test_a_receiver_that_never_gets_there_is_given_up_in_time(
    ill: str, server: Server, seconds: float
) -> None:
    setattr(server, ill, True)
    began = time.monotonic()

    with pytest.raises(Failed):
        send_webhook(to(server))

    assert time.monotonic() - began < seconds + outgoing._GRACE_SECONDS + 0.5


def test_redirects_are_not_followed(server: Server) -> None:
    server.status, server.headers = 307, {"Location": f"http://127.0.0.1:{server.port}/inside"}

    with pytest.raises(Failed, match="307"):
        send_webhook(to(server))

    assert len(server.seen) == 1


def test_the_private_network_is_reached_where_an_admin_allows_it_only(server: Server, settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = []

    with pytest.raises(FailedForGood, match="private network"):
        send_webhook(to(server))

    assert not server.seen


def test_secrets_are_neither_in_answers_nor_in_logs(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.status, server.body = 404, f"Cannot POST /{SECRET}?t={SECRET} {KEY}".encode()
    closed = envelope(secret=own(f"http://127.0.0.1:{free_port()}/{SECRET}", key=KEY))

    with pytest.raises(FailedForGood) as refused:
        send_webhook(to(server))
    with pytest.raises(Failed) as failed:
        send_webhook(closed)

    for error in (refused.value, failed.value):
        told = f"{error!r} {error.__cause__!r}"
        assert SECRET not in told
        assert KEY.removeprefix("whsec_") not in told
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "secret", ["", "nonsense", own("http://127.0.0.1/x"), own("http://[x", key="whsec_@")]
)
def test_what_is_stored_wrongly_fails_for_good_and_tells_nothing(secret: str) -> None:
    with pytest.raises(FailedForGood):
        send_webhook(envelope(secret=secret))
